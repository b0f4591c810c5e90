"""The document as one HTML file: style sheet and pictures within, no script, nothing to be fetched."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from features.utils import formatting
from training.review.document import Review
from training.review.html import figure_text
from training.review.html.section_charts import pictures
from training.review.sections.decision import WORDS

HERE = Path(__file__).parent


def render(review: Review) -> str:
    """The page of a review. What customers wrote is escaped; the figures are those of ``review.json``."""
    told = review.plain()
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": formatting.percent,
        "money": formatting.short_money,
        "number": figure_text.number,
        "share": figure_text.share,
        "points": figure_text.points,
        "cell": figure_text.cell,
        "band": figure_text.band,
        "words": figure_text.plain_name,
    }
    style = Markup((HERE / "style.css").read_text(encoding="utf-8"))
    return environment.get_template("review.html").render(r=told, pictures=pictures(told), style=style, verdicts=WORDS)
