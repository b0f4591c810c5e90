"""The worklist page (this week's priorities), with the data of GET /v1/worklist."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from serving.html.links import with_query
from serving.http.authentication import require_scope
from serving.http.dependencies import StoreDep
from serving.pages.exports.lists import WORKLIST_STEPS, worklist_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.snapshot_context import account_people, accounts_off_worklist, snoozed_accounts
from serving.pages.sortable_list import LABEL, ListColumn, ListQuery, arrange, headings
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
"""The maximum number of interventions under way that are listed."""
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
    params = {**asked.chosen, **others, **asked.list_params}

    def link(**changes: object) -> str:
        return with_query("/worklist", {**params, **changes}) + "#list"

    columns = [
        each._replace(words=f"Churn risk, {worklist['horizon_days']} days") if each.name == "risk" else each
        for each in COLUMNS
    ]
    people = account_people(scored)
    under_way = _under_way(store, selection) if asked.as_of is None else []
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
        under_way=under_way[:UNDER_WAY_SHOWN],
        every_under_way=under_way,
        more_under_way=max(len(under_way) - UNDER_WAY_SHOWN, 0),
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
        undated={name: value for name, value in params.items() if name != "as_of"},
        unsearched={name: value for name, value in params.items() if name not in asked.list_params},
        filters=view.filters("/worklist", {**others, **asked.list_params}),
        dates=view.dates,
        query=view.query,
        capacities=sorted({*CAPACITIES, asked.capacity}),
        ordered=RANKINGS[worklist["ordered_by"]],
        sources=effect_sources(worklist) if worklist["saved_arr"]["worklist"] is not None else None,
        json=with_query("/v1/worklist", {"as_of": asked.when, "capacity": asked.capacity, **asked.chosen}),
    )
    return view.remember(page)


def _under_way(store: Store, selection: AccountSelection) -> list[dict[str, Any]]:
    """Return the interventions under way on the selected accounts."""
    with store.read() as connection:
        return interventions_under_way(connection, selection.ids)


def _snoozed(view: PageView[WorklistPageQuery], store: Store) -> list[dict[str, Any]]:
    """Return the selected accounts whose plays are snoozed, those that return first come first."""
    off, people = accounts_off_worklist(view.scored, store), account_people(view.scored)
    return [
        {"account_id": account, **{name: people.get(account, {}).get(name) for name in ("name", "csm")}, "until": until}
        for account, until in sorted(snoozed_accounts(view.scored, store).items(), key=lambda each: each[1])
        if off.get(account) == "snoozed" and view.selection.includes(account)
    ]
