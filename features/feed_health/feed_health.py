"""Feed health: span, silences, coverage, missing columns and unit changes of each table.

A source can comply with the contract and still be wrong: a feed that stopped in spring, or minutes that became seconds.
The results contain dates, shares and factors, never customers' values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from features.contract.current_contract import current_tables
from features.contract.schema import TableSchema
from features.contract.settings import subscription_settings
from features.feed_health.column_coverage import column_health
from features.feed_health.contract_activity import ContractActivity, contract_activity
from features.feed_health.feed_report import FeedHealth
from features.feed_health.silences import Silence, day_of, has_rhythm, patience_days, silences
from features.feed_health.table_profile import measured, optional, per_day, totals
from features.feed_health.unit_changes import Jump, unit_jumps, volume_falls
from features.signals.casting import is_compatible, source_schema
from features.signals.data_through import Completeness, decide_completeness, set_clock
from features.sources.base import Source
from features.sources.engine import error_types, fetch, set_cutoff
from features.utils.arrays import Floats, Ints
from features.utils.dates import DAY_SECONDS, WEEK_DAYS

# Accounts are won, plays are run and judgments are given at irregular times, so no rhythm is expected.
NO_RHYTHM = ("accounts", "interventions", "pulse")


@dataclass(frozen=True)
class Feeds:
    """The health of every feed of a source.

    Parameters
    ----------
    end : the end of the data, given or determined by `features.signals.data_through`; None without any row.
    decided_by : the table whose newest row determines the end; None if the end was given.
    end_notes : what is wrong with a given end (`features.signals.validation.given_end_findings`), where it was checked.
    tables : the feeds by name, in the contract's order.
    unread : tables that could not be assessed because their columns violate the contract.
    absent : tables of the contract that the source does not have.
    """

    end: datetime | None
    tables: dict[str, FeedHealth]
    unread: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    decided_by: str | None = None
    end_notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain JSON values."""
        return {
            "end": None if self.end is None else self.end.isoformat(),
            "decided_by": self.decided_by,
            "tables": {name: feed.as_dict() for name, feed in self.tables.items()},
            "unread": list(self.unread),
            "absent": list(self.absent),
        }

    def troubles(self) -> list[str]:
        """Return the problems of the end of the data and of all feeds."""
        return [*self.end_notes, *(line for feed in self.tables.values() for line in feed.troubles())]

    @property
    def jumped(self) -> tuple[str, ...]:
        """The columns whose unit seems to have changed, as ``table.column``."""
        jumps = [jump for feed in self.tables.values() for jump in feed.jumps]
        return tuple(dict.fromkeys(f"{jump.table}.{jump.column}" for jump in jumps if jump.column is not None))

    def notes(self) -> list[str]:
        """Return the notes of all feeds."""
        return [line for feed in self.tables.values() for line in feed.notes()]

    def with_distinct_rows(self, distinct: Mapping[str, int]) -> Feeds:
        """Return the feeds with the share of repeated rows.

        Parameters
        ----------
        distinct : distinct rows by table (`features.signals.signals.OpenSignals.rows`).
        """
        return replace(self, tables={n: _with_distinct_rows(f, distinct.get(n)) for n, f in self.tables.items()})


def feed_health(source: Source, until: datetime | None = None, now: datetime | None = None) -> Feeds:
    """Assess every table of ``source`` as a feed.

    Parameters
    ----------
    source : the source tables. Tables with columns that violate the contract are skipped
        (`features.signals.validation.check_source` reports them).
    until : the end of the data: rows at or after this instant are ignored. Default: that of a mapping, if it has one.
    now : the current time, by default the system clock. Without ``until``, rows dated after it are in the future.
    """
    connection, until = source.connection, until or source.data_through
    about = {n: (n, source_schema(source, n), n in source.text) for n in current_tables() if n in source.tables}
    sums: dict[str, dict[str, Any]] = {}
    feeds: dict[str, FeedHealth] = {}
    if until:
        set_cutoff(connection, until)
    else:
        set_clock(source, now)
    for name, table in about.items():
        if _readable(source, current_tables()[name]):
            with contextlib.suppress(*error_types(connection)):
                (sums[name],) = fetch(connection, totals, *table)
    reach = (
        Completeness(until, None, {}) if until else decide_completeness(source, {n: sums[n]["newest"] for n in sums})
    )
    end = reach.through
    # As in `read_signals`: the data include the newest row and everything that has arrived by now.
    cutoff = until or (end and end + timedelta(microseconds=1))
    set_cutoff(connection, cutoff, until or (cutoff and max(cutoff, now or datetime.now(UTC))))
    accounts = sums["accounts"]["accounts"] if "accounts" in sums else None
    for name, facts in sums.items():
        with contextlib.suppress(*error_types(connection)):
            days = pd.DataFrame(fetch(connection, per_day, *about[name]))
            feeds[name] = _health(source, current_tables()[name], facts, days, end, accounts)
    unread, absent = tuple(n for n in about if n not in feeds), tuple(n for n in current_tables() if n not in about)
    return Feeds(end, feeds, unread, absent, reach.decided_by)


