"""Interventions that people recorded, as they are now, and the history of each account: who, when, what and why.

An intervention is a record (`serving.store.records`) with the changes that people made to it since
(`serving.store.intervention_log`). Outcomes that programs recorded close interventions as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection

from features.utils.formatting import day as format_day
from features.utils.formatting import plain
from models.predictions.payload import format_instant
from models.rules.intervention_effects import (
    CLOSING_RESULTS,
    RUNNING_DAYS,
    InterventionRecord,
    InterventionResult,
    close_by_outcomes,
)
from serving.common.errors import UnknownId
from serving.store.intervention_log import FIRST_VERSION, StoredChange, read_changes
from serving.store.records import StoredRecord, read_records

InterventionState = Literal["open", "snoozed", "closed", "held_out"]
HistoryAction = Literal[
    "started", "held_out", "assigned", "unassigned", "snoozed", "resumed", "noted", "closed", "corrected", "outcome",
    "plays_snoozed",
]  # fmt: skip
#: What was done, in words.
_WORDS: Mapping[HistoryAction, str] = {
    "started": "started",
    "held_out": "held out (control group)",
    "assigned": "assigned to {assignee}",
    "unassigned": "unassigned",
    "snoozed": "snoozed until {snoozed_until}",
    "resumed": "snooze ended",
    "noted": "note added",
    "closed": "closed: {result}",
    "corrected": "result corrected: {result}",
    "outcome": "outcome: {result}",
    "plays_snoozed": "plays snoozed until {snoozed_until}",
}
#: The field of a change that names the outcome by which the intervention was closed.
BY_OUTCOME = "outcome"


@dataclass(frozen=True)
class HistoryEntry:
    """One action of a person.

    Parameters
    ----------
    at : when it was recorded or, if it was recorded later, when it happened, UTC.
    by : the name of the person; None if it was not recorded.
    actions : what was done.
    intervention_id, version : the intervention, and its version after the action; None for other records.
    values : the new values of what was changed, such as the play, the assignee or the result.
    note : the words of the person.
    """

    at: datetime
    by: str | None
    actions: tuple[HistoryAction, ...]
    intervention_id: str | None
    version: int | None
    values: Mapping[str, Any]
    note: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as plain data (`serving.worklist.intervention_schemas.HistoryEntryResponse`)."""
        return {
            "at": _timestamp(self.at),
            "by": self.by,
            "actions": list(self.actions),
            "intervention_id": self.intervention_id,
            "version": self.version,
            **{name: self.values.get(name) for name in ("play", "assignee", "snoozed_until", "result", "arr")},
            "note": self.note,
        }


