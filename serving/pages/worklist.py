"""The worklist page (this week's priorities), with the data of GET /v1/worklist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from serving.html.links import with_query, without
from serving.http.authentication import require_scope
from serving.http.dependencies import StoreDep
from serving.pages.exports.lists import WORKLIST_STEPS, worklist_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.snapshot_context import account_people, accounts_off_worklist, snoozed_accounts
from serving.pages.sortable_list import (
    LABEL,
    ListColumn,
    ListQuery,
    PageField,
    SortField,
    WayField,
    arrange,
    headings,
    paginate,
)
from serving.pages.work_forms import (
    RESULTS,
    assignee_names,
    playbook,
    render_with_message,
    snooze_choices,
    suggested_assignee,
)
from serving.schemas.account_filter import PageFilter
from serving.schemas.form_fields import SnapshotPageQuery, digits_to_int
from serving.snapshots.account_attributes import AccountSelection
from serving.store.database import Store
from serving.worklist.effects import effect_sources
from serving.worklist.intervention_history import history_text
from serving.worklist.intervention_lists import interventions_under_way
from serving.worklist.published_worklist import published_worklist

#: The maximum capacity.
CAPACITY_LIMIT = 100
CAPACITIES = (10, 20, 30, 50, 100)
CAPACITY = 20
"""The default capacity."""
UNDER_WAY_SHOWN = 20
"""The number of interventions under way on one page of their list."""
RUNNING_COLUMNS = (
    ListColumn("account", "Account", LABEL),
    ListColumn("play", "Play", "play"),
    ListColumn("assignee", "Assignee", "assignee"),
    ListColumn("started", "Started", "started_at", largest_first=True),
    ListColumn("last", "Last action", "last_at", largest_first=True),
)
"""The columns of the interventions under way. By default, those that began last come first."""
COLUMNS = (
    ListColumn("rank", "#", "rank", number=True),
    ListColumn("account", "Account", LABEL),
    ListColumn("action", "Action", "play.act"),
    ListColumn("reason", "Reason", "why"),
    ListColumn("due", "Due", "play.due"),
    ListColumn("renewal", "Renewal", "renewal_at"),
    ListColumn("health", "Health", "health_score"),
    ListColumn("risk", "Churn risk", "churn_probability", number=True, largest_first=True),
    ListColumn("loss", "ARR at risk", "arr_at_risk", number=True, largest_first=True),
)
"""The columns of the list."""
TOO_LATE_COLUMNS = frozenset({"account", "renewal", "risk", "loss"})
"""Those of them that accounts have for which it is too late."""
SNOOZED_COLUMNS = frozenset({"account"})
"""Those of them that snoozed accounts have; by default, those that return first come first."""
RANKINGS = {
    "expected_saved_arr": "Ranked by expected saved ARR",
    "arr_at_risk": "Ranked by ARR at risk",
    "health": "Ranked by health score, lowest first",
}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class WorklistPageQuery(SnapshotPageQuery, PageFilter, ListQuery):
    """The capacity, the filter, and search and order of the list."""

    capacity: Annotated[int, BeforeValidator(digits_to_int), Field(ge=1, le=CAPACITY_LIMIT)] = CAPACITY
    running_sort: SortField = None
    running_way: WayField = None
    running_page: PageField = 1

    @property
    def running(self) -> ListQuery:
        """Search, order and page of the interventions under way. The search is that of the page."""
        return ListQuery(q=self.q, sort=self.running_sort, way=self.running_way, page=self.running_page)


@router.get("/worklist")
def get_worklist_page(
    request: Request,
    store: StoreDep,
    view: Annotated[PageView[WorklistPageQuery], page_view(WorklistPageQuery)],
) -> Response:
    """Return the worklist page."""
    scored, asked, selection = view.scored, view.asked, view.selection
    worklist = published_worklist(scored, store, asked.capacity, selection)
    others = {"as_of": asked.when, "capacity": None if asked.capacity == CAPACITY else asked.capacity}
    running_params = {"running_sort": asked.running_sort, "running_way": asked.running_way}
    params: dict[str, object] = {**asked.chosen, **others, **asked.list_params, **running_params}

    def link(**changes: object) -> str:
        return with_query("/worklist", {**params, **changes}) + "#list"

    def running_link(**changes: object) -> str:
        renamed = {f"running_{name.removeprefix('running_')}": value for name, value in changes.items()}
        return with_query("/worklist", {**params, **renamed}) + "#running"

    columns = [
        each._replace(words=f"Churn risk, {worklist['horizon_days']} days") if each.name == "risk" else each
        for each in COLUMNS
    ]
    people = account_people(scored)
    under_way = [] if asked.as_of is not None else _under_way(store, selection, people)
    running = arrange(under_way, asked.running, RUNNING_COLUMNS)
    page = render_with_message(
        request,
        store,
        people,
        "worklist.html",
        exports=worklist_exports,
        steps=WORKLIST_STEPS,
        title="Worklist",
        section="worklist",
        worklist=worklist,
        under_way=under_way,
        every_under_way=running,
        running=paginate(running, asked.running_page, UNDER_WAY_SHOWN),
        running_headings=headings(RUNNING_COLUMNS, asked.running_sort, asked.running_way, running_link),
        running_link=running_link,
        unsorted=without(params, *running_params),
        people=people,
        last=lambda each: history_text(each["history"][-1]),
        snoozes=snooze_choices(request, asked.as_of),
        results=RESULTS,
        playbook=playbook(),
        me=suggested_assignee(request),
        assignees=assignee_names(view.state),
        here=with_query("/worklist", params),
        snoozed=arrange(_snoozed(view, store), asked, [each for each in columns if each.name in SNOOZED_COLUMNS]),
        accounts=arrange(worklist["accounts"], asked, columns),
        too_late=arrange(worklist["too_late"], asked, [each for each in columns if each.name in TOO_LATE_COLUMNS]),
        headings=headings(columns, asked.sort or "rank", asked.way, link),
        asked=asked,
        link=link,
        undated=without(params, "as_of"),
        unsearched=without(params, *asked.list_params),
        filters=view.filters("/worklist", {**others, **asked.list_params, **running_params}),
        dates=view.dates,
        query=view.query,
        capacities=sorted({*CAPACITIES, asked.capacity}),
        ordered=RANKINGS[worklist["ordered_by"]],
        sources=effect_sources(worklist) if worklist["saved_arr"]["worklist"] is not None else None,
        json=with_query("/v1/worklist", {"as_of": asked.when, "capacity": asked.capacity, **asked.chosen}),
    )
    return view.remember(page)


def _under_way(
    store: Store, selection: AccountSelection, people: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the interventions under way on the selected accounts, with the names of these."""
    with store.read() as connection:
        found = interventions_under_way(connection, selection.ids)
    return [
        {**each, "name": people.get(each["account_id"], {}).get("name"), "last_at": each["history"][-1]["at"]}
        for each in found
    ]


def _snoozed(view: PageView[WorklistPageQuery], store: Store) -> list[dict[str, Any]]:
    """Return the selected accounts whose plays are snoozed, those that return first come first."""
    off, people = accounts_off_worklist(view.scored, store), account_people(view.scored)
    return [
        {"account_id": account, **{name: people.get(account, {}).get(name) for name in ("name", "csm")}, "until": until}
        for account, until in sorted(snoozed_accounts(view.scored, store).items(), key=lambda each: each[1])
        if off.get(account) == "snoozed" and view.selection.includes(account)
    ]
