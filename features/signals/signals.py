"""Checked signals: the contract's tables with its types, distinct events, and no data at or after a cut-off."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
from cachetools import LRUCache

from features.contract.current_contract import current_tables
from features.contract.schema import EVENT_TABLES, TABLES, TableSchema
from features.contract.settings import subscription_settings
from features.errors import SignalsError
from features.signals.casting import SourceSchema, conformed_columns, source_schema, source_table
from features.signals.contract_terms import split_by_term
from features.signals.counted_arr import with_counted_arr
from features.signals.data_through import newest_instant
from features.signals.event_versions import (
    arrival_instant,
    event_versions,
    extra_columns,
    extra_values,
    has_identity,
    repeated_ids,
)
from features.signals.exchange_rates import RATES, ExchangeRates, read_rates
from features.signals.inclusive_ends import with_contiguous_periods
from features.signals.large_feed import Feed
from features.signals.validated_files import check_new_files
from features.signals.validation import CheckReport, check_source, count_source_rows
from features.sources.account_states import AccountStates
from features.sources.base import DUCKDB, Source
from features.sources.engine import (
    CUTOFF,
    Backend,
    contract_table,
    create_table,
    fetch,
    is_embedded,
    materialize,
    set_cutoff,
)
from features.sources.open_source import open_source
from features.utils.progress import Progress, no_progress

MAX_COPIED_ROWS = 1_000_000
"""Larger event tables are read in place."""

COMPUTED = 16
"""How many results of `OpenSignals.computed` stay in memory."""

FEED_TABLES = tuple(
    name for name in EVENT_TABLES if name != "orders" and not any(c.known_from for c in TABLES[name].columns)
)
"""Tables that may be read in place. Labels read orders row by row, and columns filled in later need a full scan. Extra
tables are always copied."""


@dataclass(frozen=True)
class OpenSignals:
    """The tables of a signals source, ready for snapshots and labels.

    Parameters
    ----------
    connection : the engine: the in-process DuckDB, or another Ibis backend.
    tables : Ibis table by contract name (``signals_{name}`` on the connection), in the contract's columns; instants are
        timestamps in UTC without a time zone. Event tables have ``known_at`` (when a row had happened and arrived)
        instead of ``loaded_at``, and ``until_at``, when a later version of the event replaced it (null for none).
    data_through : the instant up to which the source is complete, given or determined by
        `features.signals.data_through`.
    origin : the source's address.
    notes : descriptions of what was ignored.
    history_from : the instant from which every feed is complete, if known; otherwise each feed counts as complete from
        its first row.
    feeds : large event tables that are not copied; only these may contain an event several times.
    versioned : the event tables with replaced versions, which have an ``until_at``
        (`features.signals.event_versions`).
    states : values that describe accounts at a date, which no event shows; None without any.
    records : by table and column, the only values that the source can record (see `features.sources.base.Source`).
    rates : the rates of exchange. The ``arr`` of subscriptions is at constant rates (`features.signals.counted_arr`).
    open_questions : what a mapping has not answered, so that figures are uncertain.
    computed : what was computed from the tables last, for several figures that need the same.
    """

    connection: Backend
    tables: dict[str, ibis.Table]
    data_through: datetime
    origin: str
    notes: tuple[str, ...] = ()
    history_from: datetime | None = None
    feeds: dict[str, Feed] = field(default_factory=dict)
    versioned: frozenset[str] = frozenset()
    states: AccountStates | None = None
    rates: ExchangeRates = field(default_factory=ExchangeRates)
    records: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    open_questions: tuple[str, ...] = ()
    computed: LRUCache[Hashable, Any] = field(
        default_factory=lambda: LRUCache(COMPUTED), init=False, repr=False, compare=False
    )

    def has(self, name: str) -> bool:
        """Return whether the source has table ``name``."""
        return name in self.tables

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each copied table."""
        return {name: _count(table) for name, table in self.tables.items() if name not in self.feeds}

    @property
    def contractual(self) -> bool:
        """Whether accounts are active by subscriptions; otherwise by orders."""
        return self.has("subscriptions")

    def close(self) -> None:
        """Close the connection and release its memory."""
        with contextlib.suppress(Exception):
            self.connection.disconnect()


