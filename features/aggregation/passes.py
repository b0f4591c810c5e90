"""Rolling rows up to buckets: the only work that follows the events.

A bucket is a span of whole days that no window's edge and no date of the grid cuts through, a week as a rule. Rows are
grouped by account, by the bucket in which they became *known*, and by the bucket in which they *happened*: nothing else
about their instants matters to any snapshot of the grid, late rows included. What follows
(`features.aggregation.window_columns`) works on buckets only. All sums are over whole numbers: the same for any order
of rows, on any engine.
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

WIDEST = 7
"""Days in a bucket at most."""
FEW = 62
"""Keys up to which a table's keys are bits of a number rather than rows of their own."""


def known_before_us(rows: Rows, us: Any) -> Any:
    """`features.sources.engine.known_before` an instant in microseconds since 1970."""
    return (epoch_us(rows.known_at) < us) & (rows.until_at.isnull() | (epoch_us(rows.until_at) >= us))


@dataclass(frozen=True)
class Gathering:
    """Measures of a table that are held in buckets and share the columns that place and reveal a row; where rows are
    grouped as they stream by, also those of few keys.

    Rolls up to: account_id, span (see `span`), and the columns of each measure (`Measure.bucket_columns`), int64:
    instants in seconds, days and keys as bits.
    """

    table: str
    at: str
    known: str
    width: int
    measures: tuple[Measure, ...]

    @property
    def looked_at(self) -> tuple[Measure, ...]:
        """The measures whose rows it takes."""
        return self.measures


@dataclass(frozen=True)
class Starts:
    """When a feed, and each of its columns, began.

    Rolls up to: kb, the first instant (``at_s``, seconds) of the rows that became known in it, and for each column the
    first of those that have a value there (``at_s_{column}``).
    """

    table: str
    width: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Presence:
    """The keys that some measures count; ``days``: with the days on which each was there.

    Rolls up to: account_id, key, span, and days (bits) where asked for.
    """

    table: str
    measure: Distinct
    width: int
    days: bool

    @property
    def looked_at(self) -> tuple[Measure, ...]:
        """The measures whose rows it takes."""
        return (self.measure,)


@dataclass(frozen=True)
class States:
    """What stands from a row until a later one (the layout "states"), or until its end ("intervals").

    Rolls up to: account_id, key and part (text; where the measure has them), kb, then at_us (microseconds) and amount,
    or eb (ends in, null: never) and amount.
    """

    table: str
    measure: Measure
    width: int


Grouping: TypeAlias = Gathering | Presence
"""What groups rows by account and span."""
Pass: TypeAlias = Starts | States | Grouping
"""One grouping of one table."""


def passes(name: str, needs: Iterable[Need], step_days: int, few: Iterable[Distinct] = ()) -> tuple[Pass, ...]:
    """The groupings that yield everything needed of table ``name``; the first one tells when the feed began.

    ``few`` are Distinct measures with at most `FEW` keys in all: bits of a Gathering, which only
    `features.aggregation.numpy_groupby`
    yields.
    """
    wanted = sorted({m for m, _ in needs}, key=lambda m: (m.name, m.ago))
    step = gcd(step_days, WIDEST)
    spans: dict[Measure, int] = defaultdict(lambda: step)
    for measure, days in needs:
        spans[measure.back(0)] = gcd(spans[measure.back(0)], days, measure.ago)
    clocks: dict[tuple[str, str], list[Measure]] = defaultdict(list)
    present: dict[Distinct, list[Measure]] = defaultdict(list)
    states: list[Measure] = []
    for measure in {m.back(0): None for m in wanted}:
        key = measure.counted_key
        if measure.layout != "buckets":
            states.append(measure)
        elif key is not None and not (measure == key and key in few):
            present[key].append(measure)
        else:
            clocks[measure.at, measure.known].append(measure)
    found: list[Pass] = [Starts(name, step, tuple(sorted({m.column for m in wanted if m.column})))]
    for (at, known), measures in clocks.items():
        width = gcd(*(spans[m] for m in measures))
        found.append(Gathering(name, at, known, width, tuple(measures)))
    for key, measures in present.items():
        days = any("days" in m.reductions for m in measures)
        found.append(Presence(name, key, gcd(*(spans[m] for m in measures)), days))
    return (*found, *(States(name, m, spans[m]) for m in states))


def groupings(found: Iterable[Pass]) -> tuple[Grouping, ...]:
    """Those of the passes that group rows by account and span."""
    return tuple(what for what in found if isinstance(what, Gathering | Presence))


def measured(needs: Iterable[Need]) -> tuple[Measure, ...]:
    """The measures that ``needs`` ask for, as they stand on the day itself, in order."""
    return tuple(sorted({m.back(0) for m, _ in needs}, key=lambda m: (type(m).__name__, m.name)))


def measured_rows(measures: tuple[Measure, ...]) -> Rows:
    """What ``measures``, of one table, look at of each row of the accounts of which an event has several versions, for
    `features.aggregation.versioned_rows` to count.

    Columns: account_id; `us_column` of each instant and of ``until_at``; and for each measure `value_column`: whether
    the row counts (bool), its number (int64, whole ten-thousandths), or its key (text), null where the row does not
    count; of states that fulfil a condition also `part_column` and `holds_column`.
    """
    table = measures[0].table
    rows = contract_table(table)
    affected = rows.filter(rows.until_at.notnull()).select("account_id").distinct()
    rows = rows.semi_join(affected, "account_id").cross_join(GRID)
    rows = rows.select(*rows.columns)
    instants: dict[str, None] = {"until_at": None}
    columns: dict[str, Any] = {}
    for measure in measures:
        instants |= dict.fromkeys((measure.at, measure.known))
        if measure.end_column:
            instants[measure.end_column] = None
        columns |= _measured(measure, rows)
    return rows.select("account_id", **{us_column(c): epoch_us(rows[c]) for c in instants}, **columns)


def value_column(measure: Measure) -> str:
    """The column of `measured_rows` that holds what ``measure`` looks at."""
    return f"_value_{measure.name}"


def part_column(measure: Measure) -> str:
    """The column of `measured_rows` that holds the value of the column `Measure.state_part`."""
    return f"_part_{measure.name}"


def holds_column(measure: Measure) -> str:
    """The column of `measured_rows` that says whether the row fulfils `Measure.condition`."""
    return f"_holds_{measure.name}"


def _measured(measure: Measure, rows: Rows) -> dict[str, Any]:
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
    """One text for the whole key of a state: lengths first, so that no two keys can look alike."""
    parts = [rows[c].cast("string") for c in measure.state_key]
    return ibis.literal("").join([p.length().cast("string") + ":" + p for p in parts])
