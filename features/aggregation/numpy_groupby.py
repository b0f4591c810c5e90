"""Group a feed's rows in NumPy, one part of the feed at a time.

The result is that of `features.aggregation.expressions.bucket_rows`, which the engine computes. A hash table of all
groups costs several times more than reading the rows; a part has few groups. The buckets come in pieces, which
`features.aggregation.window_columns` accepts in any order.
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

from features.aggregation.bucket_arithmetic import pack_span, us_column
from features.aggregation.distinct_keys import run_starts, sort_rows
from features.aggregation.passes import MAX_BITSET_KEYS, BucketPass, Grouping, KeyPass
from features.definitions.aggregations import FIXED_POINT, Distinct, Measure, Reduction, all_rows
from features.sources.sql_functions import DAY_MICROS
from features.utils.arrays import Bools, Ints
from features.utils.dates import DAY_SECONDS

NEVER = np.int64(2**62)
"""An instant, in microseconds, that is later than any other."""


class TooManyKeys(Exception):
    """A Distinct measure has more than `MAX_BITSET_KEYS` keys."""

    def __init__(self, measure: Distinct) -> None:
        super().__init__(measure.name)
        self.measure = measure


@dataclass
class KeyBits:
    """The bits of the keys of Distinct measures with few keys, in order of first occurrence."""

    keys: dict[str, list[str]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def bits(self, measure: Distinct, keys: Sequence[str]) -> Ints:
        """Return the bit of each key, and assign bits to new keys.

        Raises
        ------
        Crowded
            If there are more keys than bits.
        """
        with self._lock:
            assigned = self.keys.setdefault(measure.name, [])
            assigned += sorted(set(keys) - set(assigned))
            if len(assigned) > MAX_BITSET_KEYS:
                raise TooManyKeys(measure)
            return np.array([1 << assigned.index(key) for key in keys], dtype=np.int64)


def group_rows(
    rows: pa.Table, groupings: Sequence[Grouping], origin_s: int, numbers: KeyBits, keep: Bools | None = None
) -> list[pa.Table]:
    """Return the buckets of ``rows`` for each grouping.

    Parameters
    ----------
    rows : some of a feed's rows, from `features.aggregation.expressions.measure_rows`, shape (n,).
    groupings : the passes to compute.
    origin_s : the first date, seconds since 1970.
    numbers : the keys found so far; new keys are added.
    keep : which rows count, shape (n,); None for all.

    Raises
    ------
    Crowded
        If a Distinct measure has more keys than bits.
    """
    part = _PartRows(rows, keep, origin_s)
    return [
        _bucket_table(what, part, numbers) if isinstance(what, BucketPass) else _key_table(what, part)
        for what in groupings
    ]


@dataclass(frozen=True)
class _PartRows:
    """The rows of one part; values that several groupings need are computed once."""

    rows: pa.Table
    keep: Bools | None
    origin_s: int
    _spans: dict[tuple[str, int, int], Ints] = field(default_factory=dict)

    @cached_property
    def account(self) -> tuple[Ints, pa.Array]:
        """The position of each row's account among the distinct accounts, and these accounts."""
        return self.encoded("account_id")

    def encoded(self, name: str) -> tuple[Ints, pa.Array]:
        """Return the position of each row's text among the distinct texts (-1 for null), and these texts."""
        texts = self.rows[name].combine_chunks().dictionary_encode()
        texts = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
        return self._selected(pc.fill_null(texts.indices, -1).to_numpy()).astype(np.int64), texts.dictionary

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column; null becomes zero, or NaN in a float column."""
        column = self.rows[name]
        if column.null_count and not pa.types.is_floating(column.type):
            column = pc.fill_null(column, 0)
        return self._selected(column.to_numpy())

    def value_mask(self, name: str) -> Bools | None:
        """Return a mask of the rows with a value; None if all have one."""
        column = self.rows[name]
        return self._selected(column.is_valid().to_numpy()) if column.null_count else None

    def bucket(self, column: str, width: int) -> Ints:
        """See `features.aggregation.bucket_arithmetic.bucket`."""
        return self._since(column, width, width) + 1

    def day(self, column: str, width: int) -> Ints:
        """Return the day within the bucket."""
        return self._since(column, width, 1) % width

    def _since(self, column: str, width: int, days: int) -> Ints:
        """Return the number of spans of ``days`` days since the origin of buckets of ``width`` days."""
        if (column, width, days) not in self._spans:
            micros: Ints = self.column(us_column(column))
            origin = self.origin_s % (width * DAY_SECONDS) * 1_000_000
            self._spans[column, width, days] = (micros - origin) // (days * DAY_MICROS)
        return self._spans[column, width, days]

    def _selected(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values if self.keep is None else values[self.keep]


def _bucket_table(what: BucketPass, rows: _PartRows, numbers: KeyBits) -> pa.Table:
    known, happened = rows.bucket(what.known_at, what.width), rows.bucket(what.at, what.width)
    lag, low = known - happened, int(happened.min(initial=0))
    lags = int(lag.max(initial=0)) + 1
    spans = (int(happened.max(initial=0)) - low + 1) * lags
    account, accounts = rows.account
    group, firsts = pd.factorize(account * spans + (happened - low) * lags + lag)
    account, rest = np.divmod(firsts, spans)
    happened, lag = np.divmod(rest, lags)
    columns: dict[str, pa.Array] = {
        "account_id": pa.DictionaryArray.from_arrays(pa.array(account, pa.int32()), accounts),
        "span": pa.array(pack_span(happened + low, lag)),
    }
    for measure in what.measures:
        for column, reduction in measure.bucket_columns().items():
            columns[column] = _reduced(measure, reduction, what, rows, _Groups(group, len(firsts)), numbers)
    return pa.table(columns)


@dataclass(frozen=True)
class _Groups:
    """The group of each row, and the number of groups."""

    of: Ints
    n: int

    def count(self, rows: Bools | slice) -> pa.Array:
        """Return the number of rows in each group."""
        return pa.array(np.bincount(self.of[rows], minlength=self.n).astype(np.int64))

    def sum(self, amounts: Ints) -> pa.Array:
        """Return the sum of the amounts in each group."""
        total = np.zeros(self.n, dtype=np.int64)
        np.add.at(total, self.of, amounts)
        return pa.array(total)

    def extreme(self, reduction: Reduction, amounts: Ints, rows: Bools | slice, unit: int) -> pa.Array:
        """Return the least or the greatest amount of some rows in each group, in whole units; null if there is none."""
        better, nothing = (np.minimum, NEVER) if reduction == "least" else (np.maximum, -NEVER)
        best = np.full(self.n, nothing)
        better.at(best, self.of[rows], amounts[rows])
        return pa.array(best // unit, mask=best == nothing)


def _reduced(
    measure: Measure, reduction: Reduction, what: BucketPass, rows: _PartRows, groups: _Groups, numbers: KeyBits
) -> pa.Array:
    """Compute a measure's reduction of the rows of each group."""
    if reduction == "keys":
        return _key_bits(measure, rows, groups, numbers)
    if measure.number is not None:
        values = rows.column(measure.name)
        if reduction == "sum":
            return groups.sum(_fixed(values))
        there: Bools | slice = ~np.isnan(values)
        return groups.count(there) if reduction == "count" else groups.extreme(reduction, _fixed(values), there, 1)
    counts = slice(None) if measure.where is all_rows else rows.column(measure.name)
    if reduction == "count":
        return groups.count(counts)
    if reduction == "days":
        days = rows.day(what.at, what.width)[counts]
        return pa.array(_combined_bits(groups.of[counts], days, 1 << np.arange(what.width, dtype=np.int64), groups.n))
    return groups.extreme(reduction, rows.column(us_column(what.at)), counts, 1_000_000)


