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
from serving.html.links import with_query, without
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import StoreDep
from serving.leadership.arr_bridge import STEP_WORDS
from serving.leadership.published_report import published_leadership
from serving.pages.exports.leadership import FORECAST_WORDS, leadership_exports
from serving.pages.filter_bar import LABELS
from serving.pages.page_view import PageView, page_view
from serving.pages.snapshot_context import accounts_off_worklist
from serving.pages.sortable_list import (
    LABEL,
    ListColumn,
    ListQuery,
    PageField,
    SearchField,
    SortField,
    WayField,
    arrange,
    headings,
    paginate,
)
from serving.presentations.report_files import leadership_file, leadership_file_name
from serving.schemas.account_filter import PageFilter
from serving.schemas.divisions import ExclusiveDivision
from serving.schemas.form_fields import MarginQuery, SnapshotPageQuery, empty_to_none
from serving.snapshots.account_attributes import filtered_cache

DIVISIONS: dict[ExclusiveDivision, str] = {name: LABELS[name] for name in get_args(ExclusiveDivision)}
USUAL_STEPS = {"arr_start", "new", "expanded", "contracted", "churned", "arr_end"}
"""The steps that are shown for each group, also if they are zero."""
#: The number of groups and of CSMs on one page.
GROUPS = 25
RATES = {"nrr": "NRR", "grr": "GRR", "logo_retention": "Logo retention"}
CSM_COLUMNS = (
    ListColumn("csm", "CSM", LABEL),
    ListColumn("load", "Load", "load", largest_first=True),
    ListColumn("accounts", "Accounts", "accounts", number=True, largest_first=True),
    ListColumn("arr", "ARR", "arr", number=True, largest_first=True),
    ListColumn("loss", "ARR at risk", "expected_churned_arr", number=True, largest_first=True),
)
"""The columns of the CSMs. By default, the highest load comes first."""

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class LeadershipPageQuery(SnapshotPageQuery, PageFilter, MarginQuery, ListQuery):
    """The filter, the snapshot, the groups, the gross margin in percent, and the lists of groups and of CSMs."""

    by: Annotated[ExclusiveDivision | None, BeforeValidator(empty_to_none)] = None
    csms_q: SearchField = ""
    csms_sort: SortField = None
    csms_way: WayField = None
    csms_page: PageField = 1

    @property
    def csms(self) -> ListQuery:
        """Search, order and page of the list of CSMs."""
        return ListQuery(q=self.csms_q, sort=self.csms_sort, way=self.csms_way, page=self.csms_page)


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
    lists = {
        **asked.list_params,
        **{f"csms_{name}": value for name, value in asked.csms.list_params.items()},
    }
    params: dict[str, object] = {**asked.chosen, **others}
    every: dict[str, object] = {**params, **lists, **_numbers(asked)}

    def link(**changes: object) -> str:
        return with_query("/leadership", {**params, **changes})

    def groups_link(**changes: object) -> str:
        return with_query("/leadership", {**every, "page": None, **changes}) + "#groups"

    def csms_link(**changes: object) -> str:
        return with_query("/leadership", {**every, "csms_page": None, **_prefixed(changes)}) + "#csms"

    tables = _tables(report, asked, DIVISIONS[by])
    if report is not None:
        # Files have the order and the search of the page.
        capacity = {**report["capacity"], "by_csm": tables["csms"]}
        exported = {**report, "groups": tables["groups"], "capacity": capacity}
    else:
        exported = None

    page = render_page(
        request,
        "leadership.html",
        exports=leadership_exports,
        title="Leadership",
        section="leadership",
        asked=asked,
        report=report,
        exported=exported,
        step_words=STEP_WORDS,
        forecast_words=FORECAST_WORDS,
        chart=_chart(view, report),
        presentation=ExportFile(
            leadership_file_name(scored),
            lambda: leadership_file(scored, view.selection, accounts_off_worklist(scored, store)),
        ),
        **tables,
        by=by,
        margin=asked.margin_percent,
        divisions=DIVISIONS,
        link=link,
        groups_link=groups_link,
        csms_link=csms_link,
        unsearched=without(every, "q", "sort", "way", "page"),
        csms_unsearched={name: value for name, value in every.items() if not name.startswith("csms_")},
        group_headings=headings(tables.get("group_columns", ()), asked.sort, asked.way, groups_link),
        csm_headings=headings(CSM_COLUMNS, asked.csms.sort, asked.csms.way, csms_link),
        undated=without(params, "as_of"),
        unpriced=without(params, "margin"),
        filters=view.filters("/leadership", {**others, **lists}),
        dates=view.dates,
        query=view.query,
        json=with_query(
            "/v1/portfolio/leadership",
            {"as_of": asked.when, "by": by, **asked.api_margin, **asked.chosen},
        ),
    )
    return view.remember(page)


def _numbers(asked: LeadershipPageQuery) -> dict[str, object]:
    """Return the pages of both lists as parameters; the first one is the default."""
    numbers = {"page": asked.page, "csms_page": asked.csms_page}
    return {name: number for name, number in numbers.items() if number > 1}


def _prefixed(changes: Mapping[str, object]) -> dict[str, object]:
    return {f"csms_{name.removeprefix('csms_')}": value for name, value in changes.items()}


def _tables(report: dict[str, Any] | None, asked: LeadershipPageQuery, title: str) -> dict[str, Any]:
    """Return parts of the report by name, for the template."""
    if report is None:
        return {}
    groups = _group_table([{**each, "account_id": each["group"] or ""} for each in report["groups"]])
    columns = _group_columns(title, groups["steps"])
    found = arrange(groups["groups"], asked, columns)
    listed = paginate(found, asked.page, GROUPS)
    csms = arrange(
        [{**each, "account_id": each["csm"]} for each in report["capacity"]["by_csm"]], asked.csms, CSM_COLUMNS
    )
    return {
        "groups": found,
        "group_columns": columns,
        "group_rows": {**groups, "groups": listed.rows},
        "group_list": listed,
        "csms": csms,
        "csm_list": paginate(csms, asked.csms_page, GROUPS),
        "measures": {each["measure"]: each for each in report["retention"]},
        "recent": _by_step(report["quarter_bridge"]),
        "cohort_rows": _group_table(report["cohorts"][::-1]),
    }


def _group_table(groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return groups with their steps by name, and the shown steps: the usual ones, and those that are not zero."""
    rows = [{**each, "known": _by_step(each["bridge"]) or None} for each in groups]
    used = {name for row in rows for name, step in (row["known"] or {}).items() if step["arr"]}
    return {"groups": rows, "steps": [name for name in STEP_WORDS if name in used | USUAL_STEPS]}


def _group_columns(title: str, steps: Sequence[str]) -> tuple[ListColumn, ...]:
    """Return the columns of the groups, by which they are sorted."""
    amounts = [(step, STEP_WORDS[step], f"known.{step}.arr") for step in steps]
    rates = [(code, words, f"{code}.value") for code, words in RATES.items()]
    due = [("due", "ARR due", "forecast.arr"), ("due_nrr", "NRR of ARR due", "forecast.nrr.expected")]
    numbers = (
        ListColumn(name, words, field, number=True, largest_first=True) for name, words, field in amounts + rates + due
    )
    return (ListColumn("group", title, LABEL), *numbers)


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
