"""Rolling rows up to buckets: the only work that follows the events.

A bucket is a span of whole days that no window's edge and no date of the grid cuts through, a week as a rule. Rows are
grouped by account, by the bucket in which they became *known*, and by the bucket in which they *happened*: nothing else
about their instants matters to any snapshot of the grid, late rows included. What follows (`features.running`)
works on buckets only. All sums are over whole numbers: the same for any order of rows, on any engine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd
from typing import Any, TypeAlias

import ibis
import ibis.expr.datatypes as dt
import numpy as np
import numpy.typing as npt

from features.clock import DAY_SECONDS
from features.contract import TABLES, known_column
from features.engine import GRID, contract_table, newest_versions
from features.measures import (
    FIXED_POINT,
    ActiveDays,
    Count,
    Distinct,
    Holding,
    Latest,
    Measure,
    Newest,
    Oldest,
    Rows,
    Standing,
    Sum,
    every,
)

Need = tuple[Measure, int]

WIDEST = 7
"""Days in a bucket at most."""
HASH = "_hash"
"""The column of a feed's rows that holds the same number for rows that are one event."""
FEW = 62
"""Keys up to which a table's keys are bits of a number rather than rows of their own."""
DAY_MICROS = DAY_SECONDS * 1_000_000
LAG_BITS = 20
"""Bits of ``span`` that tell how many buckets later than it happened a row became known."""


@ibis.udf.scalar.builtin(signature=((dt.timestamp,), dt.int64))  # type: ignore[untyped-decorator]
def epoch_us(instant: Any) -> Any:
    """Microseconds since 1970."""


def known_before_us(rows: Rows, us: Any) -> Any:
    """`features.engine.known_before` an instant in microseconds since 1970."""
    return (epoch_us(rows.known_at) < us) & (rows.until_at.isnull() | (epoch_us(rows.until_at) >= us))


@ibis.udf.scalar.builtin(name="hash", signature=((dt.string,), dt.uint64))  # type: ignore[untyped-decorator]
def hash64(text: Any) -> Any:
    """64 bits that stand for a text, on the embedded engine."""


@dataclass(frozen=True)
class Gathering:
    """Counts, sums, active days and extremes of a table that share the columns that place and reveal a row; where rows
    are grouped as they stream by, also Distinct measures with few keys.

    Rolls up to: account_id, span (see `span`), and a column per measure, int64: instants in seconds, days and keys as
    bits.
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
    """The keys of one Distinct measure; ``days``: with the days on which each was there.

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
    """What stands from a row until a later one (Latest, Holding) or until its end (Standing).

    Rolls up to: account_id, key and part (text; for Holding), kb, then at_us (microseconds) and amount, or eb (ends in,
    null: never) and amount.
    """

    table: str
    measure: Latest | Holding | Standing
    width: int


Grouping: TypeAlias = Gathering | Presence
"""What groups rows by account and span."""
Pass: TypeAlias = Starts | States | Grouping
"""One grouping of one table."""


def passes(name: str, needs: Iterable[Need], step_days: int, few: Iterable[Distinct] = ()) -> tuple[Pass, ...]:
    """The groupings that yield everything needed of table ``name``; the first one tells when the feed began.

    ``few`` are Distinct measures with at most `FEW` keys in all: bits of a Gathering, which only `features.grouped`
    yields.
    """
    wanted = sorted({m for m, _ in needs}, key=lambda m: (m.name, m.ago))
    step = gcd(step_days, WIDEST)
    spans: dict[Measure, int] = defaultdict(lambda: step)
    for measure, days in needs:
        spans[measure.back(0)] = gcd(spans[measure.back(0)], days, measure.ago)
    clocks: dict[tuple[str, str], list[Measure]] = defaultdict(list)
    present: dict[Distinct, list[Measure]] = defaultdict(list)
    states: list[Latest | Holding | Standing] = []
    for measure in {m.back(0): None for m in wanted}:
        key = measure.of if isinstance(measure, ActiveDays) else measure
        if isinstance(measure, Latest | Holding | Standing):
            states.append(measure)
        elif isinstance(key, Distinct) and not (measure is key and key in few):
            present[key].append(measure)
        else:
            clocks[measure.at, measure.known].append(measure)
    found: list[Pass] = [Starts(name, step, tuple(sorted({m.column for m in wanted if m.column})))]
    for (at, known), measures in clocks.items():
        width = gcd(*(spans[m] for m in measures))
        found.append(Gathering(name, at, known, width, tuple(measures)))
    for key, measures in present.items():
        days = any(isinstance(m, ActiveDays) for m in measures)
        found.append(Presence(name, key, gcd(*(spans[m] for m in measures)), days))
    return (*found, *(States(name, m, spans[m]) for m in states))


