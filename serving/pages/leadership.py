"""The leadership page, with the data of GET /v1/portfolio/leadership."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from features.errors import UnknownSnapshot
from serving.html.charts import arr_bridge_chart
from serving.html.exports import ExportFile
from serving.html.links import with_query
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import StoreDep
from serving.leadership.arr_bridge import STEP_WORDS
from serving.leadership.published_report import published_leadership
from serving.pages.exports.leadership import FORECAST_WORDS, leadership_exports
from serving.pages.filter_bar import LABELS
from serving.pages.page_view import PageView, page_view
from serving.pages.snapshot_context import accounts_off_worklist
from serving.presentations.report_files import leadership_file, leadership_file_name
from serving.schemas.account_filter import PageFilter
from serving.schemas.divisions import ExclusiveDivision
from serving.schemas.form_fields import MarginQuery, SnapshotPageQuery, empty_to_none
from serving.snapshots.account_attributes import filtered_cache

DIVISIONS: dict[ExclusiveDivision, str] = {name: LABELS[name] for name in get_args(ExclusiveDivision)}
USUAL_STEPS = {"arr_start", "new", "expanded", "contracted", "churned", "arr_end"}
"""The steps that are shown for each group, also if they are zero."""
#: Maximum number of groups and of CSMs shown.
GROUPS = 25

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class LeadershipPageQuery(SnapshotPageQuery, PageFilter, MarginQuery):
    """The filter, the snapshot, the groups, and the gross margin in percent."""

    by: Annotated[ExclusiveDivision | None, BeforeValidator(empty_to_none)] = None


@router.get("/leadership")
def get_leadership_page(
    request: Request, store: StoreDep, view: Annotated[PageView[LeadershipPageQuery], page_view(LeadershipPageQuery)]
) -> Response:
    """Return the leadership page."""
    scored, asked = view.scored, view.asked
    by = asked.by or "segment"
    report: dict[str, Any] | None = None
    with suppress(UnknownSnapshot):
        # An earlier release published the snapshot.
        report = published_leadership(scored, view.selection, by, asked.margin_share)
    others = {
        "as_of": asked.when,
        "by": None if by == "segment" else by,
        **asked.page_margin,
    }
    params = {**asked.chosen, **others}

    def link(**changes: object) -> str:
        return with_query("/leadership", {**params, **changes})

    page = render_page(
        request,
        "leadership.html",
        exports=leadership_exports,
        title="Leadership",
        section="leadership",
        asked=asked,
        report=report,
        step_words=STEP_WORDS,
        forecast_words=FORECAST_WORDS,
        chart=_chart(view, report),
        presentation=ExportFile(
            leadership_file_name(scored),
            lambda: leadership_file(scored, view.selection, accounts_off_worklist(scored, store)),
        ),
        **_tables(report),
        by=by,
        margin=asked.margin_percent,
        divisions=DIVISIONS,
        shown=GROUPS,
        link=link,
        undated={name: value for name, value in params.items() if name != "as_of"},
        unpriced={name: value for name, value in params.items() if name != "margin"},
        filters=view.filters("/leadership", others),
        dates=view.dates,
        query=view.query,
        json=with_query(
            "/v1/portfolio/leadership",
            {"as_of": asked.when, "by": by, **asked.api_margin, **asked.chosen},
        ),
    )
    return view.remember(page)


def _tables(report: dict[str, Any] | None) -> dict[str, Any]:
    """Return parts of the report by name, for the template."""
    if report is None:
        return {}
    return {
        "measures": {each["measure"]: each for each in report["retention"]},
        "recent": _by_step(report["quarter_bridge"]),
        "group_rows": _group_table(report["groups"][:GROUPS]),
        "cohort_rows": _group_table(report["cohorts"][::-1]),
    }


def _group_table(groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return groups with their steps by name, and the shown steps: the usual ones, and those that are not zero."""
    rows = [{**each, "known": _by_step(each["bridge"])} for each in groups]
    used = {name for row in rows for name, step in row["known"].items() if step["arr"]}
    return {"groups": rows, "steps": [name for name in STEP_WORDS if name in used | USUAL_STEPS]}


def _by_step(bridge: Mapping[str, Any]) -> dict[str, Any]:
    return {each["step"]: each for each in bridge["steps"] or ()}


def _chart(view: PageView[LeadershipPageQuery], report: dict[str, Any] | None) -> Any:
    """Return the bridge as a cached chart; None if it is unknown."""
    steps = None if report is None else report["bridge"]["steps"]
    if steps is None:
        return None
    amounts = tuple(each["arr"] for each in steps)
    named = [{**each, "words": STEP_WORDS[each["step"]]} for each in steps]
    cache = filtered_cache(view.scored, view.asked.account_filter)
    return cache.get(("bridge chart", amounts), lambda: arr_bridge_chart(named))
