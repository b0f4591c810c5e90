"""Checked signals: the contract's tables, typed, each event once, and nothing at or after a cut-off."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis

from features.check import CheckReport, check, count_given
from features.conform import Schema, arrived, conformed, given_schema, given_table
from features.contract import EVENT_TABLES, TABLES, Column, Table, known_column
from features.engine import CUTOFF, Backend, contract_table, embedded, fetch, set_cutoff, store
from features.errors import SignalsError
from features.feed import Feed
from features.kept.checks import check_new
from features.progress import Progress, silent
from features.source import DUCKDB, Source, open_source
from features.terms import by_term

COPIED_UP_TO = 1_000_000
"""Event tables of more rows than this are read where they lie."""

FEEDS = tuple(name for name in EVENT_TABLES if name != "orders" and not any(c.known_from for c in TABLES[name].columns))
"""Tables that may be left where they lie: labels read orders one by one, and later columns take a look at every row."""


@dataclass(frozen=True)
class Signals:
    """The tables of a signals source, ready for snapshots and labels.

    Parameters
    ----------
    connection : the engine that holds them: the in-process DuckDB, or another that Ibis speaks to.
    tables : Ibis table by contract name (``signals_{name}`` on the connection), in the contract's columns; instants are
        timestamps without a zone, in UTC. Event tables have ``known_at`` (when a row had both happened and arrived) in
        place of ``loaded_at``.
    data_through : the instant up to which the source is complete: given, or else the newest event in it.
    origin : the source's address.
    notes : what was passed over.
    history_from : the instant from which every feed is complete, where the caller knows it; otherwise each feed is
        taken to be complete from its first row on.
    feeds : the event tables that were not copied, because they are large; these alone may hold an event several times.
    """

    connection: Backend
    tables: dict[str, ibis.Table]
    data_through: datetime
    origin: str
    notes: tuple[str, ...] = ()
    history_from: datetime | None = None
    feeds: dict[str, Feed] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the source holds table ``name``."""
        return name in self.tables

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has that was copied."""
        return {name: _count(table) for name, table in self.tables.items() if name not in self.feeds}

    @property
    def contractual(self) -> bool:
        """Whether accounts are active by subscription; otherwise by orders."""
        return self.has("subscriptions")

    def close(self) -> None:
        """Let go of the memory that the tables take."""
        with contextlib.suppress(Exception):
            self.connection.disconnect()


def open_signals(
    address: str | Path,
    data_through: datetime | None = None,
    progress: Progress = silent,
    engine: str = DUCKDB,
    kept: Path | None = None,
) -> Signals:
    """Open, check and normalise the signals at ``address``.

    Parameters
    ----------
    address : folder, database address or mapping file (see `features.source.open_source`).
    data_through : nothing at or after this instant is read; by default the source counts as complete through its newest
    event.
    progress : told how far the reading is.
    engine : ``duckdb``, ``spark`` or ``spark://HOST:PORT``.
    kept : a folder in which it is noted which files of large feeds were found sound, so that these are not looked
        through again; None notes nothing.

    Raises
    ------
    BadRequest
        If there is no such engine.
    SignalsError
        If the source cannot be read or breaks the contract.
    """
    return read_signals(open_source(address, engine), data_through, progress=progress, kept=kept)


def read_signals(
    source: Source,
    data_through: datetime | None = None,
    history_from: datetime | None = None,
    progress: Progress = silent,
    copied_up_to: int = COPIED_UP_TO,
    kept: Path | None = None,
    sound: bool = False,
) -> Signals:
    """Check and normalise an open source. See `open_signals`; event tables of more than ``copied_up_to`` rows are read
    where they lie. A source that is ``sound`` is known to keep the contract: it is not checked, and copied whole."""
    progress(0.0, "checking the signals")
    may_stay = FEEDS if embedded(source.connection) else ()
    in_files = [n for n in may_stay if n in source.files and count_given(source, n) > copied_up_to] if kept else []
    if sound:
        report = CheckReport(source.origin, (), tuple(source.notes))
    else:
        report = check_new(source, data_through, in_files, kept) if kept and in_files else check(source, data_through)
    report.raise_if_broken()
    large = [name for name in may_stay if report.rows.get(name, 0) > copied_up_to]
    newest = data_through or newest_instant(source)
    # Without a cut-off the newest event itself belongs to the data; with one, nothing at or after it does.
    cutoff = newest if data_through else newest + timedelta(microseconds=1)
    set_cutoff(source.connection, cutoff)
    tables, feeds = {}, {}
    for i, name in enumerate(source.tables):
        progress(0.3 + 0.7 * i / len(source.tables), f"reading {name}")
        about = (name, given_schema(source, name), name in source.text)
        if name in large:
            feeds[name] = Feed(source.connection, name, cutoff, source.files.get(name, ()))
            feeds[name].lay_view(given_table(name, about[1]), about[2])
        else:
            store(source.connection, f"signals_{name}", _normalised, *about)
        tables[name] = source.connection.table(f"signals_{name}")
    progress(1.0, "signals read")
    (begun,) = fetch(source.connection, _accounts_before)
    if not begun["n"]:
        raise SignalsError(
            f"{source.origin} has no account created before {newest.isoformat()}",
            "at least one account",
            "choose a later date",
        )
    return Signals(source.connection, tables, newest, source.origin, report.notes, history_from, feeds)


def _count(table: ibis.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def _accounts_before() -> ibis.Table:
    """How many accounts there were before the cut-off: n."""
    accounts = contract_table("accounts").cross_join(CUTOFF)
    return accounts.filter(accounts.created_at < accounts.cutoff).aggregate(n=lambda t: t.count())


def newest_instant(source: Source) -> datetime:
    """The instant of the newest event; without any, of the newest subscription's or account's start.

    Raises
    ------
    SignalsError
        If no row has a date.
    """
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
    """Typed, cut off, and each event once; subscriptions by term, where the source says when it began."""
    given, contract = given_table(name, schema), TABLES[name]
    rows = _once(_until(given.select(**conformed(given, contract, text)), contract), contract)
    return by_term(rows) if name == "subscriptions" and "term_started_at" in given.columns else rows


def _until(table: ibis.Table, contract: Table) -> ibis.Table:
    """Drop rows at, or loaded at, the cut-off or later; forget what became known only then."""
    table = table.cross_join(CUTOFF)
    if contract.name != "accounts":
        # What an account is bears no date: it is the same before its record began.
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
    """Each event once, known since its first row: a batch may be sent again, and so may a row whose later columns have
    been filled in meanwhile. Rows are the same that agree in all that was known from the start.

    What is filled in later holds as it was first learnt, from when it was learnt: ``{column}_known_at``. Subscriptions
    and interventions do not tell when they arrived; of theirs, the row holds that has not ended, or ended last.
    """
    if "loaded_at" in contract.names:
        table = table.mutate(known_at=arrived(table))
    elif contract.event:
        table = table.mutate(known_at=table[contract.at])
    same = [c.name for c in contract.columns if c.known_from is None and c.name != "loaded_at"]
    into = {"known_at": lambda t: t.known_at.min()} if contract.event else {}
    for column in contract.columns:
        if column.known_from is not None:
            table, more = _filled_in(table, column, same, "loaded_at" in contract.names)
            into |= more
    if not into:
        return table.select(*same).distinct()
    names = [c for c in contract_table(contract.name).columns if c in same or c in into]
    return table.group_by(same).aggregate(**into).select(*names)


def _filled_in(table: ibis.Table, column: Column, same: list[str], arrives: bool) -> tuple[ibis.Table, dict[str, Any]]:
    """The aggregates that yield a later column, over the table with a column that marks the row that holds."""
    value, instant, mark = table[column.name], table[column.known_from or ""], f"_{column.name}"
    group = ibis.window(group_by=same)
    if not arrives:
        last = instant.max().over(group)
        running = instant.isnull().any().over(group)
        table = table.mutate(**{mark: ~running & (instant == last)})
        return table, {column.name: lambda t: t[column.name].min(where=t[mark])}
    learnt = ibis.ifelse(value.notnull(), ibis.greatest(instant, table.known_at), None)
    table = table.mutate(**{f"{mark}_learnt": learnt})
    table = table.mutate(**{mark: _learnt_first(table[f"{mark}_learnt"], group)})
    return table, {
        column.name: lambda t: t[column.name].min(where=t[mark]),
        known_column(column): lambda t: t[f"{mark}_learnt"].min(),
    }


def _learnt_first(learnt: Any, group: Any) -> Any:
    """Whether a row is of those from which a value was learnt first."""
    return (learnt == learnt.min().over(group)).fill_null(False)