def groupings(found: Iterable[Pass]) -> tuple[Grouping, ...]:
    """Those of the passes that group rows by account and span."""
    return tuple(what for what in found if isinstance(what, Gathering | Presence))


def rolled_up(what: Pass, view: str = "") -> Rows:
    """The expression of one grouping over the contract table, or over a ``view`` of some of its rows."""
    if isinstance(what, Starts):
        return _started(what, view)
    if isinstance(what, Gathering):
        return _gathered(what, view)
    if isinstance(what, Presence):
        return _present(what, view)
    if isinstance(what.measure, Standing):
        return _standing(what.table, what.measure, what.width, view)
    return _states(what.table, what.measure, what.width, view)


def row_by_row(found: tuple[Grouping, ...], view: str) -> Rows:
    """What the groupings look at of each row of ``view``, one of a feed's, for `features.grouped` to group.

    Columns: account_id; `HASH`; `us_column` of each instant, microseconds since 1970; and for each measure that is not
    told by these, one of its name: its amount (Sum, float64) or its key (Distinct), null where the row does not count,
    or else whether the row counts. A Presence's keys, of which there may be millions, are 64 bits of hash: two keys of
    one account look the same with a probability of one in 10^19.
    """
    rows = ibis.table(dict(contract_table(found[0].table).schema()) | {HASH: "uint64"}, name=view)
    measures = {m: isinstance(what, Presence) for what in found for m in what.looked_at}
    instants = {TABLES[found[0].table].at: None} | {column: None for m in measures for column in (m.at, m.known)}
    return rows.select(
        "account_id",
        HASH,
        **{us_column(column): epoch_us(rows[column]) for column in instants},
        **{m.name: _told(m, rows, many) for m, many in measures.items() if _is_told(m)},
    )


def measured(needs: Iterable[Need]) -> tuple[Measure, ...]:
    """The measures that ``needs`` ask for, as they stand on the day itself, in order."""
    return tuple(sorted({m.back(0) for m, _ in needs}, key=lambda m: (type(m).__name__, m.name)))


def measured_rows(measures: tuple[Measure, ...]) -> Rows:
    """What ``measures``, of one table, look at of each row of the accounts of which an event has several versions, for
    `features.running.versions` to count.

    Columns: account_id; `us_column` of each instant and of ``until_at``; and for each measure `value_column`: whether
    the row counts (bool), its amount (int64), or its key (text), null where the row does not count; of Holding also
    `part_column` and `holds_column`.
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
        if isinstance(measure, Standing):
            instants[measure.end] = None
        columns |= _measured(measure, rows)
    return rows.select("account_id", **{us_column(c): epoch_us(rows[c]) for c in instants}, **columns)


def value_column(measure: Measure) -> str:
    """The column of `measured_rows` that holds what ``measure`` looks at."""
    return f"_value_{measure.name}"


def part_column(measure: Holding) -> str:
    """The column of `measured_rows` that holds the value of the column ``by`` of ``measure``."""
    return f"_part_{measure.name}"


def holds_column(measure: Holding) -> str:
    """The column of `measured_rows` that says whether ``measure`` holds."""
    return f"_holds_{measure.name}"


def _measured(measure: Measure, rows: Rows) -> dict[str, Any]:
    source = measure.of if isinstance(measure, ActiveDays) and measure.of is not None else measure
    counts = source.where(rows).fill_null(False)
    if isinstance(source, Distinct):
        value = source.key(rows).cast("string")
    elif isinstance(source, Holding):
        value = _joined_key(source, rows)
    elif isinstance(source, Standing):
        value = ibis.coalesce(fixed(source.value(rows)), 0)
    elif isinstance(source, Sum | Latest):
        value = fixed(source.value(rows))
    else:
        return {value_column(measure): counts}
    columns = {value_column(measure): ibis.ifelse(counts, value, None)}
    if isinstance(source, Holding):
        columns[part_column(source)] = rows[source.by].cast("string") if source.by else ibis.literal("")
        columns[holds_column(source)] = ibis.ifelse(source.holds(rows), 1, 0).cast("int64")
    return columns


def us_column(column: str) -> str:
    """The column of `row_by_row` that holds an instant column."""
    return f"_us_{column}"


def _is_told(measure: Measure) -> bool:
    return isinstance(measure, Sum | Distinct) or measure.where is not every


def _told(measure: Measure, rows: Rows, many: bool) -> Any:
    counts = measure.where(rows)
    if isinstance(measure, Distinct):
        value = measure.key(rows).cast("string")
    elif isinstance(measure, Sum):
        value = measure.value(rows).cast("float64")
    else:
        return counts.fill_null(False)
    value = value if measure.where is every else ibis.ifelse(counts, value, None)
    return ibis.ifelse(value.notnull(), hash64(value), None) if many else value


def dated(name: str, view: str = "") -> Rows:
    """The contract table beside the grid's one row; of each event the newest version."""
    rows = contract_table(name, view)
    return (newest_versions(rows) if TABLES[name].event else rows).cross_join(GRID)


