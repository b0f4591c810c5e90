"""Feed health: each table's span, silences, coverage and missing columns, and where a unit jumped.

A source can keep the contract and still be wrong: a feed that stopped in spring, minutes that became seconds. Dates,
shares and factors are told; values of customers never.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from features.contract.schema import TABLES, TableSchema
from features.feed_health.column_coverage import column_health
from features.feed_health.feed_report import FeedHealth
from features.feed_health.level_shifts import Floats
from features.feed_health.silences import Days, has_rhythm, patience_days, silences
from features.feed_health.table_profile import measured, optional, per_day, totals
from features.feed_health.unit_changes import Jump, unit_jumps, volume_falls
from features.signals.casting import fits, given_schema
from features.signals.data_through import Completeness, decided, lay_clock
from features.sources.base import Source
from features.sources.engine import error_types, fetch, set_cutoff
from features.utils.dates import DAY_SECONDS

# Accounts come when they are won and plays are run when a team chooses to: no rhythm is owed.
NO_RHYTHM = ("accounts", "interventions")


@dataclass(frozen=True)
class Feeds:
    """The health of every feed of a source.

    Parameters
    ----------
    end : the end of the data: given, or else as `features.signals.data_through` has it; None without any row.
    decided_by : the table whose newest row that is; None where the end was given.
    tables : by name, in the contract's order.
    unread : tables whose rows could not be judged because their shape breaks the contract.
    absent : tables of the contract that the source does not have.
    """

    end: datetime | None
    tables: dict[str, FeedHealth]
    unread: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    decided_by: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain JSON values."""
        return {
            "end": None if self.end is None else self.end.isoformat(),
            "decided_by": self.decided_by,
            "tables": {name: feed.as_dict() for name, feed in self.tables.items()},
            "unread": list(self.unread),
            "absent": list(self.absent),
        }

    def troubles(self) -> list[str]:
        """Every feed's troubles."""
        return [line for feed in self.tables.values() for line in feed.troubles()]

    @property
    def jumped(self) -> tuple[str, ...]:
        """The columns whose unit seems to have changed, as ``table.column``."""
        jumps = [jump for feed in self.tables.values() for jump in feed.jumps]
        return tuple(dict.fromkeys(f"{jump.table}.{jump.column}" for jump in jumps if jump.column is not None))

    def notes(self) -> list[str]:
        """Every feed's notes."""
        return [line for feed in self.tables.values() for line in feed.notes()]

    def with_kept(self, kept: Mapping[str, int]) -> Feeds:
        """The same feeds, with the share of repeated rows.

        Parameters
        ----------
        kept : rows by table that were left when each event was taken once (`features.signals.signals.Signals.rows`).
        """
        return replace(self, tables={n: _with_kept(f, kept.get(n)) for n, f in self.tables.items()})


def feed_health(source: Source, until: datetime | None = None, now: datetime | None = None) -> Feeds:
    """Judge every table of ``source`` as a feed.

    Parameters
    ----------
    source : the tables as given. Those whose shape breaks the contract (`features.signals.validation.check` names
    them) are passed
        over.
    until : the end of the data: rows at or after this instant are not looked at.
    now : the clock, by default the present; without ``until``, what is dated after it is to come.
    """
    connection = source.connection
    about = {n: (n, given_schema(source, n), n in source.text) for n in TABLES if n in source.tables}
    sums: dict[str, dict[str, Any]] = {}
    found: dict[str, FeedHealth] = {}
    if until:
        set_cutoff(connection, until)
    else:
        lay_clock(source, now)
    for name, table in about.items():
        if _readable(source, TABLES[name]):
            with contextlib.suppress(*error_types(connection)):
                (sums[name],) = fetch(connection, totals, *table)
    reach = Completeness(until, None, {}) if until else decided(source, {n: sums[n]["newest"] for n in sums})
    end = reach.through
    # As where signals are read: the newest row itself belongs to the data, and so does what has arrived by now.
    cutoff = until or (end and end + timedelta(microseconds=1))
    set_cutoff(connection, cutoff, until or (cutoff and max(cutoff, now or datetime.now(UTC))))
    accounts = sums["accounts"]["accounts"] if "accounts" in sums else None
    for name, facts in sums.items():
        with contextlib.suppress(*error_types(connection)):
            days = pd.DataFrame(fetch(connection, per_day, *about[name]))
            found[name] = _health(source, TABLES[name], facts, days, end, accounts)
    unread, absent = tuple(n for n in about if n not in found), tuple(n for n in TABLES if n not in about)
    return Feeds(end, found, unread, absent, reach.decided_by)


