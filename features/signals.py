"""Checked signals: the contract's tables, typed, each event once, and nothing at or after a cut-off."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import ibis

from features.check import check
from features.conform import Schema, conformed, given_schema, given_table
from features.contract import EVENT_TABLES, TABLES, Table
from features.engine import CUTOFF, fetch, set_cutoff, store
from features.errors import SignalsError
from features.source import Source, open_source

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

Progress = Callable[[float, str], None]
"""Told the share done (0 to 1) and what is being worked on."""


def silent(_share: float, _what: str) -> None:
    """A Progress that says nothing."""


@dataclass(frozen=True)
class Signals:
    """The tables of a signals source, ready for snapshots and labels.

    Parameters
    ----------
    connection : the in-process DuckDB that holds them.
    tables : Ibis table by contract name (``signals_{name}`` on the connection), in the contract's columns; instants are
    timestamps without a zone, in UTC. Event
        tables have ``known_at`` (when a row had both happened and arrived) in place of ``loaded_at``.
    data_through : the instant up to which the source is complete: given, or else the newest event in it.
    origin : the source's address.
    notes : what was passed over.
    history_from : the instant from which every feed is complete, where the caller knows it; otherwise each feed is
    taken
        to be complete from its first row on.
    """

    connection: Backend
    tables: dict[str, ibis.Table]
    data_through: datetime
    origin: str
    notes: tuple[str, ...] = ()
    history_from: datetime | None = None
    rows: dict[str, int] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the source holds table ``name``."""
        return name in self.tables

    @property
    def contractual(self) -> bool:
        """Whether accounts are active by subscription; otherwise by orders."""
        return self.has("subscriptions")

    def close(self) -> None:
        """Let go of the memory that the tables take."""
        with contextlib.suppress(Exception):
            self.connection.disconnect()


def open_signals(address: str | Path, data_through: datetime | None = None, progress: Progress = silent) -> Signals:
    """Open, check and normalise the signals at ``address``.

    Parameters
    ----------
    address : folder, database address or mapping file (see `features.source.open_source`).
    data_through : nothing at or after this instant is read; by default the source counts as complete through its newest
    event.
    progress : told how far the reading is.

    Raises
    ------
    SignalsError
        If the source cannot be read or breaks the contract.
    """
    return read_signals(open_source(address), data_through, progress=progress)


def read_signals(
    source: Source,
    data_through: datetime | None = None,
    history_from: datetime | None = None,
    progress: Progress = silent,
) -> Signals:
    """Check and normalise an open source. See `open_signals`."""
    progress(0.0, "checking the signals")
    report = check(source, data_through)
    report.raise_if_broken()
    newest = data_through or _newest(source)
    # Without a cut-off the newest event itself belongs to the data; with one, nothing at or after it does.
    set_cutoff(source.connection, newest if data_through else newest + timedelta(microseconds=1))
    tables = {}
    for i, name in enumerate(source.tables):
        progress(0.3 + 0.7 * i / len(source.tables), f"reading {name}")
        store(source.connection, f"signals_{name}", _normalised, name, given_schema(source, name), name in source.text)
        tables[name] = source.connection.table(f"signals_{name}")
    progress(1.0, "signals read")
    rows = {name: int(table.count().to_pyarrow().as_py()) for name, table in tables.items()}
    if not rows.get("accounts"):
        raise SignalsError(
            f"{source.origin} has no account created before {newest.isoformat()}",
            "at least one account",
            "choose a later date",
        )
    return Signals(source.connection, tables, newest, source.origin, report.notes, history_from, rows)


def _newest(source: Source) -> datetime:
    """The instant of the newest event; without any, of the newest subscription's or account's start."""
    for names in (EVENT_TABLES, ("subscriptions", "accounts")):
        found = []
        for name in set(names) & set(source.tables):
            (row,) = fetch(source.connection, _latest_instant, name, given_schema(source, name), name in source.text)
            found.append(row["newest"])
        if known := [f for f in found if f is not None]:
            newest: datetime = max(known)
            return newest.replace(tzinfo=UTC)
    raise SignalsError("the source has no row with a date", "at least one event, subscription or account")


def _latest_instant(name: str, schema: Schema, text: bool) -> ibis.Table:
    given = given_table(name, schema)
    contract = TABLES[name]
    rows = given.select(**conformed(given, contract, text))
    # What a row tells of later (a resolution) happened too; the end of a subscription may be a plan.
    later = {c.known_from for c in contract.columns if c.known_from} if contract.event else set()
    return rows.aggregate(newest=ibis.greatest(*[rows[c].max() for c in (contract.at, *sorted(later))]))


def _normalised(name: str, schema: Schema, text: bool) -> ibis.Table:
    """Typed, cut off, and each event once."""
    given, contract = given_table(name, schema), TABLES[name]
    return _once(_until(given.select(**conformed(given, contract, text)), contract), contract)


def _until(table: ibis.Table, contract: Table) -> ibis.Table:
    """Drop rows at, or loaded at, the cut-off or later; forget what became known only then."""
    table = table.cross_join(CUTOFF)
    table = table.filter(table[contract.at] < table.cutoff)
    if "loaded_at" in contract.names:
        table = table.filter(table.loaded_at.isnull() | (table.loaded_at < table.cutoff))
    later = {
        c.name: ibis.ifelse(table[c.known_from] < table.cutoff, table[c.name], None)
        for c in contract.columns
        if c.known_from is not None
    }
    return table.mutate(**later).select(*contract.names)


def _once(table: ibis.Table, contract: Table) -> ibis.Table:
    """Exact duplicates once; a batch sent again with a later ``loaded_at`` is the same events, known since the
    first."""
    if "loaded_at" not in contract.names:
        table = table.distinct()
        return table.mutate(known_at=table[contract.at]) if contract.event else table
    keys = [c for c in contract.names if c != "loaded_at"]
    arrived = ibis.greatest(table.occurred_at, ibis.coalesce(table.loaded_at, table.occurred_at))
    once = table.mutate(known_at=arrived).group_by(keys).aggregate(known_at=lambda t: t.known_at.min())
    return once.select(*keys, "known_at")
