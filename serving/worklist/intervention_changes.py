"""Recording of interventions, their changes, outcomes and snoozes, for pages, the HTTP API and the command line.

Changes are optimistic: a caller says which version of the intervention the change is based on. If others have changed
it since, nothing is stored, and the caller gets its present state. So no change is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from features.errors import BadRequest, UnknownSnapshot
from models.predictions.payload import account_row
from models.rules.intervention_effects import CLOSING_RESULTS
from serving.common.errors import AlreadyUnderWay, Fault, InterventionChanged, InvalidBody, NotReady
from serving.schemas.interventions import (
    ALERTS_LIMIT,
    SNOOZE_DAYS,
    InterventionChange,
    InterventionRequest,
    OutcomeRequest,
    SnoozeRequest,
)
from serving.snapshots.live_state import LiveState, LiveStateManager
from serving.store.database import Store, next_sequence
from serving.store.intervention_log import VersionTaken, append_change
from serving.store.records import Author, StoredRecord, store_record
from serving.worklist.intervention_history import (
    BY_OUTCOME,
    Intervention,
    closed_by,
    find_intervention,
    read_interventions,
)

#: How often a change without a version is tried again, if others change the intervention at the same time.
ATTEMPTS = 10
_NOT_STORED = frozenset({"account_id", "occurred_at", "refuse_if_under_way"})


def start_intervention(
    store: Store, author: Author, request: InterventionRequest, state: LiveState | None = None, name: str | None = None
) -> Intervention:
    """Record an intervention.

    Parameters
    ----------
    store : the store.
    author : who records it.
    request : the intervention.
    state : with the latest snapshot, whose active alerts are recorded if the request names none.
    name : makes the id, as in `serving.store.records.store_record`.

    Returns
    -------
    Intervention

    Raises
    ------
    InvalidBody : it is dated in the future.
    AlreadyUnderWay : one of the account is under way, and the request refuses that.
    StoreDown : the store cannot be reached.
    """
    _require_past(request.occurred_at)
    content = request.model_dump(mode="json", exclude=set(_NOT_STORED), exclude_none=True)
    if request.alerts is None and not request.held_out and state is not None:
        content |= _active_alerts(state, request.account_id, request.occurred_at)
    with store.begin() as connection:
        if request.refuse_if_under_way:
            # The row of this sequence is locked until the end, so that two people cannot start at the same time.
            next_sequence(connection, "interventions")
            _refuse_second(connection, request, name)
        record = store_record(
            connection, "intervention", request.account_id, request.occurred_at, content, author, name
        )
        return find_intervention(connection, record.id)


def change_intervention(
    store: Store, author: Author, intervention_id: str, change: InterventionChange, version: int | None
) -> Intervention:
    """Change an intervention: its assignee, snooze, result or notes.

    Parameters
    ----------
    store : the store.
    author : who changes it.
    intervention_id : the intervention.
    change : the new values. Values that it has already are no change.
    version : the version that the author has seen; None if the change fits any version.

    Returns
    -------
    Intervention
        As it is after the change.

    Raises
    ------
    UnknownId : there is no such intervention.
    InvalidBody : the snooze ends in the past or too far ahead.
    BadRequest : the intervention is closed, or was held out, and cannot be changed in this way.
    InterventionChanged : it has another version. Nothing is stored.
    StoreDown : the store cannot be reached.
    """
    if change.snoozed_until is not None:
        _require_snooze_day(change.snoozed_until, "/snoozed_until")
    sent = change.model_dump(mode="json", include=change.model_fields_set)
    for _ in range(ATTEMPTS):
        with suppress(VersionTaken), store.begin() as connection:
            current = find_intervention(connection, intervention_id)
            if version is not None and current.version != version:
                raise InterventionChanged(current.as_dict())
            if values := _new_values(current, sent):
                append_change(connection, intervention_id, current.version + 1, values, author)
            return find_intervention(connection, intervention_id)
    raise _too_many_changes()


def record_outcome(store: Store, author: Author, request: OutcomeRequest, name: str | None = None) -> StoredRecord:
    """Record an outcome. It closes the intervention that it names, or else the latest open one of the account.

    Parameters
    ----------
    store : the store.
    author : who records it.
    request : the outcome.
    name : makes the id, as in `serving.store.records.store_record`.

    Returns
    -------
    StoredRecord

    Raises
    ------
    InvalidBody : it is dated in the future.
    StoreDown : the store cannot be reached.
    """
    _require_past(request.occurred_at)
    content = request.model_dump(mode="json", exclude=set(_NOT_STORED), exclude_none=True)
    for _ in range(ATTEMPTS):
        with suppress(VersionTaken):
            return _record_outcome(store, author, request, content, name)
    raise _too_many_changes()


def snooze_plays(
    live: LiveStateManager,
    store: Store,
    author: Author,
    account_id: str,
    request: SnoozeRequest,
    name: str | None = None,
) -> StoredRecord:
    """Record a snooze of an account's plays. Snoozes with the same ``name`` are stored once.

    Parameters
    ----------
    live : the state of the service, to check the account.
    store : the store.
    author : who snoozes them.
    account_id : the account.
    request : the snooze.

    Raises
    ------
    UnknownAccount : the account is not in the latest snapshot.
    InvalidBody : ``until`` is before today, or too far ahead. Until today ends a snooze.
    StoreDown : the store cannot be reached.
    """
    _require_snooze_day(request.until, "/until", or_today=True)
    with suppress(UnknownSnapshot):
        account_row(live.current().scored(None).assessment, account_id)
    rest = request.model_dump(mode="json", exclude_none=True)
    with store.begin() as connection:
        return store_record(connection, "snooze", account_id, datetime.now(UTC), rest, author, name)


def end_snooze(live: LiveStateManager, store: Store, author: Author, account_id: str) -> StoredRecord:
    """Record that the plays of an account are not snoozed any more: a snooze until today replaces the one before.

    Parameters
    ----------
    live, store, author, account_id : as in `snooze_plays`.

    Raises
    ------
    UnknownAccount, StoreDown : as `snooze_plays`.
    """
    today = datetime.now(UTC).date().isoformat()
    return snooze_plays(live, store, author, account_id, SnoozeRequest.model_validate({"until": today}))


def _new_values(current: Intervention, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a change stores: fields with a new value, and the note."""
    now = {
        "assignee": current.assignee,
        "snoozed_until": None if current.snoozed_until is None else current.snoozed_until.isoformat(),
        "result": current.result,
        "arr": current.arr,
    }
    values = {name: value for name, value in sent.items() if name != "note" and value != now[name]}
    if sent.get("note"):
        values["note"] = sent["note"]
    given = values.keys() - {"note"}
    if current.held_out and given:
        raise BadRequest("the account was held out, so there is nothing to run or to close", "a note")
    if current.closed_at is not None and given - {"result", "arr"}:
        raise BadRequest(
            "the intervention is closed", "a note, or a correction of the result", "start another intervention"
        )
    return values