def open_signals(
    address: str | Path,
    data_through: datetime | None = None,
    progress: Progress = no_progress,
    engine: str = DUCKDB,
    rollup_folder: Path | None = None,
) -> OpenSignals:
    """Open, check and normalize the signals at ``address``.

    Parameters
    ----------
    address : folder, database address or mapping file (see `features.sources.open_source.open_source`).
    data_through : ignore data at or after this instant; by default the source is complete through the instant that a
        mapping names, or else its newest event.
    progress : progress callback.
    engine : ``duckdb``, ``spark`` or ``spark://HOST:PORT``.
    rollup_folder : the folder that records valid files of large feeds, so that they are not checked again; None for
        none.

    Raises
    ------
    BadRequest
        If the engine is unknown.
    SignalsError
        If the source cannot be read or violates the contract.
    """
    return read_signals(open_source(address, engine), data_through, progress=progress, rollup_folder=rollup_folder)


def read_signals(
    source: Source,
    data_through: datetime | None = None,
    history_from: datetime | None = None,
    progress: Progress = no_progress,
    copied_up_to: int = MAX_COPIED_ROWS,
    rollup_folder: Path | None = None,
    sound: bool = False,
    now: datetime | None = None,
) -> OpenSignals:
    """Check and normalize an open source.

    Parameters
    ----------
    source : the open source.
    data_through, progress, rollup_folder : as in `open_signals`. A mapping's own ``data_through`` is the default.
    history_from : the instant from which every feed is complete, if known.
    copied_up_to : larger event tables are read in place.
    sound : whether the source comes from signals that were already read; it is then copied without a check.
    now : the current time, by default the system clock.
    """
    progress(0.0, "checking the signals")
    data_through = data_through or source.data_through
    feed_tables = FEED_TABLES if is_embedded(source.connection) else ()
    in_files = (
        [n for n in feed_tables if n in source.files and count_source_rows(source, n) > copied_up_to]
        if rollup_folder
        else []
    )
    if sound:
        report = CheckReport(source.origin, (), tuple(source.notes))
    else:
        report = (
            check_new_files(source, data_through, in_files, rollup_folder)
            if rollup_folder and in_files
            else check_source(source, data_through, look=False)
        )
    report.raise_if_broken()
    large = [name for name in feed_tables if report.rows.get(name, 0) > copied_up_to and _has_unique_ids(source, name)]
    newest = data_through or newest_instant(source, now)
    # Without a cut-off, the data include the newest event and everything that has arrived by now; with one, nothing at
    # or after it.
    cutoff = newest if data_through else newest + timedelta(microseconds=1)
    arrival = cutoff if data_through else max(cutoff, now or datetime.now(UTC))
    set_cutoff(source.connection, cutoff, arrival)
    rates = read_rates(source, subscription_settings().currency)
    create_table(source.connection, RATES.get_name(), rates.reference_table())
    tables, feeds, versioned = {}, {}, set()
    for i, name in enumerate(source.tables):
        progress(0.3 + 0.7 * i / len(source.tables), f"reading {name}")
        schema, text = source_schema(source, name), name in source.text
        if name in large:
            extras = extra_columns(current_tables()[name], schema, source.partitions.get(name, ()))
            feeds[name] = Feed(source.connection, name, cutoff, arrival, source.files.get(name, ()), extras)
            feeds[name].create_views(source_table(name, schema), text)
        elif _copy_table(source, name, schema, text, sound):
            versioned.add(name)
        tables[name] = source.connection.table(f"signals_{name}")
    progress(1.0, "signals read")
    (accounts,) = fetch(source.connection, _accounts_before)
    if not accounts["n"]:
        raise SignalsError(
            f"{source.origin} has no account created before {newest.isoformat()}",
            "at least one account",
            "choose a later date",
        )
    return OpenSignals(
        source.connection,
        tables,
        newest,
        source.origin,
        report.notes,
        history_from,
        feeds,
        frozenset(versioned),
        source.states,
        rates,
        source.records,
        source.open_questions,
    )


