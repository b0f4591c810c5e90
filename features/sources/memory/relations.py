"""Operations on whole tables of the in-memory engine: joins, groups, aggregates and windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ibis.expr.operations as ops
import numpy as np

from features.sources.memory.columns import Column, Groups, UnsupportedError, groups_of, pair_codes, rank_of, same_words
from features.utils.arrays import Ints

EXACT_SUM = 2.0**62


def joined_rows(how: str, pairs: Sequence[tuple[Column, Column]], rows: int, other_rows: int) -> tuple[Any, Any]:
    """Return the rows of the left and of the right table that a join combines.

    Parameters
    ----------
    how : inner, left, semi or cross.
    pairs : the columns that must be equal and known, of the left and of the right table.
    rows, other_rows : the number of rows of both.

    Returns
    -------
    tuple
        Positions in both tables; None for all in order, -1 for no row of the right table.
    """
    if how == "cross":
        if other_rows != 1:
            raise UnsupportedError("a cross join with several rows")
        return None, np.zeros(rows, dtype=np.int64)
    left, right = _common_codes(pairs, rows, other_rows)
    if how == "semi":
        return np.flatnonzero((left >= 0) & np.isin(left, right)), None
    usable = np.flatnonzero(right >= 0)
    order = usable[np.argsort(right[usable], kind="stable")]
    keys = right[order]
    start, end = np.searchsorted(keys, left, "left"), np.searchsorted(keys, left, "right")
    end = np.where(left >= 0, end, start)
    matches = end - start
    times = np.maximum(matches, 1) if how == "left" else matches
    own = np.repeat(np.arange(rows), times)
    place = np.arange(len(own)) - np.repeat(np.cumsum(times) - times, times) + np.repeat(start, times)
    other = np.append(order, -1)[np.where(np.repeat(matches > 0, times), place, len(order))]
    return own, other


def _common_codes(pairs: Sequence[tuple[Column, Column]], rows: int, other_rows: int) -> tuple[Ints, Ints]:
    """Return codes of the rows of both tables that are equal where all columns are, -1 where one is unknown."""
    both = [concatenated([(left, rows), (right, other_rows)]) for left, right in pairs]
    code, _ = pair_codes(both, rows + other_rows)
    for column in both:
        if column.valid is not None:
            code = np.where(column.valid, code, -1)
    return code[:rows], code[rows:]


def joined_column(column: Column, rows: Ints | None) -> Column:
    """Return a column in the rows of a join; -1 is unknown."""
    if rows is None:
        return column
    absent = rows < 0
    if not absent.any():
        return column.take(rows)
    if not len(column.values):
        return Column(np.zeros(len(rows), dtype=column.values.dtype), ~absent, column.words)
    values = column.values[0 if len(column.values) == 1 else rows]
    known = ~absent
    if column.valid is not None:
        known = known & (column.valid[0] if len(column.valid) == 1 else column.valid[rows])
    return Column(np.broadcast_to(values, len(rows)), known, column.words)


def concatenated(parts: Sequence[tuple[Column, int]]) -> Column:
    """Return columns below each other, each with its number of rows."""
    columns = [column.full(rows) for column, rows in parts]
    if any(c.words is not None for c in columns):
        columns = same_words(columns)
    valid = None if all(c.valid is None for c in columns) else np.concatenate([c.known() for c in columns])
    return Column(np.concatenate([c.values for c in columns]), valid, columns[0].words)


def aggregate(metric: Any) -> Callable[..., Column]:
    """Return the function of an aggregate: of the groups, the rows and the operands in the order of Ibis."""
    function = AGGREGATES.get(type(metric))
    if function is None:
        raise UnsupportedError(type(metric).__name__)
    return function


def _counted(groups: Groups, rows: int, *masks: Column | None) -> Column:
    there = np.ones(rows, dtype=np.bool_)
    for mask in masks:
        there = there if mask is None else there & mask.true()
    return Column(np.bincount(groups.codes[there], minlength=groups.n).astype(np.int64))


def _count(groups: Groups, rows: int, arg: Column, where: Column | None) -> Column:
    return _counted(groups, rows, Column(arg.known()), where)


def _distinct_count(groups: Groups, rows: int, arg: Column, where: Column | None) -> Column:
    there = arg.full(rows).known() if where is None else arg.full(rows).known() & where.true()
    own = np.flatnonzero(there)
    pairs = groups_of([Column(groups.codes), arg.full(rows)], rows).codes[own]
    _, first = np.unique(pairs, return_index=True)
    return Column(np.bincount(groups.codes[own[first]], minlength=groups.n).astype(np.int64))


def _selected(groups: Groups, rows: int, arg: Column, where: Column | None) -> tuple[Ints, Any, Any]:
    """Return the group and the value of each row that counts, and which groups have one."""
    if arg.words is not None:
        raise UnsupportedError("an aggregate of texts")
    arg = arg.full(rows)
    codes, values = groups.codes, arg.values
    there = None if arg.valid is None else arg.valid
    if where is not None:
        there = where.full(rows).true() if there is None else there & where.true()
    if there is not None:
        codes, values = codes[there], values[there]
    return codes, values, np.bincount(codes, minlength=groups.n) > 0


def _sum(groups: Groups, rows: int, arg: Column, where: Column | None) -> Column:
    codes, values, known = _selected(groups, rows, arg, where)
    if values.dtype.kind == "f" or np.abs(values.astype(np.float64)).sum() > EXACT_SUM:
        raise UnsupportedError("a sum of other numbers than small integers")
    total = np.zeros(groups.n, dtype=np.int64)
    np.add.at(total, codes, values.astype(np.int64))
    return Column(total, known)


def _extreme(better: Any) -> Callable[..., Column]:
    def extreme(groups: Groups, rows: int, arg: Column, where: Column | None) -> Column:
        codes, values, known = _selected(groups, rows, arg, where)
        result = np.zeros(groups.n, dtype=values.dtype)
        # The first row of each group is where the search starts.
        result[codes[::-1]] = values[::-1]
        better.at(result, codes, values)
        return Column(result, known)

    return extreme


def _bit_or(groups: Groups, rows: int, arg: Column, where: Column | None) -> Column:
    codes, values, known = _selected(groups, rows, arg, where)
    result = np.zeros(groups.n, dtype=np.int64)
    np.bitwise_or.at(result, codes, values)
    return Column(result, known)


AGGREGATES: dict[type[Any], Callable[..., Column]] = {
    ops.CountStar: lambda groups, rows, _arg, where: _counted(groups, rows, where),
    ops.Count: _count,
    ops.CountDistinct: _distinct_count,
    ops.Sum: _sum,
    ops.Min: _extreme(np.minimum),
    ops.Max: _extreme(np.maximum),
    ops.BitOr: _bit_or,
}


def sorted_rows(keys: Sequence[tuple[Column, bool, bool]], rows: int) -> Ints:
    """Return the rows in order of keys: columns, whether ascending, and whether unknown values are first."""
    levels: list[Any] = []
    for column, ascending, nulls_first in keys:
        values, known = rank_of(column.full(rows))
        values = values if ascending else -values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        levels += [known if nulls_first else ~known, np.where(known, values, 0)]
    return np.lexsort(levels[::-1]) if levels else np.arange(rows)


def windowed(func: Any, start: Any, end: Any) -> Callable[..., Column]:
    """Return the function of a window: of the partitions, the rows in order, and the operand.

    Parameters
    ----------
    func : the operation of Ibis.
    start, end : the frame: None for the first or last row of the partition, or the number of rows before the row
        (negative: after it).
    """

    def run(groups: Groups, order: Ints, arg: Column | None) -> Column:
        order = order[np.argsort(groups.codes[order], kind="stable")]
        codes = groups.codes[order]
        first = np.searchsorted(codes, codes, "left")
        result = _in_order(func, (start, end), arg, order, first, np.searchsorted(codes, codes, "right"))
        values = np.empty_like(result.values)
        values[order] = result.values
        valid = None
        if result.valid is not None:
            valid = np.empty_like(result.valid)
            valid[order] = result.valid
        return Column(values, valid, result.words)

    return run


def _in_order(func: Any, frame: tuple[Any, Any], arg: Column | None, order: Ints, first: Ints, after: Ints) -> Column:
    """Return the values in the order of the windows; ``first`` and ``after`` bound the partition of each row."""
    place = np.arange(len(order))
    if isinstance(func, ops.RowNumber):
        return Column(place - first)
    if isinstance(func, ops.CountStar):
        return Column(after - first)
    if arg is None:
        raise UnsupportedError(type(func).__name__)
    own = arg.full(len(order)).take(order) if len(order) != 1 else arg
    if isinstance(func, ops.Lag | ops.Lead):
        shift = -1 if isinstance(func, ops.Lag) else 1
        other = place + shift
        inside = (other >= first) & (other < after)
        other = np.where(inside, other, -1)
        return (
            joined_column(own, other) if len(order) > 1 else Column(own.values, np.zeros(1, dtype=np.bool_), own.words)
        )
    if not isinstance(func, ops.Min | ops.Max) or own.words is not None:
        raise UnsupportedError(type(func).__name__)
    # The partitions of one request are small.
    start, end = frame
    low = first if start is None else np.maximum(place - start, first)
    high = after if end is None else np.minimum(place - end + 1, after)
    better = np.min if isinstance(func, ops.Min) else np.max
    values, known = np.zeros_like(own.values), np.zeros(len(order), dtype=np.bool_)
    mask = own.known()
    for row in range(len(order)):
        inside_frame = slice(low[row], max(high[row], low[row]))
        some = own.values[inside_frame][mask[inside_frame]]
        if len(some):
            values[row], known[row] = better(some), True
    return Column(values, known)