@dataclass(frozen=True)
class Intervention:
    """An intervention as it is now.

    Parameters
    ----------
    record : as it was recorded.
    version : the number of its last change; 1 without changes.
    assignee, snoozed_until, result, arr : None if there is none.
    closed_at : when it was closed, UTC; None if it is open.
    history : the record and all changes, the first one first.
    """

    record: StoredRecord
    version: int = FIRST_VERSION
    assignee: str | None = None
    snoozed_until: date | None = None
    result: InterventionResult | None = None
    arr: float | None = None
    closed_at: datetime | None = None
    history: tuple[HistoryEntry, ...] = ()

    @property
    def id(self) -> str:
        """The id of the intervention."""
        return self.record.id

    @property
    def account_id(self) -> str:
        """The account."""
        return self.record.account_id

    @property
    def play(self) -> str | None:
        """The play; None if it was not recorded."""
        play: str | None = self.record.document.get("play")
        return play

    @property
    def held_out(self) -> bool:
        """Whether the account was left without action, to measure the effect of plays."""
        return bool(self.record.document.get("held_out", False))

    @property
    def alerts(self) -> tuple[str, ...]:
        """The keys of the alerts that were active when it began."""
        return tuple(self.record.document.get("alerts") or ())

    @property
    def under_way_until(self) -> datetime:
        """Until when it counts as under way if it is not closed, UTC."""
        return self.record.occurred_at + timedelta(days=RUNNING_DAYS)

    def is_under_way(self, at: datetime) -> bool:
        """Return whether it takes the plays of its account off the list at an instant."""
        return self.closed_at is None and not self.held_out and at <= self.under_way_until

    def state(self, day: date) -> InterventionState:
        """Return the state on a day (UTC)."""
        if self.held_out:
            return "held_out"
        if self.closed_at is not None:
            return "closed"
        return "snoozed" if self.snoozed_until is not None and self.snoozed_until > day else "open"

    def as_record(self) -> InterventionRecord:
        """Return what the rules use of it. Whether the account stayed is not known here."""
        content = self.record.document
        fields = ("play", "trial", "held_out_share", "churn_probability")
        named: dict[str, Any] = {name: content.get(name) for name in fields}
        return InterventionRecord(
            self.account_id,
            self.record.occurred_at,
            self.held_out,
            self.closed_at,
            self.result,
            id=self.id,
            alerts=tuple(key.partition(":")[0] for key in self.alerts),
            **named,
        )

    def as_dict(self, day: date | None = None) -> dict[str, Any]:
        """Return it as plain data (`serving.worklist.intervention_schemas.InterventionResponse`).

        Parameters
        ----------
        day : the day (UTC) of its state; by default today.
        """
        content = self.record.document
        state = self.state(day or datetime.now(UTC).date())
        return {
            "id": self.id,
            "version": self.version,
            "account_id": self.account_id,
            "state": state,
            "play": self.play,
            "severity": content.get("severity"),
            "assignee": self.assignee,
            "started_at": _timestamp(self.record.occurred_at),
            "started_by": self.record.author,
            "under_way_until": None if self.held_out else _timestamp(self.under_way_until),
            "snoozed_until": self.snoozed_until.isoformat() if self.snoozed_until and state == "snoozed" else None,
            "closed_at": None if self.closed_at is None else _timestamp(self.closed_at),
            "result": self.result,
            "arr": self.arr,
            "alerts": list(self.alerts),
            "trial": content.get("trial"),
            "history": [entry.as_dict() for entry in self.history],
        }


def read_interventions(
    connection: Connection,
    account_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Intervention]:
    """Return the recorded interventions, the first one first.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    account_id : only those of this account.
    since : only those that began at or after this instant.
    until : only those that began before this instant; what ended them later is left out.

    Returns
    -------
    list of Intervention
    """
    records = read_records(connection, account_id, since=since, until=until)
    return _interventions(connection, records, until)


def find_intervention(connection: Connection, intervention_id: str) -> Intervention:
    """Return one intervention.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    intervention_id : its id.

    Returns
    -------
    Intervention

    Raises
    ------
    UnknownId : there is none with this id.
    """
    for record in read_records(connection, record_id=intervention_id):
        # Outcomes without the id of an intervention close the latest of their account, so all of them are read.
        for intervention in read_interventions(connection, record.account_id):
            if intervention.id == intervention_id:
                return intervention
    raise UnknownId("no intervention with this id was recorded", "an id from GET /v1/interventions")


def account_history(connection: Connection, account_id: str) -> list[HistoryEntry]:
    """Return everything that people recorded about an account, the latest first.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    account_id : the account.

    Returns
    -------
    list of HistoryEntry
    """
    records = read_records(connection, account_id)
    interventions = _interventions(connection, records, None)
    entries = [entry for intervention in interventions for entry in intervention.history]
    closing = {entry.values.get(BY_OUTCOME) for entry in entries} - {None}
    for record in records:
        if record.what == "snooze":
            values = {"play": record.document.get("play"), "snoozed_until": record.document["until"]}
            entries.append(_entry(record, "resumed" if ends_snooze(record) else "plays_snoozed", values))
        elif record.what == "outcome" and record.id not in closing:
            entries.append(_entry(record, "outcome", record.document))
    return sorted(entries, key=lambda entry: (entry.at, entry.version or 0), reverse=True)


def ends_snooze(record: StoredRecord) -> bool:
    """Return whether a recorded snooze ends the one before: the plays return on the day on which it was recorded."""
    return date.fromisoformat(record.document["until"]) <= record.occurred_at.date()