def _copy_table(source: Source, name: str, schema: SourceSchema, text: bool, as_given: bool) -> bool:
    """Copy the distinct events of a table; return whether later versions replace some of its rows."""
    contract, connection = current_tables()[name], source.connection
    if name == "subscriptions":
        settings = subscription_settings()
        counting = settings.paused_arr, settings.trials == "active"
        materialize(connection, f"signals_{name}", _subscriptions, schema, text, as_given, *counting)
        return False
    materialize(connection, f"signals_{name}", _normalized, name, schema, text, ())
    if not contract.event:
        return False
    extras = extra_columns(contract, schema, source.partitions.get(name, ()))
    # Columns outside the contract are compared only if rows agree in all others.
    if extras and not contract[contract.identity].required:
        (sizes,) = fetch(connection, _sizes, name, schema, text)
        if sizes["once"] < sizes["n"]:
            materialize(connection, f"signals_{name}", _normalized, name, schema, text, extras)
    if not has_identity(contract, schema):
        return False
    (replaced,) = fetch(connection, _replaced, name)
    return bool(replaced["n"])


def _has_unique_ids(source: Source, name: str) -> bool:
    """Return whether no row of event table ``name`` can be a later version of another one.

    Finding versions needs the whole table, so a table with versions is copied.
    """
    schema = source_schema(source, name)
    if not has_identity(current_tables()[name], schema):
        return True
    (counts,) = fetch(source.connection, repeated_ids, name, schema, name in source.text)
    return bool(counts["n"] == counts["ids"])


def _count(table: ibis.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def _accounts_before() -> ibis.Table:
    """Return ``n``, the number of accounts before the cut-off."""
    accounts = contract_table("accounts").cross_join(CUTOFF)
    return accounts.filter(accounts.created_at < accounts.cutoff).aggregate(n=lambda t: t.count())


def _subscriptions(
    schema: SourceSchema, text: bool, as_given: bool, paused_arr: float, with_trials: bool
) -> ibis.Table:
    """Return typed subscriptions before the cut-off; ``as_given`` if inclusive ends were already moved."""
    given, contract = source_table("subscriptions", schema), TABLES["subscriptions"]
    rows = given.select(**conformed_columns(given, contract, text))
    rows = _cut_off(rows if as_given else with_contiguous_periods(rows), contract)
    rows = split_by_term(rows) if "term_started_at" in given.columns else rows
    return with_counted_arr(rows, paused_arr, with_trials)


def _normalized(name: str, schema: SourceSchema, text: bool, extras: tuple[str, ...]) -> ibis.Table:
    """Return typed rows before the cut-off with distinct events."""
    given, contract = source_table(name, schema), current_tables()[name]
    rows = given.select(**conformed_columns(given, contract, text), **extra_values(given, extras))
    if not contract.event:
        # Account attributes have no date: they also apply before the account's record began.
        return rows.distinct() if contract.of_accounts else _cut_off(rows.distinct(), contract)
    # Instants are cut off last: a version dated after the cut-off still replaces an earlier one.
    visible = rows.cross_join(CUTOFF)
    visible = visible.filter(arrival_instant(visible, contract) < visible.arrival_cutoff).select(*rows.columns)
    return event_versions(visible, contract, has_identity(contract, schema))


def _cut_off(table: ibis.Table, contract: TableSchema) -> ibis.Table:
    """Drop rows at or after the cut-off, and set values that became known only then to null."""
    table = table.cross_join(CUTOFF)
    table = table.filter(table[contract.at] < table.cutoff)
    later = {
        c.name: ibis.ifelse(table[c.known_from] < table.cutoff, table[c.name], None)
        for c in contract.columns
        if c.known_from is not None
    }
    return table.mutate(**later).select(*contract.names)


def _replaced(name: str) -> ibis.Table:
    """Return ``n``, the number of rows of event table ``name`` that a later version replaces."""
    rows = contract_table(name)
    return rows.aggregate(n=rows.until_at.count())


def _sizes(name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    """Return ``once``, the number of events, and ``n``, the number of source rows before the cut-off."""
    given, contract = source_table(name, schema), current_tables()[name]
    rows = given.select(**conformed_columns(given, contract, text)).cross_join(CUTOFF)
    read = (rows[contract.at] < rows.cutoff) & (arrival_instant(rows, contract) < rows.arrival_cutoff)
    n = rows.aggregate(n=rows.count(where=read))
    return n.cross_join(contract_table(name).aggregate(once=lambda t: t.count()))
