"""The renewals page, with the data of GET /v1/renewals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from features.utils.periods import DEFAULT_FORECAST_DAYS, FORECAST_DAYS, Quarter
from serving.html.links import with_query
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import LiveStateDep
from serving.pages.snapshot_context import snapshot_dates
from serving.portfolio.account_list import published_account_list
from serving.renewals.forecast import DIVISIONS
from serving.renewals.published_forecast import published_renewals
from serving.schemas.form_fields import SnapshotPageQuery, digits_to_int, empty_to_none

#: The number of accounts on one page.
PAGE = 50
#: The number of quarters to choose from, starting with that of the snapshot.
QUARTERS = 4
FIGURES = {
    "renewed_arr": ("Renewed", "good"),
    "lost_arr": ("Lost", "bad"),
    "contracted_arr": ("Contracted", "fair"),
    "expanded_arr": ("Expanded", "good"),
}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class RenewalsPageQuery(SnapshotPageQuery):
    """The period (days such as 90, a quarter such as 2026Q4, or a month such as 2026-10), filters and page number."""

    period: Annotated[str | None, BeforeValidator(empty_to_none), Field(max_length=20)] = None
    csm: Annotated[str | None, BeforeValidator(empty_to_none), Field(max_length=1000)] = None
    segment: Annotated[str | None, BeforeValidator(empty_to_none), Field(max_length=200)] = None
    region: Annotated[str | None, BeforeValidator(empty_to_none), Field(max_length=1000)] = None
    parent: Annotated[str | None, BeforeValidator(empty_to_none), Field(max_length=1000)] = None
    page: Annotated[int, BeforeValidator(digits_to_int), Field(ge=1, le=1_000_000)] = 1


@router.get("/renewals")
def get_renewals_page(request: Request, live: LiveStateDep, asked: Annotated[RenewalsPageQuery, Query()]) -> Response:
    """Return the renewals page."""
    state = live.current()
    scored = state.scored(asked.as_of)
    days = _days(asked.period)
    named = None if days is not None else asked.period
    forecast = published_renewals(scored, named, days, None, None)
    # The canonical name, regardless of its form in the URL.
    period = forecast["period"] if named is not None else str(days or DEFAULT_FORECAST_DAYS)
    filters: dict[str, str | None] = {name: getattr(asked, name) for name in DIVISIONS}
    due = [
        account
        for account in forecast["accounts"]
        if all(wanted is None or account[name] == wanted for name, wanted in filters.items())
    ]
    pages = max(1, -(-len(due) // PAGE))
    number = min(asked.page, pages)
    shared = {
        "as_of": asked.when,
        "period": asked.period,
    }

    def link(**changes: object) -> str:
        return with_query("/renewals", shared | filters | changes)

    return render_page(
        request,
        "renewals.html",
        title="Renewals",
        section="renewals",
        forecast=forecast,
        figures=FIGURES,
        periods=_periods(scored.as_of, period),
        period=period,
        asked=asked,
        filters=filters,
        names=published_account_list(scored).companies,
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
    """Return the periods to choose from, including the chosen one: their names in the URL and their labels."""
    periods: list[tuple[str, str]] = [(str(days), f"Next {days} days") for days in FORECAST_DAYS]
    quarter = Quarter.of(as_of)
    for _ in range(QUARTERS):
        periods.append((quarter.name, quarter.name))
        quarter = quarter.next
    return periods if chosen in [name for name, _ in periods] else [*periods, (chosen, chosen)]