def _key_bits(measure: Measure, rows: _PartRows, groups: _Groups, numbers: KeyBits) -> pa.Array:
    if measure.counted_key is None:
        raise TypeError(f"{type(measure).__name__} counts keys but has no key")
    key, keys = rows.encoded(measure.name)
    bits = numbers.bits(measure.counted_key, keys.to_pylist())
    return pa.array(_combined_bits(groups.of[key >= 0], key[key >= 0], bits, groups.n))


def _fixed(values: npt.NDArray[np.float64]) -> Ints:
    """`features.aggregation.bucket_arithmetic.fixed`; NaN, which stands for null, becomes 0."""
    scaled = values * FIXED_POINT
    scaled[np.isnan(scaled)] = 0.0
    whole = scaled.astype(np.int64)
    rest = scaled - whole
    # Round halves away from zero.
    whole += rest >= 0.5
    whole -= rest <= -0.5
    return whole


def _combined_bits(group: Ints, place: Ints, bits: Ints, groups: int) -> Ints:
    """Combine the bits of each group's rows; ``place`` is the position of each row's bit in ``bits``."""
    there = np.zeros(groups * len(bits), dtype=np.bool_)
    there[group * len(bits) + place] = True
    combined: Ints = there.reshape(groups, len(bits)) @ bits if len(bits) else np.zeros(groups, dtype=np.int64)
    return combined


def _key_table(what: KeyPass, rows: _PartRows) -> pa.Table:
    """Return the buckets of a `KeyPass`; keys are hashes, int64."""
    measure = what.measure
    known, happened = rows.bucket(measure.known_at, what.width), rows.bucket(measure.at, what.width)
    day = rows.day(measure.at, what.width) if what.days else np.zeros_like(known)
    code, firsts = pd.factorize(rows.column(measure.name).view(np.int64))
    account, accounts = rows.account
    columns = [account, code, happened, known - happened, day]
    if (there := rows.value_mask(measure.name)) is not None:
        columns = [column[there] for column in columns]
    account, code, happened, lag, day = sort_rows(*columns)
    new = np.flatnonzero(run_starts(account, code, happened, lag))
    account, code, happened, lag = account[new], code[new], happened[new], lag[new]
    result = {
        "account_id": pa.DictionaryArray.from_arrays(pa.array(account, pa.int32()), accounts),
        "key": pa.array(firsts[code]),
        "span": pa.array(pack_span(happened, lag)),
    }
    if what.days:
        result["days"] = pa.array(np.bitwise_or.reduceat(1 << day, new) if len(new) else new)
    return pa.table(result)
