"""The instant up to which a source is complete, and the table that determines it.

Without a given end, a source is complete through its newest instant that is not after the row's own ``loaded_at`` or
the current time: a planned meeting or a mistyped date does not show how far the data reach. (A row may be dated up to a
day after it was loaded, because ``loaded_at`` is often a date without a time.)

The newest of all event tables decides, so that a feed that ended early does not limit the others. An export that was
synced after that reaches through its last sync. Contracts and accounts can be entered before their start. They decide
only if there are no events, or if they clearly continue after the last event: for more than a quarter, and at no less
than half of their earlier rate. The event tables are then reported as feeds that stopped.

Contracts are complete through their newest start, or through a later end that was recorded when it came. An end that
was planned when the row was written shows nothing once its date has passed: an old export would seem to reach through
it, and every contract that was renewed since would count as lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import numpy as np

from features.contract.current_contract import current_tables, event_tables
from features.contract.schema import TableSchema
from features.errors import SignalsError
from features.signals.casting import SourceSchema, conformed_columns, source_schema, source_table
from features.sources.base import Source
from features.sources.engine import CUTOFF, collect, fetch, set_cutoff

SKEW_DAYS = 1
"""How many days after its own ``loaded_at`` a row may be dated."""
AHEAD_DAYS = 92
"""Contracts may start this many days after the last event before they count as continuing."""
STARTS = ("subscriptions", "accounts")
END = "ended_at"
"""The end of a contract, which may be planned."""


@dataclass(frozen=True)
class Completeness:
    """How far a source is complete.

    Parameters
    ----------
    through : the instant up to which it is complete, in UTC; None if no row has a date.
    decided_by : the table that determines it; None if the instant was given, or is that of the last sync.
    ends : the newest past instant of each table that has one, in UTC.
    """

    through: datetime | None
    decided_by: str | None
    ends: dict[str, datetime]


def completeness(source: Source, now: datetime | None = None) -> Completeness:
    """Determine from its rows how far ``source`` is complete.

    Parameters
    ----------
    source : the source tables, with valid columns.
    now : the current time, in UTC; by default the system clock.
    """
    set_clock(source, now)
    ends = {}
    for name in current_tables():
        if name in source.tables:
            (row,) = fetch(source.connection, _newest, name, source_schema(source, name), name in source.text)
            ends[name] = row["newest"]
    decided = decide_completeness(source, ends)
    return decided if source.data_through is None else replace(decided, through=source.data_through, decided_by=None)


def newest_instant(source: Source, now: datetime | None = None) -> datetime:
    """Return the instant up to which ``source`` is complete: its own, or else from its rows.

    Parameters
    ----------
    source : the source tables, with valid columns.
    now : the current time, in UTC; by default the system clock.

    Raises
    ------
    SignalsError
        If no row has a date before ``now``, by default the system clock.
    """
    newest = completeness(source, now).through
    if newest is None:
        raise SignalsError("the source has no row dated in the past", "at least one event, subscription or account")
    return newest


def first_instants(source: Source) -> dict[str, datetime]:
    """Return the oldest instant of each table with rows of accounts, in UTC; accounts themselves do not count.

    Parameters
    ----------
    source : the source tables, with valid columns.
    """
    found = {}
    for name, table in current_tables().items():
        if name in source.tables and table.of_accounts and name != "accounts":
            about = (name, source_schema(source, name), name in source.text)
            (row,) = fetch(source.connection, _oldest, *about)
            if row["oldest"] is not None:
                found[name] = row["oldest"].replace(tzinfo=UTC)
    return found


def set_clock(source: Source, now: datetime | None) -> None:
    """Set `CUTOFF` just after ``now``, by default the system clock."""
    set_cutoff(source.connection, (now or datetime.now(UTC)) + timedelta(microseconds=1))


def decide_completeness(source: Source, ends: Mapping[str, datetime | None]) -> Completeness:
    """Determine how far ``source`` is complete from the newest instant of each table (in UTC, without a time zone).

    `CUTOFF` must be just after the current time.
    """
    newest = {name: end.replace(tzinfo=UTC) for name, end in ends.items() if end is not None}
    events = [name for name in event_tables() if name in newest]
    starts = [name for name in STARTS if name in newest]
    by = max(events or starts, key=newest.__getitem__, default=None)
    if events and by and "subscriptions" in newest and _contracts_continue(source, newest[by]):
        by = "subscriptions"
    synced = source.synced_through
    if synced is not None and (by is None or synced > newest[by]):
        return Completeness(synced, None, newest)
    return Completeness(newest[by] if by else None, by, newest)


def newest_row_instant(table: TableSchema, rows: ibis.Table, arrives: bool) -> ibis.Value:
    """Return the newest instant of conformed ``rows`` that is not after their ``loaded_at`` or `CUTOFF`.

    ``arrives`` is whether the source table has ``loaded_at``. Later instants of a row (a resolution, an end) count once
    they have passed. Planned ends of contracts do not count.
    """
    later = {c.known_from for c in table.columns if c.known_from}
    limit = rows.cutoff
    if arrives:
        limit = ibis.least(limit, ibis.coalesce(rows.loaded_at + ibis.interval(days=SKEW_DAYS), limit))
    newest = {c: rows[c].max(where=rows[c] < limit) for c in (table.at, *sorted(later))}
    if table.name == "subscriptions":
        newest[END] = _newest_recorded_end(rows, limit)
    return ibis.greatest(*newest.values())


def _newest_recorded_end(rows: ibis.Table, limit: ibis.Value) -> ibis.Value:
    """Return the newest end of conformed contracts before ``limit`` that was recorded when it came, not planned."""
    are_planned, reasons_are_planned = _planned(rows, limit)
    past = rows[END] < limit
    with_reason = ibis.ifelse(reasons_are_planned, None, rows[END].max(where=past & rows.end_reason.notnull()))
    return ibis.ifelse(are_planned, with_reason, rows[END].max(where=past))


def is_recorded_end(rows: ibis.Table, limit: ibis.Value) -> ibis.Value:
    """Return, for each conformed contract, whether its end was recorded when it came, before ``limit``."""
    are_planned, reasons_are_planned = _planned(rows, limit)
    with_reason = rows.end_reason.notnull() & ~reasons_are_planned
    return (rows[END] < limit) & (with_reason | ~are_planned)


def _planned(rows: ibis.Table, limit: ibis.Value) -> tuple[ibis.Value, ibis.Value]:
    """Return whether ends of conformed contracts are planned, and whether their reasons are planned as well.

    Where ends are recorded when they come, none of them is in the future, and running contracts have none. Otherwise
    only ends with a reason count, unless reasons are planned as well.
    """
    begun, has_reason = rows.started_at < limit, rows.end_reason.notnull()
    ahead = begun & (rows[END] >= limit)
    are_planned = ((begun & rows[END].isnull()).sum().fill_null(0) == 0) | (ahead.sum().fill_null(0) > 0)
    return are_planned, (ahead & has_reason).sum().fill_null(0) > 0


def _newest(name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    given, table = source_table(name, schema), current_tables()[name]
    rows = given.select(**conformed_columns(given, table, text)).cross_join(CUTOFF)
    return rows.aggregate(newest=newest_row_instant(table, rows, "loaded_at" in dict(schema)))


def _oldest(name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    given, table = source_table(name, schema), current_tables()[name]
    return given.select(**conformed_columns(given, table, text)).aggregate(oldest=lambda rows: rows[table.at].min())


def _contracts_continue(source: Source, end: datetime) -> bool:
    """Return whether contracts start more than `AHEAD_DAYS` after ``end``, at half of the earlier rate or more."""
    about = ("subscriptions", source_schema(source, "subscriptions"), "subscriptions" in source.text)
    starts = collect(source.connection, _starts, *about)["at"].drop_null().to_numpy().astype("datetime64[us]")
    edge: Any = np.datetime64(end.replace(tzinfo=None), "us")
    before, after = starts[starts <= edge], starts[starts > edge]
    if not len(after) or after.max() - edge <= np.timedelta64(AHEAD_DAYS, "D"):
        return False
    if not len(before):
        return True
    day = np.timedelta64(1, "D")
    rate_before = len(before) / max((edge - before.min()) / day, 1.0)
    return bool(len(after) / ((after.max() - edge) / day) >= rate_before / 2)


def _starts(name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    given, table = source_table(name, schema), current_tables()[name]
    rows = given.select(**conformed_columns(given, table, text)).cross_join(CUTOFF)
    return rows.filter(rows[table.at] < rows.cutoff).select(at=rows[table.at])
