"""The trends page: what changed the ARR at risk between two dates, and the KPIs of every published date."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from features.errors import UnknownSnapshot
from models.predictions.payload import format_instant
from serving.html.links import with_query
from serving.html.sparklines import sparkline
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import LiveStateDep
from serving.pages.account_trend import earlier_dates, requested_or_default_earlier
from serving.pages.filter_bar import carried_query, filter_bar, own_accounts, remember_view
from serving.pages.snapshot_context import snapshot_dates
from serving.portfolio.kpi_schemas import DEFAULT_PERIOD
from serving.portfolio.kpi_trend import kpi_trend
from serving.portfolio.portfolio_changes import portfolio_changes
from serving.schemas.account_filter import PageFilter
from serving.schemas.form_fields import SnapshotPageQuery, empty_to_none
from serving.schemas.signal_rows import AsOfInstant
from serving.snapshots.account_attributes import AccountSelection, select_accounts
from serving.snapshots.live_state import LiveState
from serving.snapshots.scored_snapshot import ScoredSnapshot

#: The number of the latest values of each KPI that are shown as numbers.
SHOWN_VALUES = 8
#: The parts of the change of the ARR at risk, in words.
PARTS = {
    "probability": "Churn probability rose or fell",
    "arr": "ARR rose or fell",
    "new": "New accounts",
    "left": "Accounts that left",
    "known_now": "ARR at risk unknown before",
    "unknown_now": "ARR at risk unknown now",
}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class TrendsPageQuery(SnapshotPageQuery, PageFilter):
    """The filter, the snapshot, and the earlier date to compare with. An empty date is the default."""

    since: Annotated[AsOfInstant | None, BeforeValidator(empty_to_none)] = None


@router.get("/trends")
def get_trends_page(request: Request, live: LiveStateDep, asked: Annotated[TrendsPageQuery, Query()]) -> Response:
    """Return the trends page."""
    state = live.current()
    scored = state.scored(asked.as_of)
    if (redirect := own_accounts(request, scored)) is not None:
        return redirect
    selection = select_accounts(scored, asked)
    since = None if asked.since is None else format_instant(asked.since)
    page = render_page(
        request,
        "trends.html",
        title="Trends",
        section="trends",
        asked=asked,
        changes=_changes(state, scored, asked, selection),
        part_words=PARTS,
        kpis=_kpis(state, scored),
        earlier=earlier_dates(state, scored),
        filters=filter_bar(request, scored, asked, selection, "/trends", {"as_of": asked.when, "since": since}),
        dates=snapshot_dates(state, scored),
        query=carried_query(asked, asked.when),
        json=with_query("/v1/portfolio/changes", {"as_of": asked.when, "since": since, **asked.chosen}),
    )
    return remember_view(request, page, asked)


def _changes(
    state: LiveState, scored: ScoredSnapshot, asked: TrendsPageQuery, selection: AccountSelection
) -> dict[str, Any] | None:
    """Return the changes; None without an earlier date."""
    before = requested_or_default_earlier(state, scored, asked.since)
    if before is None:
        return None
    return portfolio_changes(before, scored.assessment, includes=selection.includes, applied=asked.applied)


def _kpis(state: LiveState, scored: ScoredSnapshot) -> dict[str, Any] | None:
    """Return the KPIs with small charts and the latest values; None if none were published."""
    try:
        trend = kpi_trend(scored, state.dates(), DEFAULT_PERIOD)
    except UnknownSnapshot:
        return None
    lines = [{**each, "spark": sparkline(each["values"]), "last": _last(each)} for each in trend["measures"]]
    return {**trend, "measures": lines, "shown": trend["dates"][-SHOWN_VALUES:]}


def _last(line: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the latest values, each with whether it is better (good) or worse (bad) than the one before."""
    values = [None, *line["values"]]
    last = []
    for before, value in pairwise(values):
        tone = ""
        if line["better"] is not None and before is not None and value is not None and value != before:
            tone = "good" if (value > before) == (line["better"] == "higher") else "bad"
        last.append({"value": value, "tone": tone})
    return last[-SHOWN_VALUES:]
