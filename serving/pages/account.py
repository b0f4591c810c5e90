"""The page of one account: its status, the reasons, what changed, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from features.errors import HomeError
from features.utils.formatting import plain
from models.explain.reason_text import value_words
from models.health.parent_health import PARENT_HEALTH_WORDS
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.columns import number_or_null
from models.predictions.payload import account_row
from models.rules.early_warnings import RENEWAL
from serving.account_reports.business_review import GATE
from serving.account_reports.schemas import quarter_name
from serving.common.errors import AlreadyUnderWay, StoreDown
from serving.common.json_logs import error_location, log_event
from serving.html.links import account_href, with_query
from serving.html.sparklines import axis_maximum, polylines, sparkline
from serving.html.templates import mark_uncertain
from serving.http.authentication import Caller, current_caller, require_scope
from serving.http.dependencies import LiveStateDep, StoreDep
from serving.pages.account_params import AccountInPath, AccountPageQuery, AccountQuery, requested_account
from serving.pages.account_trend import trend_section
from serving.pages.exports.details import account_exports
from serving.pages.filter_bar import carried_query
from serving.pages.interventions import conflict_page
from serving.pages.snapshot_context import (
    account_people,
    accounts_off_worklist,
    signal_history,
    snapshot_dates,
    snoozed_accounts,
)
from serving.pages.work_forms import (
    RESULTS,
    assignee_names,
    playbook,
    redirect_with_message,
    refuse_invalid,
    render_with_message,
    snooze_choice,
    snooze_choices,
    suggested_assignee,
    text_field,
)
from serving.portfolio.account_health import account_health
from serving.portfolio.account_hierarchy import account_hierarchy
from serving.portfolio.account_products import FACT_WORDS, account_products
from serving.portfolio.account_search import account_by_name
from serving.schemas.form_fields import form_fields
from serving.schemas.interventions import InterventionRequest, SnoozeRequest
from serving.snapshots.live_state import LiveState, LiveStateManager
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, PRODUCTS
from serving.snapshots.signal_history import SignalHistory
from serving.store.database import Store
from serving.store.records import Author
from serving.worklist.intervention_changes import end_snooze, snooze_plays, start_intervention
from serving.worklist.intervention_history import Intervention, account_history, history_text
from serving.worklist.intervention_lists import interventions_under_way

#: The account details from the source that the page shows.
PEOPLE = ("name", "csm", "industry", "region", "renewal_at", "notice_at")
#: Width and height of the chart of weekly scores.
FIELD = (600, 150)

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


@router.get("/accounts/{account_id:path}")
def get_account_page(
    request: Request,
    live: LiveStateDep,
    store: StoreDep,
    account_id: AccountInPath,
    asked: Annotated[AccountPageQuery, Query()],
) -> Response:
    """Return the page of one account. Its name in the address leads to the address with its id."""
    account, state = requested_account(account_id, asked.id), live.current()
    scored = state.scored(asked.as_of)
    if account not in scored.assessment.places:
        return RedirectResponse(account_href(account_by_name(scored, account), carried_query(asked, asked.when)), 303)
    mark_uncertain(request, scored.assessment.open_questions)
    row = account_row(scored.assessment, account)
    weeks, bundles = signal_history(scored), scored.assessment.champion.bundles
    prediction, health = scored.answer(account), account_health(scored, account)
    everyone = account_people(scored)
    people = dict.fromkeys(PEOPLE) | dict(everyone.get(account, {}))
    history, work = _history(store, account), accounts_off_worklist(scored, store).get(account)
    horizons = [point["probability"] or 0.0 for t in ("churn", "expansion") for point in prediction[t]["by_horizon"]]
    intervals = [prediction[t]["interval"][1] for t in ("churn", "expansion") if prediction[t]["interval"]]
    return render_with_message(
        request,
        store,
        everyone,
        "account.html",
        exports=account_exports,
        title=people["name"] or account,
        section="portfolio",
        prediction=prediction,
        work=work,
        until=snoozed_accounts(scored, store).get(account) if work == "snoozed" else None,
        under_way=_under_way(store, account) if work == "under_way" else [],
        snoozes=snooze_choices(request, asked.as_of),
        results=RESULTS,
        playbook=playbook(),
        assignees=assignee_names(state),
        me=suggested_assignee(request),
        text=history_text,
        work_history=history or [],
        health=health,
        gate_labels=GATE,
        members={target: bundle.scorer.members for target, bundle in bundles.items()},
        compared={target: bool(bundle.comparables.means) for target, bundle in bundles.items()},
        people=people,
        hierarchy=_hierarchy(scored, account),
        parent_words=PARENT_HEALTH_WORDS,
        products=_products(scored, account),
        fact_words=FACT_WORDS,
        arr=number_or_null(number_column(scored.assessment.frame, ARR_FEATURE)[row]),
        renewal=number_or_null(number_column(scored.assessment.frame, RENEWAL)[row]),
        top=axis_maximum(max((*horizons, *intervals), default=1.0)),
        dimensions=_dimensions(prediction, health, weeks, row),
        changes=_changes(scored, weeks, row),
        history=_history_chart(health),
        trend=trend_section(state, scored, store, account, asked.since),
        timeline=_timeline(prediction, health, history or []),
        no_store=history is None,
        pull_top=max(
            (abs(r["contribution_log_odds"]) for r in (*prediction["reasons"], *prediction["expansion"]["reasons"])),
            default=1.0,
        ),
        dates=snapshot_dates(state, scored),
        quarter=quarter_name(scored.as_of),
        asked=asked,
        dated=with_query("", {"as_of": asked.when}),
        query=carried_query(asked, asked.when),
    )


@router.post("/accounts/{account_id:path}", dependencies=[require_scope("write")])
async def post_work_form(
    request: Request,
    live: LiveStateDep,
    store: StoreDep,
    caller: Annotated[Caller, Depends(current_caller)],
    account_id: AccountInPath,
    asked: Annotated[AccountQuery, Query()],
) -> Response:
    """Start a play for the account, snooze its plays or end the snooze, as the form says.

    If someone else has started one meanwhile, return its page with what the caller has typed (409)."""
    account, form = requested_account(account_id, asked.id), await form_fields(request)
    author, href = caller.author, account_href(account, carried_query(asked, None))
    try:
        if form.get("do") == "start":
            started = await run_in_threadpool(_start, live, store, author, account, form)
            return redirect_with_message(form, href, started.id, request)
        if form.get("do") == "resume":
            ended = await run_in_threadpool(end_snooze, live, store, author, account)
            return redirect_with_message(form, href, ended.id, request)
        snooze = SnoozeRequest.model_validate(
            {"until": snooze_choice(form), "play": form.get("play") or None, "note": text_field(form, "note")}
        )
    except ValidationError as error:
        raise refuse_invalid(error) from None
    except AlreadyUnderWay as error:
        return await run_in_threadpool(conflict_page, request, live, store, error.current, form, None)
    record = await run_in_threadpool(snooze_plays, live, store, author, account, snooze)
    return redirect_with_message(form, href, record.id, request)


def _start(live: LiveStateManager, store: Store, author: Author, account: str, form: Mapping[str, str]) -> Intervention:
    """Start the play of a form, with the severity and the alerts that the account has in the latest snapshot."""
    state = live.current()
    play = form.get("play") or None
    request = InterventionRequest.model_validate(
        {
            "account_id": account,
            "occurred_at": datetime.now(UTC).isoformat(),
            "play": play,
            "severity": _severity(state, account, play),
            "assignee": text_field(form, "assignee"),
            "note": text_field(form, "note"),
            "refuse_if_under_way": True,
        }
    )
    return start_intervention(store, author, request, state)


def _severity(state: LiveState, account: str, play: str | None) -> str | None:
    """Return the severity of an account's play; None if the account has no such play.

    Raises
    ------
    UnknownAccount : the account is not in the latest snapshot.
    """
    assessment = state.scored(None).assessment
    plays = assessment.rule_results.plays_of(account_row(assessment, account))
    return next((each.severity for each in plays if each.cause == play), None)


def _hierarchy(scored: ScoredSnapshot, account: str) -> dict[str, Any] | None:
    """Return the account's company; None if its sidecar is not valid, so that the page shows the rest."""
    try:
        payload = account_hierarchy(scored, account)
    except HomeError as error:
        log_event("companion_refused", name=ACCOUNTS, **error_location(error))
        return None
    parent = account_people(scored).get(payload["parent_id"] or "", {})
    return payload | {"parent_name": parent.get("name")}


