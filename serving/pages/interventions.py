"""The pages of interventions: the list with results by play and alert rule, and each one with its history and forms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BeforeValidator, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from features.errors import BadRequest, RenewcastError
from serving.common.errors import InterventionChanged
from serving.common.json_logs import error_location, log_event
from serving.html.links import with_query
from serving.html.navigation import link_query
from serving.html.templates import amount_text
from serving.http.authentication import Caller, current_caller, require_scope
from serving.http.dependencies import LiveStateDep, StoreDep
from serving.pages.exports.work import intervention_exports, interventions_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.snapshot_context import account_people
from serving.pages.sortable_list import LABEL, ListColumn, ListQuery, arrange, headings, paginate
from serving.pages.work_forms import (
    RESULTS,
    SNOOZES,
    amount_field,
    assignee_names,
    may_write,
    redirect_with_message,
    refuse_invalid,
    render_with_message,
    snooze_choice,
    text_field,
)
from serving.schemas.account_filter import PageFilter
from serving.schemas.form_fields import digits_to_int, empty_to_none, form_fields
from serving.schemas.interventions import InterventionChange
from serving.snapshots.account_attributes import AccountSelection
from serving.snapshots.live_state import LiveState, LiveStateManager
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.store.database import Store
from serving.worklist.intervention_changes import change_intervention
from serving.worklist.intervention_history import find_intervention, history_text, read_interventions
from serving.worklist.intervention_lists import select_interventions
from serving.worklist.published_worklist import published_results

#: The number of interventions on one page.
PAGE = 50
COLUMNS = (
    ListColumn("account", "Account", LABEL),
    ListColumn("play", "Play", "play"),
    ListColumn("state", "State", "shown_state"),
    ListColumn("assignee", "Assignee", "assignee"),
    ListColumn("started", "Started", "started_at", largest_first=True),
    ListColumn("last", "Last action", "last_at", largest_first=True),
)
"""The columns of the list. By default, those that began last come first."""
STATES = {"all": "All", "open": "Open", "snoozed": "Snoozed", "closed": "Closed", "held_out": "Held out"}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])
InterventionInPath = Annotated[str, Path(max_length=40, pattern="^int_[0-9a-zA-Z]+$")]


class InterventionsPageQuery(PageFilter, ListQuery):
    """The filter of accounts, the state, the person, and the list. The date that links carry does not matter."""

    as_of: Annotated[str | None, Field(max_length=40)] = None
    state: Literal["all", "open", "snoozed", "closed", "held_out"] = "open"
    assignee: Annotated[Annotated[str, Field(max_length=200)] | None, BeforeValidator(empty_to_none)] = None


@router.get("/interventions")
def get_interventions_page(
    request: Request,
    store: StoreDep,
    view: Annotated[PageView[InterventionsPageQuery], page_view(InterventionsPageQuery)],
) -> Response:
    """Return the list of interventions, and their results by play and alert rule. It does not depend on a date."""
    scored, asked, selection = view.scored, view.asked, view.selection
    people = account_people(scored)
    wanted = None if asked.state == "all" else asked.state
    with store.read() as connection:
        every = read_interventions(connection)
    today = datetime.now(UTC).date()
    found = [
        {
            **each.as_dict(today),
            "name": people.get(each.account_id, {}).get("name"),
            "shown_state": each.result or STATES[each.state(today)],
            "last_at": each.history[-1].at,
        }
        for each in select_interventions(every, today, wanted, asked.assignee, selection.ids)
    ]
    rows = arrange(found, asked, COLUMNS)
    others: dict[str, object] = {
        "assignee": asked.assignee,
        "state": None if asked.state == "open" else asked.state,
        **asked.list_params,
    }

    def link(**changes: object) -> str:
        return with_query("/interventions", {**asked.chosen, **others, **changes}) + "#list"

    page = render_with_message(
        request,
        store,
        people,
        "interventions.html",
        exports=interventions_exports,
        title="Interventions",
        section="interventions",
        found=found,
        rows=rows,
        listed=paginate(rows, asked.page, PAGE),
        headings=headings(COLUMNS, asked.sort, asked.way, link),
        link=link,
        people=people,
        results=_results(scored, store, selection),
        asked=asked,
        filters=view.filters("/interventions", others),
        chosen=asked.chosen,
        query=view.query,
        states=STATES,
        assignees=sorted({each.assignee for each in every if each.assignee}, key=str.casefold),
        last=lambda each: history_text(each["history"][-1]),
        json=with_query("/v1/interventions", {**asked.chosen, "state": wanted, "assignee": asked.assignee}),
        results_json=with_query("/v1/interventions:results", asked.chosen),
    )
    return view.remember(page)


@router.get("/interventions/{intervention_id}")
def get_intervention_page(
    request: Request, live: LiveStateDep, store: StoreDep, intervention_id: InterventionInPath
) -> Response:
    """Return the page of one intervention."""
    with store.read() as connection:
        intervention = find_intervention(connection, intervention_id).as_dict()
    return intervention_page(request, live, store, intervention)


@router.post("/interventions/{intervention_id}", dependencies=[require_scope("write")])
async def post_intervention_form(
    request: Request,
    live: LiveStateDep,
    store: StoreDep,
    caller: Annotated[Caller, Depends(current_caller)],
    intervention_id: InterventionInPath,
) -> Response:
    """Change an intervention as the form says. If others changed it since, return the page with both texts (409)."""
    form = await form_fields(request)
    version = digits_to_int(form.get("version"))
    if not isinstance(version, int) or version > 10**9:
        raise BadRequest("the form does not say which version it changes", "a version", "submit the form on the page")
    try:
        fields, fault = _changed_fields(form), None
        if _has_new_amount(form):
            fields["arr"], fault = amount_field(form, "arr")
        if fault is not None:
            return await run_in_threadpool(_refuse_amount, request, live, store, intervention_id, form, version, fault)
        change = InterventionChange.model_validate(fields or {"note": None})
        changed = await run_in_threadpool(change_intervention, store, caller.author, intervention_id, change, version)
    except ValidationError as error:
        raise refuse_invalid(error) from None
    except InterventionChanged as error:
        return await run_in_threadpool(conflict_page, request, live, store, error.current, form, version)
    page = f"/interventions/{intervention_id}{link_query(request.query_params)}"
    return redirect_with_message(form, page, changed.id, request)


def _refuse_amount(
    request: Request,
    live: LiveStateManager,
    store: Store,
    intervention_id: str,
    form: Mapping[str, str],
    version: int,
    fault: str,
) -> Response:
    """Return the page with what is wrong with the ARR and what the caller has typed (422).

    If others changed the intervention, this comes first (409): the form of the page has the present version.
    """
    with store.read() as connection:
        current = find_intervention(connection, intervention_id).as_dict()
    if current["version"] != version:
        return conflict_page(request, live, store, current, form, version)
    return intervention_page(request, live, store, current, form, status=422, fault=fault)


def conflict_page(
    request: Request,
    live: LiveStateManager,
    store: Store,
    current: Mapping[str, Any],
    form: Mapping[str, str],
    version: int | None,
) -> Response:
    """Return the page of an intervention that others changed or started, with what the caller has typed (409).

    Parameters
    ----------
    current : the intervention as it is now.
    form : the fields of the form.
    version : the version that the caller has seen; None if the caller has not seen the intervention.
    """
    conflict = {
        "entries": [each for each in current["history"] if version is None or each["version"] > version],
        "started": version is None,
        "wanted": _wanted(form),
    }
    return intervention_page(request, live, store, current, form, conflict, 409)


def intervention_page(
    request: Request,
    live: LiveStateManager,
    store: Store,
    intervention: Mapping[str, Any],
    form: Mapping[str, str] | None = None,
    conflict: Mapping[str, Any] | None = None,
    status: int = 200,
    fault: str | None = None,
) -> Response:
    """Return the page of one intervention.

    Parameters
    ----------
    intervention : a `serving.worklist.intervention_schemas.InterventionResponse`.
    form : what the caller has typed, which is kept; None for the values of the intervention.
    conflict : what others did meanwhile, and what the caller wanted.
    status : the status of the answer.
    fault : what is wrong with the ARR that the caller has typed.
    """
    state = live.current()
    people = people_of(state)
    account = people.get(intervention["account_id"], {})
    return render_with_message(
        request,
        store,
        people,
        "intervention.html",
        exports=intervention_exports,
        status=status,
        title=account.get("name") or intervention["account_id"],
        section="interventions",
        one=intervention,
        form={
            # An assignee that the caller did not change is the present one, which others may have changed.
            "assignee": form["assignee"] if form and _has_new_assignee(form) else intervention["assignee"] or "",
            "note": (form or {}).get("note", ""),
            "arr": form["arr"] if form and _has_new_amount(form) else amount_text(intervention["arr"]),
            "next": (form or {}).get("next") or with_query(request.url.path, request.query_params),
        },
        conflict=conflict,
        fault=fault,
        states=STATES,
        results=RESULTS,
        snoozes=SNOOZES,
        assignees=assignee_names(state),
        editable=may_write(request),
        text=history_text,
    )


def people_of(state: LiveState) -> Mapping[str, Mapping[str, Any]]:
    """Return the details of accounts by their id; empty without a snapshot."""
    return {} if state.latest is None else account_people(state.latest)


def _has_new_assignee(form: Mapping[str, str]) -> bool:
    return "assignee" in form and form["assignee"].strip() != form.get("was_assigned", "").strip()


def _has_new_amount(form: Mapping[str, str]) -> bool:
    return "arr" in form and form["arr"].strip() != form.get("was_arr", "").strip()


def _changed_fields(form: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if _has_new_assignee(form):
        fields["assignee"] = text_field(form, "assignee")
    if (note := text_field(form, "note")) is not None:
        fields["note"] = note
    if "days" in form:
        fields["snoozed_until"] = snooze_choice(form)
    elif form.get("do") == "resume":
        fields["snoozed_until"] = None
    elif "result" in form:
        fields["result"] = form["result"]
    elif form.get("do") != "save":
        raise BadRequest("the form does not say what to do", "one of its buttons", "submit the form on the page")
    return fields


def _wanted(form: Mapping[str, str]) -> str | None:
    """Return in words what a button of the caller's form was meant to do; None if it only saves the texts."""
    if form.get("result") in RESULTS:
        return f"close it as {RESULTS[form['result']].lower()}"  # type: ignore[index]
    if digits_to_int(form.get("days")) in SNOOZES:
        return f"snooze it for {digits_to_int(form['days'])} days"
    if form.get("do") == "resume":
        return "end the snooze"
    return "start a play" if form.get("do") == "start" else None


def _results(scored: ScoredSnapshot, store: Store, selection: AccountSelection) -> dict[str, Any] | None:
    """Return the results; None if the interventions of the snapshot cannot be read."""
    try:
        return published_results(scored, store, selection)
    except RenewcastError as error:
        log_event("work_refused", **error_location(error))
        return None
