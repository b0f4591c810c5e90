"""Passes: the groupings of a table's rows into buckets, the only step that reads the events.

A bucket is a span of whole days, usually a week, that no window edge and no date of the grid divides. Rows are grouped
by account, by the bucket in which they became *known*, and by the bucket in which they *happened*. A snapshot of the
grid needs nothing else about their instants, even for late rows. The next step
(`features.aggregation.window_columns`) reads only buckets. All sums are sums of whole numbers, so they are the same for
any order of rows and on any engine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd
from typing import Any, TypeAlias

import ibis

from features.aggregation.bucket_arithmetic import fixed, us_column
from features.definitions.aggregations import Distinct, Measure, Rows
from features.sources.engine import GRID, contract_table
from features.sources.sql_functions import epoch_us

Need = tuple[Measure, int]

MAX_BUCKET_DAYS = 7
"""Maximum number of days in a bucket."""
MAX_BITSET_KEYS = 62
"""Maximum number of keys that are stored as bits of a number; more keys are stored as rows."""


def known_before_us(rows: Rows, us: Any) -> Any:
    """Return `features.sources.engine.known_before` for an instant in microseconds since 1970.

    Parameters
    ----------
    rows : rows with ``known_at`` and ``until_at``.
    us : the instant, microseconds since 1970.

    Returns
    -------
    ibis.BooleanValue
        Whether each row was known before the instant, and not yet replaced.
    """
    return (epoch_us(rows.known_at) < us) & (rows.until_at.isnull() | (epoch_us(rows.until_at) >= us))


@dataclass(frozen=True)
class BucketPass:
    """The measures of a table that are stored in buckets and use the same instant columns.

    If a feed is grouped in parts, these include the measures of few keys.

    Result columns: account_id, span (see `features.aggregation.bucket_arithmetic.span`), and the columns of each
    measure (`Measure.bucket_columns`), int64: instants in seconds, days and keys as bits.
    """

    table: str
    at: str
    known_at: str
    width: int
    measures: tuple[Measure, ...]

    @property
    def source_measures(self) -> tuple[Measure, ...]:
        """The measures that select its rows."""
        return self.measures


@dataclass(frozen=True)
class FeedStartPass:
    """The start of a feed and of each of its columns.

    Result columns: kb (bucket when known), the first instant (``at_s``, seconds) of the rows that became known in it,
    and for each column the first instant of the rows with a value in it (``at_s_{column}``).
    """

    table: str
    width: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class KeyPass:
    """The keys that some measures count; with ``days``, also the days with a row of each key.

    Result columns: account_id, key, span, and days (bits) with ``days``.
    """

    table: str
    measure: Distinct
    width: int
    days: bool

    @property
    def source_measures(self) -> tuple[Measure, ...]:
        """The measures that select its rows."""
        return (self.measure,)


@dataclass(frozen=True)
class StatePass:
    """Values that are valid from a row until a later one (the layout "states"), or until its end ("intervals").

    Result columns: account_id, key and part (text; if the measure has them), kb (bucket when known), then at_us
    (microseconds) and amount for states, or eb (bucket of the end, null if there is none) and amount for intervals.
    """

    table: str
    measure: Measure
    width: int


Grouping: TypeAlias = BucketPass | KeyPass
"""A pass that groups rows by account and span."""
Pass: TypeAlias = FeedStartPass | StatePass | Grouping
"""One grouping of one table."""


def plan_passes(name: str, needs: Iterable[Need], step_days: int, few: Iterable[Distinct] = ()) -> tuple[Pass, ...]:
    """Return the passes that compute everything needed from table ``name``; the first one is the `FeedStartPass`.

    Parameters
    ----------
    name : the table.
    needs : the measures and their windows, in days.
    step_days : days between the dates of the grid.
    few : Distinct measures with at most `MAX_BITSET_KEYS` keys in total. They become bits in a `BucketPass`, which only
        `features.aggregation.numpy_groupby` can compute.
    """
    wanted = sorted({m for m, _ in needs}, key=lambda m: (m.name, m.ago))
    step = gcd(step_days, MAX_BUCKET_DAYS)
    spans: dict[Measure, int] = defaultdict(lambda: step)
    for measure, days in needs:
        spans[measure.lagged(0)] = gcd(spans[measure.lagged(0)], days, measure.ago)
    by_instants: dict[tuple[str, str], list[Measure]] = defaultdict(list)
    by_key: dict[Distinct, list[Measure]] = defaultdict(list)
    states: list[Measure] = []
    for measure in {m.lagged(0): None for m in wanted}:
        key = measure.counted_key
        if measure.layout != "buckets":
            states.append(measure)
        elif key is not None and not (measure == key and key in few):
            by_key[key].append(measure)
        else:
            by_instants[measure.at, measure.known_at].append(measure)
    planned: list[Pass] = [FeedStartPass(name, step, tuple(sorted({m.column for m in wanted if m.column})))]
    for (at, known), measures in by_instants.items():
        width = gcd(*(spans[m] for m in measures))
        planned.append(BucketPass(name, at, known, width, tuple(measures)))
    for key, measures in by_key.items():
        days = any("days" in m.reductions for m in measures)
        planned.append(KeyPass(name, key, gcd(*(spans[m] for m in measures)), days))
    return (*planned, *(StatePass(name, m, spans[m]) for m in states))


def groupings(planned: Iterable[Pass]) -> tuple[Grouping, ...]:
    """Return the passes that group rows by account and span."""
    return tuple(what for what in planned if isinstance(what, BucketPass | KeyPass))


def measures_of(needs: Iterable[Need]) -> tuple[Measure, ...]:
    """Return the measures of ``needs``, without lag, in order."""
    return tuple(sorted({m.lagged(0) for m, _ in needs}, key=lambda m: (type(m).__name__, m.name)))


def versioned_account_rows(measures: tuple[Measure, ...]) -> Rows:
    """Return the values that ``measures``, of one table, read from each row of the accounts with versioned events.

    These are the accounts with an event of several versions; `features.aggregation.versioned_rows` counts their rows.

    Columns: account_id; `us_column` of each instant and of ``until_at``; and for each measure `value_column`: whether
    the row counts (bool), its number (int64, whole ten-thousandths), or its key (text), null if the row does not count.
    States with a condition also have `part_column` and `holds_column`.
    """
    table = measures[0].table
    rows = contract_table(table)
    affected = rows.filter(rows.until_at.notnull()).select("account_id").distinct()
    rows = rows.semi_join(affected, "account_id").cross_join(GRID)
    rows = rows.select(*rows.columns)
    instants: dict[str, None] = {"until_at": None}
    columns: dict[str, Any] = {}
    for measure in measures:
        instants |= dict.fromkeys((measure.at, measure.known_at))
        if measure.end_column:
            instants[measure.end_column] = None
        columns |= _value_columns(measure, rows)
    return rows.select("account_id", **{us_column(c): epoch_us(rows[c]) for c in instants}, **columns)


def value_column(measure: Measure) -> str:
    """Return the column of `versioned_account_rows` with the value that ``measure`` reads."""
    return f"_value_{measure.name}"


def part_column(measure: Measure) -> str:
    """Return the column of `versioned_account_rows` with the value of the column `Measure.state_part`."""
    return f"_part_{measure.name}"


def holds_column(measure: Measure) -> str:
    """Return the column of `versioned_account_rows` that is true if the row meets `Measure.condition`."""
    return f"_holds_{measure.name}"


def _value_columns(measure: Measure, rows: Rows) -> dict[str, Any]:
    source = measure.counted_key or measure
    counts = source.where(rows).fill_null(False)
    if source.counted_key is not None:
        value = source.counted_key.key(rows).cast("string")
    elif source.condition is not None:
        value = joined_key(source, rows)
    elif source.number is None:
        return {value_column(measure): counts}
    else:
        value = fixed(source.number(rows))
        value = ibis.coalesce(value, 0) if source.layout == "intervals" else value
    columns = {value_column(measure): ibis.ifelse(counts, value, None)}
    if source.condition is not None:
        part = rows[source.state_part].cast("string") if source.state_part else ibis.literal("")
        columns[part_column(source)] = part
        columns[holds_column(source)] = ibis.ifelse(source.condition(rows), 1, 0).cast("int64")
    return columns


def joined_key(measure: Measure, rows: Rows) -> Any:
    """Join the key of a state into one text, with lengths, so that different keys never give the same text."""
    parts = [rows[c].cast("string") for c in measure.state_key]
    return ibis.literal("").join([p.length().cast("string") + ":" + p for p in parts])