def _products(scored: ScoredSnapshot, account: str) -> list[dict[str, Any]]:
    """Return the account's products; none if their sidecar is not valid, so that the page shows the rest."""
    try:
        products: list[dict[str, Any]] = account_products(scored, account)["products"]
    except HomeError as error:
        log_event("companion_refused", name=PRODUCTS, **error_location(error))
        return []
    return products


def _history(store: Store, account: str) -> list[dict[str, Any]] | None:
    """Read what people recorded; None if the store is unavailable, so that the page shows the rest."""
    try:
        with store.read() as connection:
            return [entry.as_dict() for entry in account_history(connection, account)]
    except StoreDown:
        return None


def _under_way(store: Store, account: str) -> list[dict[str, Any]]:
    """Return the interventions under way; none if the store is unavailable."""
    try:
        with store.read() as connection:
            return interventions_under_way(connection, {account})
    except StoreDown:
        return []


def _dimensions(
    prediction: dict[str, Any], health: dict[str, Any], weeks: SignalHistory, row: int
) -> list[dict[str, Any]]:
    """Return the dimensions of the health score with their effect on the model, then those of the model only."""
    explained = prediction["churn"]["explained"]
    pulls = dict(explained["by_dimension"]) if explained else {}
    over_time = {each["feature"]: each["values"] for each in weeks.of(row)}
    rows = []
    for part in health["breakdown"]:
        signals = [
            {
                **signal,
                "shown": _shown(signal["value"], signal["unit"], signal["words"]),
                "spark": sparkline(over_time.get(signal["feature"], [])),
            }
            for signal in part["signals"]
        ]
        rows.append({**part, "signals": signals, "pull": pulls.pop(part["dimension"], None)})
    others = [{"dimension": name, "points": None, "signals": [], "pull": pull} for name, pull in pulls.items()]
    top = max((abs(each["pull"]) for each in (*rows, *others) if each["pull"] is not None), default=0.0) or 1.0
    return [{**each, "share": None if each["pull"] is None else each["pull"] / top} for each in (*rows, *others)]