def instant_seconds(instant: Any) -> Any:
    """Whole seconds since 1970 of an instant column, rounded down."""
    return _whole(epoch_us(instant), 1_000_000)


def _whole(number: Any, unit: int) -> Any:
    """How many whole units a number holds, rounded down."""
    return (number / float(unit)).floor().cast("int64")


def bucket(instant: Any, rows: Rows, width: int) -> Any:
    """The number of the bucket of ``width`` days that ``instant`` falls in, where ``rows`` hold the grid's columns.

    Bucket k is ``[origin + (k - 1) * width, origin + k * width)``, the origin being the first date modulo the width; a
    date itself is the end of its bucket. Null stays null.
    """
    return _whole(_since(instant, rows, width), width * DAY_MICROS) + 1


def _since(instant: Any, rows: Rows, width: int) -> Any:
    """Microseconds since the buckets' origin."""
    return epoch_us(instant) - rows.first_s % (width * DAY_SECONDS) * 1_000_000


def span(known: Any, at: Any, rows: Rows, width: int) -> Any:
    """The bucket in which a row happened and how many buckets later it became known, in one number: `unpacked`."""
    happened = bucket(at, rows, width)
    return happened * 2**LAG_BITS + (bucket(known, rows, width) - happened) + 2 ** (LAG_BITS - 1)


