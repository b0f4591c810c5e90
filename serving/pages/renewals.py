"""The renewal forecast of a period, as a page: the same figures as GET /v1/renewals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from features.utils.periods import DEFAULT_FORECAST_DAYS, FORECAST_DAYS, Quarter
from serving.html.links import with_query
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import LiveStateDep
from serving.pages.snapshot_context import snapshot_dates
from serving.renewals.published_forecast import published_renewals
from serving.schemas.form_fields import AtDateOrLatest, nothing, whole

#: So many accounts are on one page.
PAGE = 50
#: So many quarters can be chosen, that of the snapshot first.
QUARTERS = 4
FIGURES = {
    "renewed_arr": ("Renewed", "good"),
    "lost_arr": ("Lost", "bad"),
    "contracted_arr": ("Contracted", "fair"),
    "expanded_arr": ("Expanded", "good"),
}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class RenewalsPageQuery(AtDateOrLatest):
    """Which period, in one word: days (90), a quarter (2026Q4) or a month (2026-10); and which page of its accounts."""

    period: Annotated[str | None, BeforeValidator(nothing), Field(max_length=20)] = None
    csm: Annotated[str | None, BeforeValidator(nothing), Field(max_length=1000)] = None
    segment: Annotated[str | None, BeforeValidator(nothing), Field(max_length=200)] = None
    page: Annotated[int, BeforeValidator(whole), Field(ge=1, le=1_000_000)] = 1


@router.get("/renewals")
def get_renewals_page(request: Request, live: LiveStateDep, asked: Annotated[RenewalsPageQuery, Query()]) -> Response:
    """What is due, and what is expected of it."""
    state = live.current()
    scored = state.scored(asked.as_of)
    days = _days(asked.period)
    named = None if days is not None else asked.period
    told = published_renewals(scored, named, days, None, None)
    # As it is printed, however it was written in the address.
    period = told["period"] if named is not None else str(days or DEFAULT_FORECAST_DAYS)
    narrow: tuple[tuple[Literal["csm", "segment"], str | None], ...] = (("csm", asked.csm), ("segment", asked.segment))
    due = [
        account
        for account in told["accounts"]
        if all(wanted is None or account[name] == wanted for name, wanted in narrow)
    ]
    pages = max(1, -(-len(due) // PAGE))
    number = min(asked.page, pages)
    shared = {
        "as_of": asked.when,
        "period": asked.period,
    }

    def link(**otherwise: object) -> str:
        return with_query("/renewals", shared | {"csm": asked.csm, "segment": asked.segment} | otherwise)

    return render_page(
        request,
        "renewals.html",
        title="Renewals",
        section="renewals",
        forecast=told,
        figures=FIGURES,
        periods=_periods(scored.as_of, period),
        period=period,
        asked=asked,
        due=due,
        accounts=due[(number - 1) * PAGE : number * PAGE],
        number=number,
        dates=snapshot_dates(state, scored),
        query=with_query("", {"as_of": shared["as_of"]}),
        pages=pages,
        link=link,
        json=with_query("/v1/renewals", {"as_of": shared["as_of"], "period": named, "days": days, "limit": 1000}),
    )


def _days(period: str | None) -> int | None:
    return int(period) if period is not None and period.isascii() and period.isdigit() else None


def _periods(as_of: datetime, chosen: str) -> list[tuple[str, str]]:
    """The periods that can be chosen, the chosen one among them: their name in the address, and as people read it."""
    found: list[tuple[str, str]] = [(str(days), f"Next {days} days") for days in FORECAST_DAYS]
    quarter = Quarter.of(as_of)
    for _ in range(QUARTERS):
        found.append((quarter.name, quarter.name))
        quarter = quarter.next
    return found if chosen in [name for name, _ in found] else [*found, (chosen, chosen)]