def history_text(entry: Mapping[str, Any]) -> str:
    """Return what was done in an entry of a history, in words.

    Parameters
    ----------
    entry : a `serving.worklist.intervention_schemas.HistoryEntryResponse`.
    """
    values = {
        "assignee": entry["assignee"] or "",
        "snoozed_until": format_day(entry["snoozed_until"]) if entry["snoozed_until"] else "",
        "result": plain(entry["result"]) if entry["result"] else "",
    }
    parts = [_WORDS[action].format(**values) for action in entry["actions"]]
    if "started" in entry["actions"] and entry["assignee"]:
        parts.append(f"assigned to {entry['assignee']}")
    return ", ".join(parts)


def closed_by(
    interventions: Iterable[Intervention], account_id: str, at: datetime, result: InterventionResult, target: str | None
) -> Intervention | None:
    """Return the intervention that an outcome closes; None if it closes none.

    Parameters
    ----------
    interventions : those of the account.
    account_id, at, result, target : of the outcome; ``target`` is the id of the intervention, if it names one.
    """
    open_ = {each.id: each for each in interventions if each.closed_at is None}
    records = close_by_outcomes([each.as_record() for each in open_.values()], [(account_id, at, result, target)])
    return next((open_[record.id] for record in records if record.id and record.closed_at is not None), None)


def _interventions(
    connection: Connection, records: Sequence[StoredRecord], until: datetime | None
) -> list[Intervention]:
    begun = [record for record in records if record.what == "intervention"]
    if not begun:
        return []
    changes = read_changes(connection, [record.id for record in begun])
    read = [_with_changes(record, changes.get(record.id, ()), until) for record in begun]
    applied = {change.document.get(BY_OUTCOME) for each in changes.values() for change in each}
    outcomes = [
        (record.account_id, record.occurred_at, result, record.document.get("intervention_id"))
        for record in records
        if record.what == "outcome" and record.id not in applied
        if (result := CLOSING_RESULTS.get(record.document.get("result", ""))) is not None
    ]
    if not outcomes:
        return read
    closed = {record.id: record for record in close_by_outcomes([each.as_record() for each in read], outcomes)}
    return [replace(each, closed_at=closed[each.id].closed_at, result=closed[each.id].result) for each in read]


def _with_changes(record: StoredRecord, changes: Iterable[StoredChange], until: datetime | None) -> Intervention:
    content = record.document
    assignee, snoozed, result, arr, closed_at = content.get("assignee"), None, None, None, None
    version = FIRST_VERSION
    first = _entry(record, "held_out" if content.get("held_out") else "started", content, FIRST_VERSION)
    history = [first]
    for change in changes:
        values, version = change.document, change.version
        actions: list[HistoryAction] = []
        if "assignee" in values:
            assignee = values["assignee"]
            actions.append("unassigned" if assignee is None else "assigned")
        if "snoozed_until" in values:
            snoozed = values["snoozed_until"]
            actions.append("resumed" if snoozed is None else "snoozed")
        if "arr" in values:
            arr = values["arr"]
        if "result" in values:
            at = datetime.fromisoformat(values["closed_at"]) if "closed_at" in values else change.recorded_at
            if until is None or at < until:
                actions.append("closed" if closed_at is None else "corrected")
                result, closed_at = values["result"], closed_at or at
        if not actions:
            actions.append("noted")
        history.append(
            HistoryEntry(
                change.recorded_at, change.author, tuple(actions), record.id, version, values, values.get("note")
            )
        )
    day = None if snoozed is None else date.fromisoformat(snoozed)
    return Intervention(record, version, assignee, day, result, arr, closed_at, tuple(history))


def _entry(
    record: StoredRecord, action: HistoryAction, values: Mapping[str, Any], version: int | None = None
) -> HistoryEntry:
    intervention_id = record.document.get("intervention_id") if version is None else record.id
    note = record.document.get("note")
    return HistoryEntry(record.occurred_at, record.author, (action,), intervention_id, version, values, note)


def _timestamp(at: datetime) -> str:
    return format_instant(at.replace(microsecond=0))
