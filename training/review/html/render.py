"""The review page as one HTML file with its style sheet and charts inside, without scripts or external resources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from features.utils import formatting
from training.review.document import QuarterlyReview
from training.review.html import figure_text
from training.review.sections.decision import VERDICT_TEXT

TEMPLATE_FOLDER = Path(__file__).parent


def render(review: QuarterlyReview, charts: Mapping[str, Markup]) -> str:
    """Render the page of a review.

    Text from the signals is escaped. The figures are those of ``review.json``.

    Parameters
    ----------
    review : the review.
    charts : its charts (`training.review.html.section_charts.draw_section_charts`).

    Returns
    -------
    The page as HTML.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": formatting.day,
        "percent": formatting.percent,
        "money": formatting.short_money,
        "number": figure_text.trimmed_number,
        "share": figure_text.share_text,
        "points": figure_text.number_text,
        "cell": figure_text.table_cell,
        "band": figure_text.band_label,
        "readable": figure_text.readable_name,
        "sentences": figure_text.sentences,
    }
    return environment.get_template("review.html").render(
        r=review.plain(),
        charts=charts,
        style=Markup((TEMPLATE_FOLDER / "style.css").read_text(encoding="utf-8")),
        verdicts=VERDICT_TEXT,
        signs=figure_text.SIGN_LABELS,
        scorings=figure_text.SCORING_LABELS,
        losses=figure_text.LOSS_LABELS,
        drift_states=figure_text.DRIFT_LABELS,
    )
