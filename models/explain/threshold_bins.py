"""Bins of column values, as divided by a model's split thresholds.

A tree sees only between which thresholds a number lies, or which category a value is. Rows with the same bins get the
same result, so all further work uses bins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.utils.arrays import Floats, Ints
from models.explain.lightgbm_trees import MISSING_NAN, MISSING_NONE, Tree
from models.scorer.errors import ScorerError

#: LightGBM treats numbers at most this far from zero (1e-35 as a 32-bit float) as zero.
NEARLY_ZERO = float(np.float32(1e-35))
#: Up to this many rows, all thresholds are compared in one pass; with more rows, each column is searched.
FEW_ROWS = 4
#: Up to this many thresholds, comparing with each one is faster than a binary search.
FEW_THRESHOLDS = 32


@dataclass(frozen=True)
class ThresholdBins:
    """The bins of the c columns that the model reads, ``columns`` (c,).

    ``thresholds`` holds one ascending array per column, ending with infinity. A value's bin is the number of
    thresholds below it; a missing value has the last bin, so that there is one bin more than thresholds. Of a
    category, bin 0 is a negative code, and bin k + 1 is code k, up to the largest code in the model.
    """

    columns: Ints
    thresholds: tuple[Floats, ...]

    @classmethod
    def of(cls, trees: Sequence[Tree]) -> ThresholdBins:
        """Collect the thresholds of trees.

        Raises
        ------
        ScorerError : a column is read as a number and as a category.
        """
        numbers: dict[int, set[float]] = {}
        codes: dict[int, int] = {}
        for tree in trees:
            for column, number, some in zip(
                tree.feature.tolist(), tree.threshold.tolist(), tree.left_categories, strict=True
            ):
                if some is None:
                    numbers.setdefault(column, {math.nextafter(-NEARLY_ZERO, -1.0), NEARLY_ZERO, math.inf}).add(number)
                else:
                    codes[column] = max(codes.get(column, 0), *some, 0)
        if both := sorted(numbers.keys() & codes.keys()):
            raise ScorerError(f"model.txt reads column {both[0]} as a number and as a category")
        thresholds = {column: np.array(sorted(some)) for column, some in numbers.items()}
        for column, last in codes.items():
            # A code is truncated toward zero, as LightGBM does: code k begins at k and ends just below k + 1.
            ends = np.nextafter(np.arange(1.0, last + 2.0), -np.inf)
            thresholds[column] = np.array([-1.0, *ends, math.inf])
        columns = sorted(thresholds)
        return cls(np.array(columns, dtype=np.int64), tuple(thresholds[column] for column in columns))

    @property
    def counts(self) -> list[int]:
        """The number of bins of each column."""
        return [len(numbers) + 1 for numbers in self.thresholds]

    def bins(self, matrix: Floats) -> Ints:
        """Return the bin of each value, (n, features) -> (c, n)."""
        values = np.ascontiguousarray(matrix[:, self.columns].T)
        if values.shape[1] > FEW_ROWS:
            answer = np.empty(values.shape, dtype=np.int64)
            for i, numbers in enumerate(self.thresholds):
                answer[i] = _above(values[i], numbers)
            return answer
        if not len(values):
            return np.empty(values.shape, dtype=np.int64)
        every, owner, first, sizes = self._flat
        return sizes - np.add.reduceat(values[owner] <= every, first, axis=0, dtype=np.int64)

    @cached_property
    def _flat(self) -> tuple[Floats, Ints, Ints, Ints]:
        """All thresholds (t, 1), the column of each (t,), and per column their start (c,) and count (c, 1)."""
        sizes = np.array([len(numbers) for numbers in self.thresholds])
        owner = np.repeat(np.arange(len(sizes)), sizes)
        return np.concatenate(self.thresholds)[:, None], owner, np.cumsum(sizes) - sizes, sizes[:, None]

    def column_indices(self, columns: Ints) -> list[int]:
        """Return the indices, among ``self.columns``, of columns of the matrix."""
        indices: list[int] = np.searchsorted(self.columns, columns).tolist()
        return indices

    def left(self, tree: Tree) -> list[int]:
        """Return for each node of a tree the bins that go left, as the bits of an integer."""
        answer = []
        for i, number, some, missing, default in zip(
            self.column_indices(tree.feature),
            tree.threshold.tolist(),
            tree.left_categories,
            tree.missing.tolist(),
            tree.default_left.tolist(),
            strict=True,
        ):
            if some is not None:
                answer.append(sum(2 << code for code in some))
                continue
            below = (2 << int(self.thresholds[i].searchsorted(number))) - 1
            zero = self._zero[i]
            # If nothing counts as missing, NaN is zero. If zero counts as missing, it is treated like NaN.
            zero_left = number >= 0.0 if missing in (MISSING_NONE, MISSING_NAN) else default
            missing_left = number >= 0.0 if missing == MISSING_NONE else default
            last = 1 << len(self.thresholds[i])
            answer.append((below & ~zero) | (zero if zero_left else 0) | (last if missing_left else 0))
        return answer

    @cached_property
    def _zero(self) -> list[int]:
        """By column, the bins that count as zero, as bits."""
        answer = []
        for numbers in self.thresholds:
            ends = np.flatnonzero(np.abs(numbers) <= NEARLY_ZERO).tolist()
            answer.append(sum(1 << end for end in ends))
        return answer


def _above(values: Floats, thresholds: Floats) -> Ints:
    """Count the thresholds below each value; a missing value is above all of them."""
    if len(thresholds) > FEW_THRESHOLDS:
        return thresholds.searchsorted(values)
    not_above, one = np.zeros(values.shape, dtype=np.uint8), np.empty(values.shape, dtype=np.bool_)
    for threshold in thresholds.tolist():
        np.less_equal(values, threshold, out=one)
        not_above += one
    return len(thresholds) - not_above.astype(np.int64)