def _readable(source: Source, table: TableSchema) -> bool:
    schema = source.tables[table.name].schema()
    if any(c.required and c.name not in schema for c in table.columns):
        return False
    return table.name in source.text or all(fits(schema[c.name], c) for c in table.columns if c.name in schema)


def _health(
    source: Source,
    table: TableSchema,
    sums: Mapping[str, Any],
    kinds: pd.DataFrame,
    end: datetime | None,
    accounts: int | None,
) -> FeedHealth:
    kinds = kinds if len(kinds) else pd.DataFrame({"day": [], "rows": [], "of_kind": [], "to_come": []})
    daily = kinds.drop(columns="of_kind").groupby("day", as_index=False).sum()
    days = _days(daily)
    first, last = (None if sums[k] is None else sums[k].replace(tzinfo=UTC) for k in ("first", "last"))
    if last and end and last > end:
        # Rows to come do not say how far a feed reaches.
        last = min(end, sums["newest"].replace(tzinfo=UTC)) if sums["newest"] else None
    silent = max((end - last) / timedelta(days=1), 0.0) if end and last else 0.0
    # Contracts begin when they are won, and few of them show no rhythm; events are owed from their first day on.
    judged = table.name not in NO_RHYTHM and (table.event or has_rhythm(days))
    given = source.tables[table.name].columns
    lags = float(sums.get("known_lag") or 0)
    return FeedHealth(
        table=table.name,
        rows=int(daily["rows"].sum()),
        first=first,
        last=last,
        days_with_rows=len(days),
        silent_days=silent,
        patience_days=patience_days(days) if judged else None,
        accounts_share=sums["accounts"] / accounts if accounts else None,
        day_late=float(sums["day_late"]) / lags if lags else None,
        week_late=float(sums["week_late"]) / lags if lags else None,
        worst_days=float(sums["worst_s"]) / DAY_SECONDS if lags else None,
        to_come=int(daily["to_come"].sum()),
        repeated_share=None,
        columns=tuple(column_health(c, daily, c.name in given) for c in optional(table)),
        silences=silences(days) if judged else (),
        jumps=_jumps(table, kinds, daily),
    )


def _jumps(table: TableSchema, kinds: pd.DataFrame, daily: pd.DataFrame) -> tuple[Jump, ...]:
    found: list[Jump] = []
    for column in measured(table):
        if f"values_{column.name}" in kinds:
            for kind, rows in kinds.groupby("of_kind", dropna=False):
                held = rows[rows[f"values_{column.name}"] > 0]
                told = None if pd.isna(kind) else str(kind)
                found += unit_jumps(table.name, column.name, told, *_columns(held, column.name))
    if table.event:
        found += volume_falls(table.name, _days(daily), daily["rows"].to_numpy(dtype=np.float64))
    return tuple(found)


def _columns(rows: pd.DataFrame, name: str) -> tuple[Days, Floats, Floats]:
    counts, logs = (rows[f"{what}_{name}"].to_numpy(dtype=np.float64) for what in ("values", "logs"))
    return _days(rows), counts, logs


def _days(rows: pd.DataFrame) -> Days:
    return rows["day"].to_numpy(dtype=np.int64)


def _with_kept(feed: FeedHealth, kept: int | None) -> FeedHealth:
    if kept is None or not feed.rows:
        return feed
    return replace(feed, repeated_share=max(feed.rows - feed.to_come - kept, 0) / feed.rows)
