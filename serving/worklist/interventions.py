"""Interventions: those of the signals, stored with a snapshot, and those that callers have recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from features.errors import HomeError
from models.home import Home
from models.rules.intervention_effects import (
    AFTER_DAYS,
    InterventionRecord,
    InterventionStatus,
    SnoozeRecord,
    active_snoozes,
    intervention_status,
)
from models.rules.intervention_table import LOOKBACK_DAYS, interventions_from_signals
from serving.common.settings import current_settings
from serving.snapshots.sidecars import read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.snapshots.stored_tables import SCORE_AGAIN

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from features.signals.signals import OpenSignals
    from serving.store.database import Store

INTERVENTIONS = "interventions"
"""The sidecar file with the interventions of the signals."""
_ROW = (
    *("account_id", "occurred_at", "held_out", "closed_at", "result", "stayed"),
    *("play", "trial", "held_out_share", "churn_probability", "arr"),
)
_FIRST_ROW = _ROW[:6]
"""The columns of sidecars without the fields of trials."""


@dataclass(frozen=True)
class RecordedActions:
    """The actions that callers have recorded, as of ``day`` (UTC): interventions, closed by outcomes, and snoozes."""

    day: date
    interventions: Sequence[InterventionRecord] = ()
    snoozes: Sequence[SnoozeRecord] = ()

    @property
    def snoozed(self) -> Mapping[str, date]:
        """The accounts that are snoozed on the day, with the end dates."""
        return active_snoozes(self.snoozes, self.day)

    def standing(self, others: Sequence[InterventionRecord], as_of: datetime) -> Mapping[str, InterventionStatus]:
        """Return the accounts whose plays are off the list, and why.

        Parameters
        ----------
        others : the interventions in the signals.
        as_of : the date on which the plays were published.

        Returns
        -------
        mapping of str to InterventionStatus
        """
        return intervention_status([*others, *self.interventions], as_of, self.snoozed)


def interventions_document(signals: OpenSignals, as_of: datetime) -> dict[str, Any]:
    """Build the sidecar `INTERVENTIONS`.

    Parameters
    ----------
    signals : validated signals.
    as_of : only what was known before this instant counts.

    Returns
    -------
    dict for JSON
        The names of the columns, and the rows.
    """
    return {"columns": list(_ROW), "rows": [_plain(one) for one in interventions_from_signals(signals, as_of)]}


def _plain(one: InterventionRecord) -> list[Any]:
    closed = None if one.closed_at is None else one.closed_at.isoformat()
    first = [one.account_id, one.occurred_at.isoformat(), one.held_out, closed, one.result, one.stayed]
    return [*first, one.play, one.trial, one.held_out_share, one.churn_probability, one.arr]


def published_interventions(snapshots: SnapshotFiles, as_of: datetime) -> list[InterventionRecord] | None:
    """Read the interventions that `score` stored.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.

    Returns
    -------
    list of InterventionRecord or None
        None if it stored none.

    Raises
    ------
    HomeError : the sidecar is not valid.
    """
    document = read_sidecar(snapshots, as_of, INTERVENTIONS)
    if document is None:
        return None
    try:
        columns = document.get("columns", _FIRST_ROW)
        return [_from_row(dict(zip(columns, row, strict=True))) for row in document["rows"]]
    except (KeyError, TypeError, ValueError):
        raise HomeError(
            f"{sidecar_path(snapshots, as_of, INTERVENTIONS)} is not valid",
            "the interventions written by `renewcast score`",
            SCORE_AGAIN,
        ) from None


def _from_row(row: Mapping[str, Any]) -> InterventionRecord:
    closed = row["closed_at"]
    named: dict[str, Any] = {name: row.get(name) for name in _ROW[6:]}
    return InterventionRecord(
        row["account_id"],
        datetime.fromisoformat(row["occurred_at"]),
        bool(row["held_out"]),
        None if closed is None else datetime.fromisoformat(closed),
        row["result"],
        row["stayed"],
        **named,
    )


def read_recorded_before(home: Home, as_of: datetime, store: Store | None = None) -> RecordedActions:
    """Read the actions that callers recorded.

    Parameters
    ----------
    home : the home.
    as_of : only what happened before this instant counts.
    store : the store; by default that of the home.

    Returns
    -------
    RecordedActions

    Raises
    ------
    StoreDown : the store cannot be reached.
    BadRequest : the store address is not supported.
    """
    address = current_settings().store_address
    if store is None and address is None and not home.store_file.exists():
        # Reading a portfolio does not create a store.
        return RecordedActions(as_of.date())
    if store is None:
        # The library of the store is imported only to open it.
        from serving.store.database import Store

        store = Store.of(home, address)
    with store.read() as connection:
        return read_recorded(connection, frozenset(), as_of, as_of)


def read_recorded_until_next(
    store: Store, snapshots: SnapshotFiles, active: Collection[str], as_of: datetime
) -> RecordedActions:
    """Read the actions up to the publication after ``as_of``, or up to now if there is none.

    Parameters
    ----------
    active : the accounts that are customers at ``as_of``.

    Raises
    ------
    StoreDown : the store cannot be reached.
    """
    until = next_publication(snapshots, as_of)
    with store.read() as connection:
        return read_recorded(connection, active, as_of, until)


def next_publication(snapshots: SnapshotFiles, as_of: datetime) -> datetime | None:
    """Return the date of the next publication.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.

    Returns
    -------
    datetime or None
        None if this snapshot is the latest.
    """
    return min((each for each in snapshots.dates() if each > as_of), default=None)


def snooze_day(as_of: datetime, until: datetime | None) -> date:
    """Return the day (UTC) for which snoozes are evaluated.

    Parameters
    ----------
    as_of : the date of the snapshot.
    until : the date of the next publication; None if there is none.

    Returns
    -------
    date
        The day of ``as_of``, or today if nothing was published since.
    """
    return as_of.date() if until is not None else max(as_of, datetime.now(UTC)).date()


def read_recorded(
    connection: Connection,
    active: Collection[str],
    as_of: datetime,
    until: datetime | None = None,
) -> RecordedActions:
    """Read the actions that callers recorded.

    Parameters
    ----------
    active : the accounts that are customers at ``as_of``.
    until : the next publication; later actions are left out. None: all actions up to now count, and take plays off the
        list immediately.
    """
    from serving.store.records import read_records
    from serving.worklist.intervention_history import read_interventions

    since = as_of - timedelta(days=LOOKBACK_DAYS)
    given: list[InterventionRecord] = []
    for intervention in read_interventions(connection, since=since, until=until):
        matured = intervention.record.occurred_at + timedelta(days=AFTER_DAYS) <= as_of
        stayed = intervention.account_id in active if matured else None
        given.append(replace(intervention.as_record(), stayed=stayed))
    snoozes = [
        SnoozeRecord(record.account_id, record.occurred_at, date.fromisoformat(record.document["until"]))
        for record in read_records(connection, what="snooze", since=since, until=until)
    ]
    # By account and start, so that the order does not depend on that of the records.
    given.sort(key=lambda record: (record.account_id, record.occurred_at))
    return RecordedActions(snooze_day(as_of, until), given, snoozes)