def _changes(scored: ScoredSnapshot, weeks: SignalHistory, row: int) -> list[dict[str, Any]]:
    rows = []
    for change in weeks.changes(row, scored.assessment.health):
        feature = scored.catalogue.get(change["feature"])
        words, unit = (change["feature"], "") if feature is None else (feature.words, feature.unit)
        shown = {when: _shown(change[when], unit, words) for when in ("before", "now")}
        rows.append({**change, "words": words, **shown})
    return rows


def _shown(value: float | None, unit: str | None, words: str | None) -> str:
    return "unknown" if value is None else value_words(value, unit or "", words or "")


def _history_chart(health: dict[str, Any]) -> dict[str, Any]:
    """Return the coordinates of the chart of weekly scores: lines, points and the bands behind them."""
    width, height = FIELD
    history, bands = health["history"], health["bands"]
    scores = [each["score"] for each in history]
    step = width / max(1, len(scores) - 1)
    limits = (
        ("red", bands["red"], bands["yellow"]),
        ("yellow", bands["yellow"], bands["green"]),
        ("green", bands["green"], 100),
    )
    return {
        "lines": polylines(scores, width, height),
        "points": [
            {"x": round(i * step, 1), "y": round(height - height * each["score"] / 100, 1), **each}
            for i, each in enumerate(history)
        ],
        "bands": [
            {"band": band, "y": height - height * end / 100, "height": height * (end - begin) / 100, "begins": begin}
            for band, begin, end in limits
        ],
        "width": width,
        "height": height,
        "every": max(1, len(scores) // 6),
    }


def _timeline(prediction: dict[str, Any], health: dict[str, Any], work: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events, latest first: alerts, early warnings, band changes and recorded actions."""
    events: list[dict[str, Any]] = [
        {
            "at": alert["since"],
            "kind": "alert",
            "tone": "bad",
            "says": alert["says"],
            "more": f"to {alert['to']}",
            "by": alert["by"],
        }
        for alert in prediction["alerts"]
    ]
    events += [
        {
            "at": sign["since"],
            "kind": "early warning",
            "tone": "fair",
            "says": sign["says"],
            "more": sign["severity"],
            "by": None,
        }
        for sign in prediction["early_warnings"]
        if sign["since"] is not None
    ]
    history = health["history"]
    for before, now in pairwise(history):
        if before["band"] != now["band"]:
            says = (
                f"health changed from {before['band']} to {now['band']} ({before['score']:.0f} to {now['score']:.0f})"
            )
            events.append(
                {"at": now["as_of"], "kind": "band change", "tone": now["band"], "says": says, "more": None, "by": None}
            )
    events += [
        {
            "at": entry["at"],
            "kind": "snooze" if entry["actions"] == ["plays_snoozed"] else "work",
            "tone": "none",
            "says": history_text(entry),
            "more": ", ".join(filter(None, (plain(entry["play"]) if entry["play"] else None, entry["by"]))) or None,
            "by": None,
        }
        for entry in work
    ]
    return sorted(events, key=lambda each: str(each["at"])[:10], reverse=True)
