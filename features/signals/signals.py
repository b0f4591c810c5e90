"""Checked signals: the contract's tables, typed, each event once, and nothing at or after a cut-off."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis

from features.contract.schema import EVENT_TABLES, TABLES, TableSchema
from features.errors import SignalsError
from features.signals.casting import Schema, conformed, given_schema, given_table
from features.signals.contract_terms import by_term
from features.signals.data_through import completeness
from features.signals.event_versions import arrival_of, events, extra_columns, extras_of, has_identity, repeated_ids
from features.signals.inclusive_ends import contiguous
from features.signals.large_feed import Feed
from features.signals.validated_files import check_new
from features.signals.validation import CheckReport, check, count_given
from features.sources.base import DUCKDB, Source
from features.sources.engine import CUTOFF, Backend, contract_table, fetch, is_embedded, materialize, set_cutoff
from features.sources.open_source import open_source
from features.utils.progress import Progress, no_progress

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
        place of ``loaded_at``, and ``until_at``, when a later version of the event replaced it (null: none did).
    data_through : the instant up to which the source is complete: given, or else as `features.signals.data_through`
    has it.
    origin : the source's address.
    notes : what was passed over.
    history_from : the instant from which every feed is complete, where the caller knows it; otherwise each feed is
        taken to be complete from its first row on.
    feeds : the event tables that were not copied, because they are large; these alone may hold an event several times.
    versioned : the event tables of which later versions replace some rows: those have an ``until_at``
        (`features.signals.event_versions`).
    """

    connection: Backend
    tables: dict[str, ibis.Table]
    data_through: datetime
    origin: str
    notes: tuple[str, ...] = ()
    history_from: datetime | None = None
    feeds: dict[str, Feed] = field(default_factory=dict)
    versioned: frozenset[str] = frozenset()

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
    progress: Progress = no_progress,
    engine: str = DUCKDB,
    kept: Path | None = None,
) -> Signals:
    """Open, check and normalise the signals at ``address``.

    Parameters
    ----------
    address : folder, database address or mapping file (see `features.sources.open_source.open_source`).
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
    progress: Progress = no_progress,
    copied_up_to: int = COPIED_UP_TO,
    kept: Path | None = None,
    sound: bool = False,
    now: datetime | None = None,
) -> Signals:
    """Check and normalise an open source. See `open_signals`; event tables of more than ``copied_up_to`` rows are read
    where they lie. A source that is ``sound`` comes from signals that were read before: it is not checked, and copied
    whole. ``now`` is the clock, by default the present."""
    progress(0.0, "checking the signals")
    may_stay = FEEDS if is_embedded(source.connection) else ()
    in_files = [n for n in may_stay if n in source.files and count_given(source, n) > copied_up_to] if kept else []
    if sound:
        report = CheckReport(source.origin, (), tuple(source.notes))
    else:
        report = (
            check_new(source, data_through, in_files, kept)
            if kept and in_files
            else check(source, data_through, look=False)
        )
    report.raise_if_broken()
    large = [name for name in may_stay if report.rows.get(name, 0) > copied_up_to and _each_row_once(source, name)]
    newest = data_through or newest_instant(source, now)
    # Without a cut-off the newest event itself belongs to the data, and all that has arrived by now; with one, nothing
    # at or after it does.
    cutoff = newest if data_through else newest + timedelta(microseconds=1)
    arrival = cutoff if data_through else max(cutoff, now or datetime.now(UTC))
    set_cutoff(source.connection, cutoff, arrival)
    tables, feeds, versioned = {}, {}, set()
    for i, name in enumerate(source.tables):
        progress(0.3 + 0.7 * i / len(source.tables), f"reading {name}")
        schema, text = given_schema(source, name), name in source.text
        if name in large:
            extras = extra_columns(TABLES[name], schema, source.partitions.get(name, ()))
            feeds[name] = Feed(source.connection, name, cutoff, arrival, source.files.get(name, ()), extras)
            feeds[name].lay_view(given_table(name, schema), text)
        elif _copied(source, name, schema, text, sound):
            versioned.add(name)
        tables[name] = source.connection.table(f"signals_{name}")
    progress(1.0, "signals read")
    (begun,) = fetch(source.connection, _accounts_before)
    if not begun["n"]:
        raise SignalsError(
            f"{source.origin} has no account created before {newest.isoformat()}",
            "at least one account",
            "choose a later date",
        )
    return Signals(
        source.connection, tables, newest, source.origin, report.notes, history_from, feeds, frozenset(versioned)
    )


def _copied(source: Source, name: str, schema: Schema, text: bool, as_given: bool) -> bool:
    """Copy a table, each event once; whether some of its rows are replaced by later versions."""
    contract, connection = TABLES[name], source.connection
    materialize(connection, f"signals_{name}", _normalised, name, schema, text, (), as_given)
    if not contract.event:
        return False
    extras = extra_columns(contract, schema, source.partitions.get(name, ()))
    # Columns outside the contract are looked at only where rows agree in all others.
    if extras and not contract[contract.identity].required:
        (found,) = fetch(connection, _sizes, name, schema, text)
        if found["once"] < found["n"]:
            materialize(connection, f"signals_{name}", _normalised, name, schema, text, extras, as_given)
    if not has_identity(contract, schema):
        return False
    (found,) = fetch(connection, _replaced, name)
    return bool(found["n"])


def _each_row_once(source: Source, name: str) -> bool:
    """Whether no row of event table ``name`` can be a later version of another one.

    Versions are told apart by a look at the whole table, so a table that has any is copied.
    """
    schema = given_schema(source, name)
    if not has_identity(TABLES[name], schema):
        return True
    (found,) = fetch(source.connection, repeated_ids, name, schema, name in source.text)
    return bool(found["n"] == found["ids"])


def _count(table: ibis.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def _accounts_before() -> ibis.Table:
    """How many accounts there were before the cut-off: n."""
    accounts = contract_table("accounts").cross_join(CUTOFF)
    return accounts.filter(accounts.created_at < accounts.cutoff).aggregate(n=lambda t: t.count())


def newest_instant(source: Source, now: datetime | None = None) -> datetime:
    """The instant up to which ``source`` is complete by its own rows: see `features.signals.data_through`.

    Raises
    ------
    SignalsError
        If no row has a date that lies before ``now``, by default the present.
    """
    newest = completeness(source, now).through
    if newest is None:
        raise SignalsError(
            "the source has no row with a date that has passed", "at least one event, subscription or account"
        )
    return newest


def _normalised(name: str, schema: Schema, text: bool, extras: tuple[str, ...], as_given: bool) -> ibis.Table:
    """Typed, cut off, and each event once; ``as_given``: inclusive ends have been read already."""
    given, contract = given_table(name, schema), TABLES[name]
    rows = given.select(**conformed(given, contract, text), **extras_of(given, extras))
    if not contract.event:
        if name == "subscriptions":
            rows = _until(rows if as_given else contiguous(rows), contract)
            return by_term(rows) if "term_started_at" in given.columns else rows
        # What an account is bears no date: it is the same before its record began.
        return rows.distinct()
    # What a row says of later is cut off last: a version that happens after the cut-off still replaces an earlier one.
    kept = rows.cross_join(CUTOFF)
    kept = kept.filter(arrival_of(kept) < kept.arrival_cutoff).select(*rows.columns)
    return events(kept, contract, has_identity(contract, schema))


def _until(table: ibis.Table, contract: TableSchema) -> ibis.Table:
    """Drop rows at the cut-off or later; forget what became known only then."""
    table = table.cross_join(CUTOFF)
    table = table.filter(table[contract.at] < table.cutoff)
    later = {
        c.name: ibis.ifelse(table[c.known_from] < table.cutoff, table[c.name], None)
        for c in contract.columns
        if c.known_from is not None
    }
    return table.mutate(**later).select(*contract.names)


def _replaced(name: str) -> ibis.Table:
    """How many rows of event table ``name`` a later version replaces: n."""
    rows = contract_table(name)
    return rows.aggregate(n=rows.until_at.count())


def _sizes(name: str, schema: Schema, text: bool) -> ibis.Table:
    """How many events there are (``once``), and how many rows as given before the cut-off (``n``)."""
    given, contract = given_table(name, schema), TABLES[name]
    rows = given.select(**conformed(given, contract, text)).cross_join(CUTOFF)
    read = (rows[contract.at] < rows.cutoff) & (arrival_of(rows) < rows.arrival_cutoff)
    n = rows.aggregate(n=read.sum())
    return n.cross_join(contract_table(name).aggregate(once=lambda t: t.count()))
