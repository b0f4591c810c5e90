"""Grouping a feed's rows in NumPy: what `features.aggregation.expressions.rolled_up` has an engine do, a part of the
feed at a time.

A hash table of every group there is costs several times more than reading the rows; within a part the groups are few.
What comes out are the same buckets, in pieces: `features.aggregation.window_columns` takes them in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.account_date_grid import Ints
from features.aggregation.bucket_arithmetic import packed_span, us_column
from features.aggregation.distinct_keys import begins, in_order
from features.aggregation.passes import FEW, Gathering, Grouping, Presence
from features.definitions.aggregations import FIXED_POINT, Distinct, Measure, Reduction, every
from features.sources.sql_functions import DAY_MICROS
from features.utils.dates import DAY_SECONDS

NEVER = np.int64(2**62)
"""Microseconds beyond every instant."""

Bools = npt.NDArray[np.bool_]


class Crowded(Exception):
    """A Distinct measure turned out to have more than `FEW` keys."""

    def __init__(self, measure: Distinct) -> None:
        super().__init__(measure.name)
        self.measure = measure


@dataclass
class Numbers:
    """The keys of Distinct measures that have few, in the order of their bits, as they are met."""

    keys: dict[str, list[str]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def bits(self, measure: Distinct, met: Sequence[str]) -> Ints:
        """The bit of each key.

        Raises
        ------
        Crowded
            If there are more of them than bits.
        """
        with self._lock:
            known = self.keys.setdefault(measure.name, [])
            known += sorted(set(met) - set(known))
            if len(known) > FEW:
                raise Crowded(measure)
            return np.array([1 << known.index(key) for key in met], dtype=np.int64)


def grouped(
    rows: pa.Table, found: Sequence[Grouping], origin_s: int, numbers: Numbers, keep: Bools | None = None
) -> list[pa.Table]:
    """The buckets of ``rows`` for each of the groupings.

    Parameters
    ----------
    rows : some of a feed's rows, as `features.aggregation.expressions.row_by_row` tells of them, shape (n,).
    found : the groupings.
    origin_s : the first date, seconds since 1970.
    numbers : the keys met so far; what is new is added.
    keep : which rows count, shape (n,); None for all.

    Raises
    ------
    Crowded
        If a Distinct measure that was thought to have few keys has many.
    """
    some = _Rows(rows, keep, origin_s)
    return [_gathered(what, some, numbers) if isinstance(what, Gathering) else _present(what, some) for what in found]


@dataclass(frozen=True)
class _Rows:
    """Rows at hand; what several groupings look at is worked out once."""

    rows: pa.Table
    keep: Bools | None
    origin_s: int
    _known: dict[tuple[str, int, int], Ints] = field(default_factory=dict)

    @cached_property
    def account(self) -> tuple[Ints, pa.Array]:
        """Each row's account, as its place among the accounts met, and these."""
        return self.encoded("account_id")

    def encoded(self, name: str) -> tuple[Ints, pa.Array]:
        """Each row's text, as its place among those met (-1: null), and these."""
        texts = self.rows[name].combine_chunks().dictionary_encode()
        texts = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
        return self._kept(pc.fill_null(texts.indices, -1).to_numpy()).astype(np.int64), texts.dictionary

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column; null is zero, and NaN in one of floats."""
        column = self.rows[name]
        if column.null_count and not pa.types.is_floating(column.type):
            column = pc.fill_null(column, 0)
        return self._kept(column.to_numpy())

    def given(self, name: str) -> Bools | None:
        """Which rows have a value; None: all."""
        column = self.rows[name]
        return self._kept(column.is_valid().to_numpy()) if column.null_count else None

    def bucket(self, column: str, width: int) -> Ints:
        """See `features.aggregation.bucket_arithmetic.bucket`."""
        return self._since(column, width, width) + 1

    def day(self, column: str, width: int) -> Ints:
        """The day within the bucket."""
        return self._since(column, width, 1) % width

    def _since(self, column: str, width: int, days: int) -> Ints:
        """Spans of so many days since the origin of buckets of ``width`` days."""
        if (column, width, days) not in self._known:
            micros: Ints = self.column(us_column(column))
            origin = self.origin_s % (width * DAY_SECONDS) * 1_000_000
            self._known[column, width, days] = (micros - origin) // (days * DAY_MICROS)
        return self._known[column, width, days]

    def _kept(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values if self.keep is None else values[self.keep]


def _gathered(what: Gathering, rows: _Rows, numbers: Numbers) -> pa.Table:
    known, happened = rows.bucket(what.known, what.width), rows.bucket(what.at, what.width)
    lag, low = known - happened, int(happened.min(initial=0))
    lags = int(lag.max(initial=0)) + 1
    spans = (int(happened.max(initial=0)) - low + 1) * lags
    account, accounts = rows.account
    group, firsts = pd.factorize(account * spans + (happened - low) * lags + lag)
    account, rest = np.divmod(firsts, spans)
    happened, lag = np.divmod(rest, lags)
    columns: dict[str, pa.Array] = {
        "account_id": pa.DictionaryArray.from_arrays(pa.array(account, pa.int32()), accounts),
        "span": pa.array(packed_span(happened + low, lag)),
    }
    for measure in what.measures:
        for column, reduction in measure.bucket_columns().items():
            columns[column] = _reduced(measure, reduction, what, rows, _Groups(group, len(firsts)), numbers)
    return pa.table(columns)


@dataclass(frozen=True)
class _Groups:
    """Which group each row is of, and how many groups there are."""

    of: Ints
    many: int

    def count(self, rows: Bools | slice) -> pa.Array:
        """How many of the rows are in each group."""
        return pa.array(np.bincount(self.of[rows], minlength=self.many).astype(np.int64))

    def sum(self, amounts: Ints) -> pa.Array:
        """The sum of the amounts of all rows of each group."""
        total = np.zeros(self.many, dtype=np.int64)
        np.add.at(total, self.of, amounts)
        return pa.array(total)

    def extreme(self, reduction: Reduction, amounts: Ints, rows: Bools | slice, unit: int) -> pa.Array:
        """The least or the greatest of the amounts of some rows, in whole units; null for a group without one."""
        better, nothing = (np.minimum, NEVER) if reduction == "least" else (np.maximum, -NEVER)
        best = np.full(self.many, nothing)
        better.at(best, self.of[rows], amounts[rows])
        return pa.array(best // unit, mask=best == nothing)


def _reduced(
    measure: Measure, reduction: Reduction, what: Gathering, rows: _Rows, groups: _Groups, numbers: Numbers
) -> pa.Array:
    """What the rows of each group come to."""
    if reduction == "keys":
        return _key_bits(measure, rows, groups, numbers)
    if measure.number is not None:
        values = rows.column(measure.name)
        if reduction == "sum":
            return groups.sum(_fixed(values))
        there: Bools | slice = ~np.isnan(values)
        return groups.count(there) if reduction == "count" else groups.extreme(reduction, _fixed(values), there, 1)
    counts = slice(None) if measure.where is every else rows.column(measure.name)
    if reduction == "count":
        return groups.count(counts)
    if reduction == "days":
        days = rows.day(what.at, what.width)[counts]
        return pa.array(_together(groups.of[counts], days, 1 << np.arange(what.width, dtype=np.int64), groups.many))
    return groups.extreme(reduction, rows.column(us_column(what.at)), counts, 1_000_000)


def _key_bits(measure: Measure, rows: _Rows, groups: _Groups, numbers: Numbers) -> pa.Array:
    if measure.counted_key is None:
        raise TypeError(f"{type(measure).__name__} counts keys and has none")
    key, keys = rows.encoded(measure.name)
    bits = numbers.bits(measure.counted_key, keys.to_pylist())
    return pa.array(_together(groups.of[key >= 0], key[key >= 0], bits, groups.many))


def _fixed(values: npt.NDArray[np.float64]) -> Ints:
    """`features.aggregation.bucket_arithmetic.fixed`; null, here NaN, is nothing."""
    scaled = values * FIXED_POINT
    scaled[np.isnan(scaled)] = 0.0
    whole = scaled.astype(np.int64)
    rest = scaled - whole
    # Halves are rounded away from zero.
    whole += rest >= 0.5
    whole -= rest <= -0.5
    return whole


def _together(group: Ints, place: Ints, bits: Ints, groups: int) -> Ints:
    """The bits of each group's rows, ``place`` saying which of ``bits`` each row has."""
    there = np.zeros(groups * len(bits), dtype=np.bool_)
    there[group * len(bits) + place] = True
    found: Ints = there.reshape(groups, len(bits)) @ bits if len(bits) else np.zeros(groups, dtype=np.int64)
    return found


def _present(what: Presence, rows: _Rows) -> pa.Table:
    """Keys are hashes, int64."""
    measure = what.measure
    known, happened = rows.bucket(measure.known, what.width), rows.bucket(measure.at, what.width)
    day = rows.day(measure.at, what.width) if what.days else np.zeros_like(known)
    code, firsts = pd.factorize(rows.column(measure.name).view(np.int64))
    account, accounts = rows.account
    columns = [account, code, happened, known - happened, day]
    if (there := rows.given(measure.name)) is not None:
        columns = [column[there] for column in columns]
    account, code, happened, lag, day = in_order(*columns)
    new = np.flatnonzero(begins(account, code, happened, lag))
    account, code, happened, lag = account[new], code[new], happened[new], lag[new]
    found = {
        "account_id": pa.DictionaryArray.from_arrays(pa.array(account, pa.int32()), accounts),
        "key": pa.array(firsts[code]),
        "span": pa.array(packed_span(happened, lag)),
    }
    if what.days:
        found["days"] = pa.array(np.bitwise_or.reduceat(1 << day, new) if len(new) else new)
    return pa.table(found)
