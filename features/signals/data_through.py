"""Up to which instant a source is complete, and which of its tables says so.

A source without a given end is complete through its newest instant that lies in the future neither of the row's own
``loaded_at`` nor of the clock: a meeting that is planned, or a date that was mistyped, says nothing about how far the
data reach. (A row may be dated up to a day after it was loaded: a ``loaded_at`` is often a date without a time.)

The newest of all event tables decides, so that a feed which ended early does not cut the others. Contracts and accounts
can be entered ahead of their start, so they decide only where there is no event, or where they clearly go on after the
last one: for more than a quarter, and at no less than half of their earlier rate. Then contracts, their ends and the
labels are complete through the newest start; the silence of the event tables since is shown as what it is, a feed that
stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import numpy as np

from features.contract.schema import EVENT_TABLES, TABLES, TableSchema
from features.signals.casting import Schema, conformed, given_schema, given_table
from features.sources.base import Source
from features.sources.engine import CUTOFF, collect, fetch, set_cutoff

SKEW_DAYS = 1
"""How long after its own ``loaded_at`` a row may be dated."""
AHEAD_DAYS = 92
"""Contracts are entered ahead of their start; beyond this they are taken to go on."""
STARTS = ("subscriptions", "accounts")


@dataclass(frozen=True)
class Completeness:
    """How far a source reaches.

    Parameters
    ----------
    through : the instant up to which it is complete, UTC; None without any row that has a date.
    decided_by : the table whose newest instant that is; None where the instant was given.
    ends : the newest instant of each table that has one, UTC; none in the future.
    """

    through: datetime | None
    decided_by: str | None
    ends: dict[str, datetime]


def completeness(source: Source, now: datetime | None = None) -> Completeness:
    """How far ``source`` reaches by its own rows.

    Parameters
    ----------
    source : the tables as given; their shapes keep the contract.
    now : the clock, UTC; by default the present.
    """
    lay_clock(source, now)
    ends = {}
    for name in TABLES:
        if name in source.tables:
            (row,) = fetch(source.connection, _newest, name, given_schema(source, name), name in source.text)
            ends[name] = row["newest"]
    return decided(source, ends)


def lay_clock(source: Source, now: datetime | None) -> None:
    """Let `CUTOFF` be just after the clock, ``now`` or the present."""
    set_cutoff(source.connection, (now or datetime.now(UTC)) + timedelta(microseconds=1))


def decided(source: Source, ends: Mapping[str, datetime | None]) -> Completeness:
    """How far ``source`` reaches, given the newest instant of each table (without a zone, in UTC).

    `CUTOFF` is just after the clock.
    """
    known = {name: end.replace(tzinfo=UTC) for name, end in ends.items() if end is not None}
    events = [name for name in EVENT_TABLES if name in known]
    starts = [name for name in STARTS if name in known]
    by = max(events or starts, key=known.__getitem__, default=None)
    if events and by and "subscriptions" in known and _go_on(source, known[by]):
        by = "subscriptions"
    return Completeness(known[by] if by else None, by, known)


def newest_instant(table: TableSchema, rows: ibis.Table, arrives: bool) -> ibis.Value:
    """The newest instant of conformed ``rows`` that is in the future neither of its ``loaded_at`` nor of `CUTOFF`.

    ``arrives`` says whether the table as given has ``loaded_at``. What a row says of later (a resolution, an end)
    happened too, once it has passed.
    """
    later = {c.known_from for c in table.columns if c.known_from}
    limit = rows.cutoff
    if arrives:
        limit = ibis.least(limit, ibis.coalesce(rows.loaded_at + ibis.interval(days=SKEW_DAYS), limit))
    return ibis.greatest(*[rows[c].max(where=rows[c] < limit) for c in (table.at, *sorted(later))])


def _newest(name: str, schema: Schema, text: bool) -> ibis.Table:
    given, table = given_table(name, schema), TABLES[name]
    rows = given.select(**conformed(given, table, text)).cross_join(CUTOFF)
    return rows.aggregate(newest=newest_instant(table, rows, "loaded_at" in dict(schema)))


def _go_on(source: Source, end: datetime) -> bool:
    """Whether contracts still begin, at no less than half of the rate before, more than `AHEAD_DAYS` after ``end``."""
    about = ("subscriptions", given_schema(source, "subscriptions"), "subscriptions" in source.text)
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


def _starts(name: str, schema: Schema, text: bool) -> ibis.Table:
    given, table = given_table(name, schema), TABLES[name]
    rows = given.select(**conformed(given, table, text)).cross_join(CUTOFF)
    return rows.filter(rows[table.at] < rows.cutoff).select(at=rows[table.at])