def _readable(source: Source, table: TableSchema) -> bool:
    schema = source.tables[table.name].schema()
    if any(c.required and c.name not in schema for c in table.columns):
        return False
    return table.name in source.text or all(is_compatible(schema[c.name], c) for c in table.columns if c.name in schema)


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
        # Rows that have not yet arrived do not show how far a feed reaches.
        last = min(end, sums["newest"].replace(tzinfo=UTC)) if sums["newest"] else None
    silent = max((end - last) / timedelta(days=1), 0.0) if end and last else 0.0
    # Contracts begin when they are won, and a few have no rhythm; events are expected from their first day on.
    judged = table.name not in NO_RHYTHM and (table.event or has_rhythm(days))
    patience, gaps = (patience_days(days), silences(days)) if judged else (None, ())
    activity = None
    if table.name == "subscriptions" and patience is not None and end and (gaps or silent > patience):
        activity = contract_activity(source, end)
        silent, patience, gaps = _by_activity(activity, days, silent, patience, end)
    given = source.tables[table.name].columns
    lags = float(sums.get("known_lag") or 0)
    return FeedHealth(
        table=table.name,
        rows=int(daily["rows"].sum()),
        first=first,
        last=last,
        days_with_rows=len(days),
        silent_days=silent,
        patience_days=patience,
        accounts_share=sums["accounts"] / accounts if accounts and sums["accounts"] is not None else None,
        day_late=float(sums["day_late"]) / lags if lags else None,
        week_late=float(sums["week_late"]) / lags if lags else None,
        worst_days=float(sums["worst_s"]) / DAY_SECONDS if lags else None,
        to_come=int(daily["to_come"].sum()),
        repeated_share=None,
        columns=tuple(column_health(c, daily, c.name in given) for c in optional(table)),
        silences=gaps,
        unfollowed=activity.unfollowed if activity else 0,
        active_until=activity.last if activity else None,
        jumps=_jumps(table, kinds, daily),
        weekly_rows=_weekly_rows(daily),
        **_not_counted(daily),
    )


def _by_activity(
    activity: ContractActivity, days: Ints, silent: float, patience: float, end: datetime
) -> tuple[float, float, tuple[Silence, ...]]:
    """Return the silence of contracts until the end, the allowed silence, and gaps, by all signs of activity."""
    all_days = np.union1d(days, activity.days)
    if activity.last is not None:
        silent = max((end - activity.last) / timedelta(days=1), 0.0)
    return silent, max(patience, patience_days(all_days)), silences(all_days)


def _not_counted(daily: pd.DataFrame) -> dict[str, int]:
    """Return the number of trials, and of paused subscriptions, that do not count in full."""
    settings = subscription_settings()
    counted = {"trials": settings.trials == "active", "paused": settings.paused_arr == 1}
    return {name: int(daily[name].sum()) for name, full in counted.items() if name in daily and not full}


def _jumps(table: TableSchema, kinds: pd.DataFrame, daily: pd.DataFrame) -> tuple[Jump, ...]:
    jumps: list[Jump] = []
    # Amounts and rates of different currencies have different levels, so a new currency is no change of unit.
    for column in measured(table) if table.of_accounts else ():
        if column.name == "arr" and kinds.get("filled_currency", pd.Series([0])).sum():
            continue
        if f"values_{column.name}" in kinds:
            for kind, rows in kinds.groupby("of_kind", dropna=False):
                positive = rows[rows[f"values_{column.name}"] > 0]
                kind_name = None if pd.isna(kind) else str(kind)
                jumps += unit_jumps(table.name, column.name, kind_name, *_columns(positive, column.name))
    if table.event:
        jumps += volume_falls(table.name, _days(daily), daily["rows"].to_numpy(dtype=np.float64))
    return tuple(jumps)


def _weekly_rows(daily: pd.DataFrame) -> tuple[tuple[date, int], ...]:
    """Return the rows per week; the epoch's first day was a Thursday."""
    days = _days(daily)
    mondays, week = np.unique(days - (days + 3) % WEEK_DAYS, return_inverse=True)
    rows = np.bincount(week, weights=daily["rows"].to_numpy(dtype=np.float64), minlength=len(mondays))
    return tuple((day_of(monday), int(n)) for monday, n in zip(mondays, rows, strict=True) if n)


def _columns(rows: pd.DataFrame, name: str) -> tuple[Ints, Floats, Floats]:
    counts, logs = (rows[f"{what}_{name}"].to_numpy(dtype=np.float64) for what in ("values", "logs"))
    return _days(rows), counts, logs


def _days(rows: pd.DataFrame) -> Ints:
    return rows["day"].to_numpy(dtype=np.int64)


def _with_distinct_rows(feed: FeedHealth, distinct: int | None) -> FeedHealth:
    if distinct is None or not feed.rows:
        return feed
    return replace(feed, repeated_share=max(feed.rows - feed.to_come - feed.trials - distinct, 0) / feed.rows)
