"""Lookup tables of the contributions of groups of leaves.

For each group and each of its columns, a table holds the column's contribution by class of row. The index of a row's
class in a group is a sum over the columns of "steps", one per column and bin, which are looked up as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from features.utils.arrays import Floats, Ints
from models.explain.leaf_conditions import Leaf, LeafGroup, bin_mask
from models.explain.shapley import leaf_tables
from models.explain.threshold_bins import ThresholdBins

#: Up to this many rows, each row reads all tables together; with more, each table is read for all rows.
FEW_ROWS = 128
# The number of groups whose tables are computed together, to bound memory.
_GROUP_BATCH = 64


class _Reading(NamedTuple):
    """How a group reads a column: the step by bin, and the contribution by class of row."""

    column: int
    step: Ints
    contribution: Floats


class ContributionTables:
    """The tables of groups of leaves, with columns indexed as in ``thresholds``."""

    def __init__(self, groups: Sequence[LeafGroup], thresholds: ThresholdBins) -> None:
        self._width = len(thresholds.columns)
        counts = thresholds.counts
        known_steps: dict[tuple[int, int, tuple[int, ...]], int] = {}
        steps: list[Ints] = []
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
                if key not in known_steps:
                    known_steps[key] = step_end
                    steps.append(_steps(*key))
                    step_end += counts[column]
                columns.append(column)
                step_at.append(known_steps[key])
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
        """The size of all tables in bytes."""
        return self._table.nbytes + self._steps.nbytes

    def contributions(self, bins: Ints) -> Floats:
        """Return the contributions of the groups' leaves for rows with these bins: (c, n) -> (c, n), in log-odds."""
        answer = np.zeros(bins.shape)
        if bins.shape[1] <= FEW_ROWS:
            for row in range(bins.shape[1]):
                answer[:, row] = self._one(bins[:, row])
        else:
            self._many(bins, answer)
        return answer

    def _one(self, bins: Ints) -> Floats:
        if not len(self._first):
            return np.zeros(self._width)
        row_class = np.add.reduceat(self._steps[self._step_at + bins[self._columns]], self._first)
        values = self._table[self._table_at + row_class[self._group]]
        return np.bincount(self._columns, values, self._width).astype(np.float64, copy=False)

    def _many(self, bins: Ints, answer: Floats) -> None:
        rows = bins.shape[1]
        row_class, more, values = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64), np.empty(rows)
        for readings in self._readings:
            into = row_class
            for column, step, _ in readings:
                # Every bin has a step; mode="clip" only avoids a copy in NumPy.
                step.take(bins[column], out=into, mode="clip")
                if into is more:
                    row_class += more
                into = more
            for column, _, contribution in readings:
                contribution.take(row_class, out=values, mode="clip")
                answer[column] += values

    def _fill(self, groups: Sequence[LeafGroup]) -> None:
        for start in range(0, len(groups), _GROUP_BATCH):
            batch = groups[start : start + _GROUP_BATCH]
            tables = iter(_leaf_tables([leaf for group in batch for leaf in group.leaves]))
            for number, group in enumerate(batch, start):
                at = self._table_at[self._first[number]]
                whole = self._table[at : at + group.entries].reshape(len(group.classes), group.size)
                order = {column: i for i, column in enumerate(group.classes)}
                for leaf, pattern in zip(group.leaves, _patterns(group), strict=True):
                    whole[[order[column] for column in leaf.conditions]] += next(tables).take(pattern, axis=1)


def _leaf_tables(leaves: Sequence[Leaf]) -> list[Floats]:
    """Return the table of each leaf, (m, 2^m) for a leaf of m conditions."""
    by_size: dict[int, list[int]] = {}
    for i, leaf in enumerate(leaves):
        by_size.setdefault(len(leaf.conditions), []).append(i)
    answer = [np.zeros((0, 1))] * len(leaves)
    for size, indices in by_size.items():
        shares = [condition.share for i in indices for condition in leaves[i].conditions.values()]
        values = np.array([leaves[i].value for i in indices])
        for i, table in zip(indices, leaf_tables(np.array(shares).reshape(-1, size), values), strict=True):
            answer[i] = table
    return answer


def _patterns(group: LeafGroup) -> Ints:
    """Return the pattern of satisfied conditions (see `leaf_tables`), shape (leaves, classes of rows)."""
    count = len(group.leaves)
    answer = np.zeros((count, 1), dtype=np.int64)
    bit = [{column: 1 << i for i, column in enumerate(leaf.conditions)} for leaf in group.leaves]
    for column, classes in group.classes.items():
        conditions = [
            (leaf.conditions[column].bins, own[column]) if column in own else (0, 0)
            for leaf, own in zip(group.leaves, bit, strict=True)
        ]
        satisfied = np.array([[value if each & bins else 0 for each in classes] for bins, value in conditions])
        answer = (answer[:, :, None] + satisfied[:, None, :]).reshape(count, -1)
    return answer


def _steps(count: int, stride: int, classes: Sequence[int]) -> Ints:
    """Return the index of each bin's class times the stride; shape (count,)."""
    answer = np.zeros(count, dtype=np.int64)
    for number, bins in enumerate(classes):
        answer[bin_mask(bins, count)] = number * stride
    return answer
