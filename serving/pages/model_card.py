"""The model cards of the champions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from models.predictions.payload import instant_words
from serving.html import charts
from serving.html.assets import assets
from serving.html.templates import page, render
from serving.http.authentication import require_scope
from serving.http.dependencies import HomeDep, LiveStateDep
from serving.portfolio.model_card_markdown import METRICS, ordered, rivals_beside
from serving.portfolio.model_cards import KINDS, MEASURED, OF_KINDS, RIVALS, cards_of

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


@router.get("/model")
def get_model_page(request: Request, live: LiveStateDep, home: HomeDep) -> Response:
    """The cards."""
    state = live.current()
    if state.champion is None:
        raise state.not_ready()
    cards = cards_of(home, state.champion)
    drawn = getattr(request.app.state, "card_pictures", None)
    if drawn is None or drawn[0] is not state.champion:
        drawn = request.app.state.card_pictures = state.champion, pictures(cards)
    latest = None if state.latest is None else instant_words(state.latest.as_of)
    return page(request, "model.html", title="Model", section="model", drawn=drawn[1], as_of=latest, **_shown(cards))


def as_html(cards: Sequence[Mapping[str, Any]]) -> str:
    """The cards as one file that needs nothing beside itself."""
    sheet = Markup(assets()["pages.css"].content.decode())
    return render(
        "model_file.html", title="Model card", sheet=sheet, drawn=pictures(cards), as_of=None, **_shown(cards)
    )


def pictures(cards: Sequence[Mapping[str, Any]]) -> dict[str, Markup]:
    """What was said against what happened, by target."""
    return {
        told["target"]: charts.reliability(told["card"]["reliability"], told["target"])
        for told in cards
        if told["card"] is not None and told["card"]["reliability"]
    }


def _shown(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "cards": cards,
        "rivals": RIVALS,
        "metrics": METRICS,
        "ordered": ordered,
        "rivals_beside": rivals_beside,
        "kind_rivals": KINDS,
        "of_kinds": OF_KINDS,
        "measured": MEASURED,
    }