def _record_outcome(
    store: Store, author: Author, request: OutcomeRequest, content: Mapping[str, Any], name: str | None
) -> StoredRecord:
    with store.begin() as connection:
        result = CLOSING_RESULTS.get(request.result)
        of_account = [] if result is None else read_interventions(connection, request.account_id)
        record = store_record(connection, "outcome", request.account_id, request.occurred_at, content, author, name)
        closes = (
            None
            if result is None
            else closed_by(of_account, request.account_id, request.occurred_at, result, request.intervention_id)
        )
        if closes is not None:
            at = request.occurred_at.astimezone(UTC).isoformat()
            values = {"result": result, "closed_at": at, BY_OUTCOME: record.id}
            values |= {field: content[field] for field in ("arr", "note") if field in content}
            append_change(connection, closes.id, closes.version + 1, values, author)
        return record


def _refuse_second(connection: Connection, request: InterventionRequest, name: str | None) -> None:
    """Refuse an intervention if another one of the account is under way at its time."""
    for other in reversed(read_interventions(connection, request.account_id)):
        same_request = name is not None and other.id.endswith(f"_{name}")
        if other.is_under_way(request.occurred_at) and not same_request:
            raise AlreadyUnderWay(other.as_dict())


def _active_alerts(state: LiveState, account_id: str, at: datetime) -> dict[str, list[str]]:
    """Return the keys of the account's alerts in the latest snapshot, as a field of the record."""
    try:
        scored = state.scored(None)
    except (NotReady, UnknownSnapshot):
        return {}
    row = scored.assessment.places.get(account_id)
    if row is None or at < scored.as_of:
        return {}
    keys = [alert.key for alert in scored.assessment.rule_results.alerts[row]][:ALERTS_LIMIT]
    return {"alerts": keys} if keys else {}


def _require_past(at: datetime) -> None:
    if at > datetime.now(UTC):
        fault = Fault("/occurred_at", "in_the_future", "an instant in the past")
        raise InvalidBody("the record is dated in the future", [fault], "an instant in the past")


def _require_snooze_day(until: date, pointer: str, *, or_today: bool = False) -> None:
    today = datetime.now(UTC).date()
    last = today + timedelta(days=SNOOZE_DAYS)
    if not today < until <= last and not (or_today and until == today):
        expected = f"a day after {today.isoformat()} (today, UTC) and up to {last.isoformat()}"
        expected += ", or today to end a snooze" if or_today else ""
        code = "too_far_ahead" if until > last else "not_in_the_future"
        raise InvalidBody("the plays cannot be snoozed until that day", [Fault(pointer, code, expected)], expected)


def _too_many_changes() -> BadRequest:
    return BadRequest("others change the intervention at the same time", "fewer changes at once", "try again")
