"""The renewals page, with the data of GET /v1/renewals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from features.utils.periods import DEFAULT_FORECAST_DAYS, FORECAST_DAYS, Quarter
from serving.html.links import with_query, without
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.pages.exports.lists import RENEWAL_STEPS, renewals_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.sortable_list import LABEL, ListColumn, ListQuery, arrange, headings, paginate
from serving.renewals.published_forecast import published_renewals
from serving.schemas.account_filter import PageFilter
from serving.schemas.form_fields import SnapshotPageQuery, empty_to_none
from serving.snapshots.account_attributes import account_attributes

#: The number of accounts on one page.
PAGE = 50
#: The number of quarters to choose from, starting with that of the snapshot.
QUARTERS = 4
COLUMNS = (
    ListColumn("account", "Account", LABEL),
    ListColumn("segment", "Segment", "segment"),
    ListColumn("csm", "CSM", "csm"),
    ListColumn("arr", "ARR", "arr", number=True, largest_first=True),
    ListColumn("renewal", "Renewal", "renewal_at"),
    ListColumn("health", "Health", "health_band"),
    ListColumn("churn", "Churn by renewal", "churn_probability", number=True, largest_first=True),
    ListColumn("contraction", "Contraction by renewal", "contraction_probability", number=True, largest_first=True),
    ListColumn("expansion", "Expansion by renewal", "expansion_probability", number=True, largest_first=True),
    ListColumn("lost", "Lost ARR by renewal", "expected_lost_arr", number=True, largest_first=True),
)
"""The columns of the list. By default, the largest expected loss comes first, and overdue accounts come last."""
FIGURES = {
    "renewed_arr": ("Renewed", "good"),
    "lost_arr": ("Lost", "bad"),
    "contracted_arr": ("Contracted", "fair"),
    "expanded_arr": ("Expanded", "good"),
}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class RenewalsPageQuery(SnapshotPageQuery, PageFilter, ListQuery):
    """The period (days such as 90, a quarter such as 2026Q4, or a month such as 2026-10), the filter, and the list."""

    period: Annotated[Annotated[str, Field(max_length=20)] | None, BeforeValidator(empty_to_none)] = None


@router.get("/renewals")
def get_renewals_page(
    request: Request, view: Annotated[PageView[RenewalsPageQuery], page_view(RenewalsPageQuery)]
) -> Response:
    """Return the renewals page."""
    scored, asked, selection = view.scored, view.asked, view.selection
    days = _days(asked.period)
    named = None if days is not None else asked.period
    forecast = published_renewals(scored, named, days, None, None, selection)
    # The canonical name, regardless of its form in the URL.
    period = forecast["period"] if named is not None else str(days or DEFAULT_FORECAST_DAYS)
    due = arrange(forecast["accounts"], asked, COLUMNS)
    others = {"as_of": asked.when, "period": asked.period, **asked.list_params}
    params = {**asked.chosen, **others}

    def link(**changes: object) -> str:
        return with_query("/renewals", {**params, **changes})

    def due_link(**changes: object) -> str:
        return link(**changes) + "#due"

    page = render_page(
        request,
        "renewals.html",
        exports=renewals_exports,
        steps=RENEWAL_STEPS,
        title="Renewals",
        section="renewals",
        forecast=forecast,
        figures=FIGURES,
        periods=_periods(scored.as_of, period),
        period=period,
        asked=asked,
        names=account_attributes(scored).names,
        due=due,
        listed=paginate(due, asked.page, PAGE),
        headings=headings(COLUMNS, asked.sort or "lost", asked.way, due_link),
        filters=view.filters("/renewals", others),
        undated=without(params, "as_of"),
        unsearched=without(params, *asked.list_params),
        dates=view.dates,
        query=view.query,
        link=link,
        due_link=due_link,
        json=with_query(
            "/v1/renewals", {"as_of": asked.when, "period": named, "days": days, "limit": 1000, **asked.chosen}
        ),
    )
    return view.remember(page)


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
