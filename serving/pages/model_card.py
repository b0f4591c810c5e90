"""The page of the champions' model cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from models.predictions.payload import format_instant
from serving.html import charts
from serving.html.assets import style_sheet
from serving.html.templates import render_page, render_template
from serving.http.authentication import require_scope
from serving.http.dependencies import HomeDep, LiveStateDep
from serving.pages.exports.details import model_exports
from serving.portfolio.model_card_markdown import (
    DUE_METRICS,
    DUE_NOTE,
    METRICS,
    compared_candidates,
    in_table_order,
    model_words,
)
from serving.portfolio.model_cards import (
    CANDIDATES,
    CHURN_KIND_CANDIDATES,
    CHURN_KIND_METRICS,
    contribution_words,
    evaluation_words,
    model_cards,
    rate_words,
    reason_words,
    renewal_stage_words,
    renewal_words,
    slice_words,
    snapshot_words,
)

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


@router.get("/model")
def get_model_page(request: Request, live: LiveStateDep, home: HomeDep) -> Response:
    """Return the model page."""
    state = live.current()
    if state.champion is None:
        raise state.not_ready()
    cards = model_cards(home, state.champion.bundles)
    cached = getattr(request.app.state, "card_pictures", None)
    if cached is None or cached[0] is not state.champion:
        cached = request.app.state.card_pictures = state.champion, reliability_charts(cards)
    latest = None if state.latest is None else format_instant(state.latest.as_of)
    shown = _template_variables(cards)
    return render_page(
        request,
        "model_page.html",
        exports=model_exports,
        title="Model",
        section="model",
        charts=cached[1],
        as_of=latest,
        **shown,
    )


def cards_html(cards: Sequence[Mapping[str, Any]]) -> str:
    """Render the cards as one self-contained file."""
    sheet = Markup(style_sheet())
    return render_template(
        "model_file.html",
        title="Model card",
        sheet=sheet,
        charts=reliability_charts(cards),
        as_of=None,
        **_template_variables(cards),
    )


def reliability_charts(cards: Sequence[Mapping[str, Any]]) -> dict[str, Markup]:
    """Draw the reliability chart of each target."""
    return {
        entry["target"]: charts.reliability_chart(entry["card"]["reliability"], entry["target"])
        for entry in cards
        if entry["card"] is not None and entry["card"]["reliability"]
    }


def _template_variables(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "cards": cards,
        "rivals": CANDIDATES,
        "metrics": METRICS,
        "ordered": in_table_order,
        "compared_candidates": compared_candidates,
        "kind_rivals": CHURN_KIND_CANDIDATES,
        "of_kinds": CHURN_KIND_METRICS,
        "notes": {"due": DUE_NOTE},
        "due_metrics": DUE_METRICS,
        "describe": {
            "contributions": contribution_words,
            "evaluation": evaluation_words,
            "rates": rate_words,
            "model": model_words,
            "reasons": reason_words,
            "renewal_stage": renewal_stage_words,
            "renewals": renewal_words,
            "slice": slice_words,
            "snapshots": snapshot_words,
        },
    }