def packed_span(happened: npt.NDArray[np.int64], lag: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`span` of buckets that are known already."""
    packed: npt.NDArray[np.int64] = (happened << LAG_BITS) + lag + 2 ** (LAG_BITS - 1)
    return packed


def unpacked(spans: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The buckets in which rows became known, and in which they happened."""
    happened = spans >> LAG_BITS
    return happened + (spans & (2**LAG_BITS - 1)) - 2 ** (LAG_BITS - 1), happened


def fixed(value: Any) -> Any:
    """A number as whole ten-thousandths."""
    return (value.cast("float64") * FIXED_POINT).round().cast("int64")


def _started(what: Starts, view: str) -> Rows:
    contract = TABLES[what.table]
    # Every version was a row of the feed when it came.
    rows = contract_table(what.table, view).cross_join(GRID)
    later = [c for c in what.columns if contract[c].known_from is not None]
    known, own = rows["known_at" if contract.event else contract.at], [c for c in what.columns if c not in later]
    found = rows.select(
        kb=bucket(known, rows, what.width),
        at_s=rows[contract.at],
        **{f"at_s_{c}": ibis.ifelse(rows[c].notnull(), rows[contract.at], None) for c in own},
        **{f"at_s_{c}": ibis.null("timestamp") for c in later},
    )
    for column in later:
        # What is filled in later began when it was first learned, not with the row.
        learned = known_column(contract[column])
        at = rows[learned if learned in rows.columns else contract[column].known_from]
        empty = {f"at_s_{c}": ibis.null("timestamp") for c in what.columns if c != column}
        told = rows.filter(rows[column].notnull() & at.notnull())
        told = told.select(
            kb=bucket(at, rows, what.width), at_s=ibis.null("timestamp"), **{f"at_s_{column}": at}, **empty
        )
        found = found.union(told.select(*found.columns))
    firsts = found.group_by("kb").aggregate(**{c: found[c].min() for c in found.columns if c != "kb"})
    return firsts.select("kb", **{c: instant_seconds(firsts[c]) for c in firsts.columns if c != "kb"})


def _gathered(what: Gathering, view: str) -> Rows:
    rows = dated(what.table, view)
    rows = rows.filter(rows[what.at].notnull() & rows[what.known].notnull())
    picked = rows.select(
        "account_id",
        span=span(rows[what.known], rows[what.at], rows, what.width),
        **{m.name: _amount(m, rows, what) for m in what.measures},
    )
    groups = picked.group_by(["account_id", "span"])
    gathered = groups.aggregate(**{m.name: _gather(m, picked[m.name]) for m in what.measures})
    return gathered.select("account_id", "span", **{m.name: _plain(m, gathered[m.name]) for m in what.measures})


def _amount(measure: Measure, rows: Rows, what: Gathering) -> Any:
    """What a row adds, as a whole number."""
    counts = measure.where(rows)
    if isinstance(measure, Newest):
        return ibis.ifelse(counts, rows[what.at], None)
    if isinstance(measure, ActiveDays):
        return ibis.ifelse(counts, _day(rows, what.at, what.width), 0)
    if isinstance(measure, Sum):
        return ibis.ifelse(counts, ibis.coalesce(fixed(measure.value(rows)), 0), 0).cast("int64")
    assert isinstance(measure, Count)
    return ibis.ifelse(counts, 1, None)


def _gather(measure: Measure, column: Any) -> Any:
    if isinstance(measure, Oldest):
        return column.min()
    if isinstance(measure, Newest):
        return column.max()
    if isinstance(measure, ActiveDays):
        return column.bit_or()
    return column.count() if isinstance(measure, Count) else column.sum()


def _plain(measure: Measure, column: Any) -> Any:
    return instant_seconds(column) if isinstance(measure, Newest) else column.cast("int64")


def _day(rows: Rows, at: str, width: int) -> Any:
    """The row's day within its bucket, as a bit."""
    day = _whole(_since(rows[at], rows, width), DAY_MICROS)
    # Days are counted from far before 1970, so that the remainder is never negative.
    return ibis.literal(1, "int64") << ((day + width * 1_000_000) % width)


def _present(what: Presence, view: str) -> Rows:
    measure, rows = what.measure, dated(what.table, view)
    rows = rows.filter(measure.where(rows) & rows[measure.at].notnull() & rows[measure.known].notnull())
    days = {"days": _day(rows, measure.at, what.width)} if what.days else {}
    key = measure.key(rows).cast("string")
    rows = rows.select(
        "account_id", key=key, span=span(rows[measure.known], rows[measure.at], rows, what.width), **days
    )
    rows = rows.filter(rows.key.notnull())
    into = {"days": rows.days.bit_or().cast("int64")} if what.days else {}
    return rows.group_by(["account_id", "key", "span"]).aggregate(**into)


def _states(name: str, measure: Latest | Holding, width: int, view: str) -> Rows:
    rows = dated(name, view)
    rows = rows.filter(measure.where(rows) & rows[measure.known].notnull())
    if isinstance(measure, Holding):
        key = {"key": _joined_key(measure, rows)}
        key |= {"part": rows[measure.by].cast("string")} if measure.by else {}
        amount = ibis.ifelse(measure.holds(rows), 1, 0).cast("int64")
    else:
        key, amount = {}, fixed(measure.value(rows))
    rows = rows.select(
        "account_id",
        **key,
        kb=bucket(rows[measure.known], rows, width),
        at_us=epoch_us(rows[measure.at]),
        amount=amount,
    )
    rows = rows.filter(rows.amount.notnull())
    # Rows of one instant are read together, and the cautious reading wins: the lower value, gone rather than there.
    return rows.group_by(["account_id", *key, "kb", "at_us"]).aggregate(amount=rows.amount.min())


def _joined_key(measure: Holding, rows: Rows) -> Any:
    """One text for the whole key: lengths first, so that no two keys can look alike."""
    parts = [rows[c].cast("string") for c in measure.key]
    return ibis.literal("").join([p.length().cast("string") + ":" + p for p in parts])


def _standing(name: str, measure: Standing, width: int, view: str) -> Rows:
    rows = dated(name, view)
    rows = rows.filter(measure.where(rows) & rows[measure.at].notnull())
    return rows.select(
        "account_id",
        kb=bucket(rows[measure.at], rows, width),
        eb=bucket(rows[measure.end], rows, width),
        amount=ibis.coalesce(fixed(measure.value(rows)), 0),
    )
