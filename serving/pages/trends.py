"""The trends page: what changed the ARR at risk between two dates, and the KPIs of every published date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from features.errors import UnknownSnapshot
from features.utils.workbook import MAX_ROWS
from models.predictions.payload import format_instant
from serving.html.exports import requested_export
from serving.html.links import with_query
from serving.html.sparklines import sparkline, time_positions
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.pages.account_trend import earlier_dates, requested_or_default_earlier
from serving.pages.exports.trends import PART_WORDS, trends_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.sortable_list import LABEL, ListColumn, ListPage, ListQuery, arrange, headings, paginate
from serving.portfolio.kpi_schemas import DEFAULT_PERIOD
from serving.portfolio.kpi_trend import kpi_trend
from serving.portfolio.portfolio_changes import LISTED, portfolio_changes
from serving.schemas.account_filter import PageFilter
from serving.schemas.field_types import AsOfInstant
from serving.schemas.form_fields import SnapshotPageQuery, empty_to_none
from serving.snapshots.account_attributes import TIMELESS

COLUMNS = (
    ListColumn("account", "Account", LABEL),
    ListColumn("change", "Change", "change", number=True, largest_first=True),
    ListColumn("before", "Before", "arr_at_risk_before", number=True, largest_first=True),
    ListColumn("now", "Now", "arr_at_risk", number=True, largest_first=True),
)
"""The columns of the changed accounts. By default, the largest changes in either direction come first."""
#: The number of the latest values of each KPI that are shown as numbers.
SHOWN_VALUES = 8

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class TrendsPageQuery(SnapshotPageQuery, PageFilter, ListQuery):
    """The filter, the snapshot, the earlier date to compare with (an empty date is the default), and the list."""

    since: Annotated[AsOfInstant | None, BeforeValidator(empty_to_none)] = None


@router.get("/trends")
def get_trends_page(
    request: Request, view: Annotated[PageView[TrendsPageQuery], page_view(TrendsPageQuery)]
) -> Response:
    """Return the trends page."""
    state, scored, asked = view.state, view.scored, view.asked
    since = None if asked.since is None else format_instant(asked.since)
    dated: dict[str, object] = {"as_of": asked.when, "since": since}
    changes, listed = _changes(view, requested_export(request) is not None)

    def link(**changed: object) -> str:
        return with_query("/trends", {**asked.chosen, **dated, **asked.list_params, **changed}) + "#accounts"

    page = render_page(
        request,
        "trends.html",
        exports=trends_exports,
        title="Trends",
        section="trends",
        asked=asked,
        changes=changes,
        listed=listed,
        headings=headings(COLUMNS, asked.sort, asked.way, link),
        link=link,
        unsearched={**asked.chosen, **dated},
        part_words=PART_WORDS,
        kpis=_kpis(view),
        earlier=earlier_dates(state, scored),
        filters=view.filters("/trends", {**dated, **asked.list_params}),
        dates=view.dates,
        query=view.query,
        json=with_query("/v1/portfolio/changes", {"as_of": asked.when, "since": since, **asked.chosen}),
        kpis_json=with_query("/v1/portfolio/measures/trend", {"as_of": asked.when, **asked.chosen}),
    )
    return view.remember(page)


def _changes(view: PageView[TrendsPageQuery], whole: bool) -> tuple[dict[str, Any] | None, ListPage[Any] | None]:
    """Return the changes and the page of changed accounts, or all of them (``whole``); None without an earlier date."""
    before = requested_or_default_earlier(view.state, view.scored, view.asked.since)
    if before is None:
        return None, None
    selected, applied, asked = view.selection.includes, view.asked.applied, view.asked
    if not (whole or asked.q or asked.sort or asked.page > 1):
        # The details of all accounts of a large portfolio would take longer than the rest of the page.
        changes = portfolio_changes(before, view.scored.assessment, LISTED, selected, applied)
        count = len(changes["accounts"]) + changes["more_accounts"]
        return changes, ListPage(changes["accounts"], 1, max(1, -(-count // LISTED)), count)
    listed: ListPage[Any] = paginate([], 1, LISTED)

    def choose(rows: list[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        nonlocal listed
        found = arrange(rows, asked, COLUMNS)
        listed = paginate(found, asked.page, LISTED)
        return found if whole else listed.rows

    changes = portfolio_changes(before, view.scored.assessment, MAX_ROWS, selected, applied, choose)
    return changes, listed


def _kpis(view: PageView[TrendsPageQuery]) -> dict[str, Any] | None:
    """Return the KPIs with small charts and the latest values; None if none were published."""
    try:
        dates, account_filter = view.state.dates(), view.asked.account_filter
        trend = kpi_trend(view.scored, dates, DEFAULT_PERIOD, account_filter=account_filter)
    except UnknownSnapshot:
        return None
    places = _compared(trend["dates"], view.asked.since)
    at = time_positions([datetime.fromisoformat(date) for date in trend["dates"]])
    lines = [{**each, **_drawn(each, trend["dates"], at), "last": _last(each, places)} for each in trend["measures"]]
    lacking = next((name for name in account_filter.chosen if name not in (*TIMELESS, "segment")), None)
    return {
        **trend,
        "measures": lines,
        "shown": [trend["dates"][place] for place in places][-SHOWN_VALUES:],
        "charted": any(each["spark"] for each in lines),
        "lacking": lacking,
    }


def _drawn(line: dict[str, Any], dates: Sequence[str], at: Sequence[float]) -> dict[str, Any]:
    """Return the small chart of a KPI, which needs two known values, or else the only known value with its date."""
    points = [(date, value) for date, value in zip(dates, line["values"], strict=True) if value is not None]
    if len(points) > 1:
        return {"spark": sparkline(line["values"], positions=at), "only": None}
    return {"spark": [], "only": {"date": points[0][0], "value": points[0][1]} if points else None}


def _compared(dates: Sequence[str], since: datetime | None) -> list[int]:
    """Return the places of the dates to show: the chosen earlier one and the latest, or all if none is chosen."""
    earlier = None if since is None else format_instant(since)
    if earlier in dates[:-1]:
        return [dates.index(earlier), len(dates) - 1]
    return list(range(len(dates)))


def _last(line: dict[str, Any], places: Sequence[int]) -> list[dict[str, Any]]:
    """Return the latest values at places, each with whether it is better (good) or worse (bad) than the one before."""
    values = [None, *(line["values"][place] for place in places)]
    last = []
    for before, value in pairwise(values):
        tone = ""
        if line["better"] is not None and before is not None and value is not None and value != before:
            tone = "good" if (value > before) == (line["better"] == "higher") else "bad"
        last.append({"value": value, "tone": tone})
    return last[-SHOWN_VALUES:]
