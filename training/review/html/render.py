"""The document as one HTML file: style sheet and pictures within, no script, nothing to be fetched."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from features.utils import formatting
from training.review.document import ReviewDocument
from training.review.html import figure_text
from training.review.html.section_charts import section_charts
from training.review.sections.decision import VERDICT_TEXT

HERE = Path(__file__).parent


def render(review: ReviewDocument) -> str:
    """The page of a review. What customers wrote is escaped; the figures are those of ``review.json``."""
    told = review.plain()
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": formatting.percent,
        "money": formatting.short_money,
        "number": figure_text.trimmed_number,
        "share": figure_text.share_text,
        "points": figure_text.number_text,
        "cell": figure_text.table_cell,
        "band": figure_text.band_label,
        "words": figure_text.readable_name,
    }
    style = Markup((HERE / "style.css").read_text(encoding="utf-8"))
    return environment.get_template("review.html").render(
        r=told, pictures=section_charts(told), style=style, verdicts=VERDICT_TEXT
    )
