"""Tables of what groups of leaves contribute, and the looking up.

For each group and each of its columns a table holds the column's contribution by kind of row. A row's kind in a group
is a number: the sum of what its place in each column adds, its "step", which is looked up as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.explain.leaf_conditions import Group, Leaf, bits
from models.explain.shapley import leaf_tables
from models.explain.threshold_bins import Cells, Integers

Floats = npt.NDArray[np.float64]

#: Up to this number of rows, all tables are read at once for each row; beyond, each table for all rows.
FEW_ROWS = 128
# So many groups' tables are made at once, to bound the memory.
_AT_ONCE = 64


class _Reading(NamedTuple):
    """How a group reads a column: by place the step, and by kind the contribution."""

    column: int
    step: Integers
    contribution: Floats


class Tables:
    """The tables of groups of leaves, over columns numbered as in ``cells``."""

    def __init__(self, groups: Sequence[Group], cells: Cells) -> None:
        self._width = len(cells.columns)
        counts = cells.counts
        known: dict[tuple[int, int, tuple[int, ...]], int] = {}
        steps: list[Integers] = []
        columns: list[int] = []
        step_at: list[int] = []
        table_at: list[int] = []
        first: list[int] = []
        step_end = table_end = 0
        for group in groups:
            first.append(len(columns))
            stride = size = group.size
            for column, classes in group.classes.items():
                stride //= len(classes)
                key = (counts[column], stride, classes)
                if key not in known:
                    known[key] = step_end
                    steps.append(_steps(*key))
                    step_end += counts[column]
                columns.append(column)
                step_at.append(known[key])
                table_at.append(table_end)
                table_end += size
        self._steps = np.concatenate([np.zeros(0, dtype=np.int64), *steps])
        self._table = np.zeros(table_end)
        self._columns, self._step_at, self._table_at, self._first = (
            np.array(each, dtype=np.int64) for each in (columns, step_at, table_at, first)
        )
        self._group = np.repeat(np.arange(len(groups)), np.diff([*first, len(columns)]))
        self._fill(groups)
        self._readings = [
            [
                _Reading(columns[i], self._steps[step_at[i] :], self._table[table_at[i] : table_at[i] + group.size])
                for i in range(at, at + len(group.classes))
            ]
            for at, group in zip(first, groups, strict=True)
        ]

    @property
    def bytes(self) -> int:
        """The size of all of them."""
        return self._table.nbytes + self._steps.nbytes

    def parts(self, places: Integers) -> Floats:
        """What the groups' leaves contribute to rows with these places: (c, n) -> (c, n), in log-odds."""
        answer = np.zeros(places.shape)
        if places.shape[1] <= FEW_ROWS:
            for row in range(places.shape[1]):
                answer[:, row] = self._one(places[:, row])
        else:
            self._many(places, answer)
        return answer

    def _one(self, places: Integers) -> Floats:
        if not len(self._first):
            return np.zeros(self._width)
        kind = np.add.reduceat(self._steps[self._step_at + places[self._columns]], self._first)
        found = self._table[self._table_at + kind[self._group]]
        return np.bincount(self._columns, found, self._width).astype(np.float64, copy=False)

    def _many(self, places: Integers, answer: Floats) -> None:
        rows = places.shape[1]
        kind, more, found = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64), np.empty(rows)
        for readings in self._readings:
            into = kind
            for column, step, _ in readings:
                # Every place has its step; "clip" only spares NumPy a copy.
                step.take(places[column], out=into, mode="clip")
                if into is more:
                    kind += more
                into = more
            for column, _, contribution in readings:
                contribution.take(kind, out=found, mode="clip")
                answer[column] += found

    def _fill(self, groups: Sequence[Group]) -> None:
        for start in range(0, len(groups), _AT_ONCE):
            some = groups[start : start + _AT_ONCE]
            tables = iter(_leaf_tables([leaf for group in some for leaf in group.leaves]))
            for number, group in enumerate(some, start):
                at = self._table_at[self._first[number]]
                whole = self._table[at : at + group.entries].reshape(len(group.classes), group.size)
                order = {column: i for i, column in enumerate(group.classes)}
                for leaf, pattern in zip(group.leaves, _patterns(group), strict=True):
                    whole[[order[column] for column in leaf.conditions]] += next(tables).take(pattern, axis=1)


def _leaf_tables(leaves: Sequence[Leaf]) -> list[Floats]:
    """The table of each leaf, (m, 2^m) with its own m."""
    by_size: dict[int, list[int]] = {}
    for i, leaf in enumerate(leaves):
        by_size.setdefault(len(leaf.conditions), []).append(i)
    answer = [np.zeros((0, 1))] * len(leaves)
    for size, places in by_size.items():
        shares = [one.share for i in places for one in leaves[i].conditions.values()]
        values = np.array([leaves[i].value for i in places])
        for i, table in zip(places, leaf_tables(np.array(shares).reshape(-1, size), values), strict=True):
            answer[i] = table
    return answer


def _patterns(group: Group) -> Integers:
    """By leaf and kind of row, which conditions are satisfied, as in `leaf_tables`; shape (leaves, kinds)."""
    count = len(group.leaves)
    answer = np.zeros((count, 1), dtype=np.int64)
    bit = [{column: 1 << i for i, column in enumerate(leaf.conditions)} for leaf in group.leaves]
    for column, classes in group.classes.items():
        asked = [
            (leaf.conditions[column].places, own[column]) if column in own else (0, 0)
            for leaf, own in zip(group.leaves, bit, strict=True)
        ]
        satisfied = np.array([[value if one & places else 0 for one in classes] for places, value in asked])
        answer = (answer[:, :, None] + satisfied[:, None, :]).reshape(count, -1)
    return answer


def _steps(count: int, stride: int, classes: Sequence[int]) -> Integers:
    """By place, the number of its class times the stride; shape (count,)."""
    answer = np.zeros(count, dtype=np.int64)
    for number, places in enumerate(classes):
        answer[bits(places, count)] = number * stride
    return answer
