"""Which values a model's splits tell apart: every row becomes whole numbers, one for each column.

A tree sees of a number only between which of the model's thresholds it lies, of a category only which it is. Rows
that share these places get the same answer, so all further work goes by place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.explain.lightgbm_trees import NAN, NOTHING, Tree
from models.scorer.base import ScorerError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: LightGBM takes what is no further from zero than this (1e-35 as a float of 32 bits) for zero.
NEARLY_ZERO = float(np.float32(1e-35))
#: With at most this many rows all thresholds are compared at once; with more, each column is searched.
FEW_ROWS = 4
#: Counting by comparing with one threshold after the other is quicker than searching up to this many.
FEW_THRESHOLDS = 32


@dataclass(frozen=True)
class Cells:
    """The places of c columns that the model reads, ``columns`` (c,).

    ``thresholds`` is one rising array a column, the last infinity. A value's place is how many of them it lies above;
    a missing value comes after all others, so that there is one place more than thresholds. Of a category, place 0
    is a negative code, and place k + 1 is code k, as far as the model names codes.
    """

    columns: Integers
    thresholds: tuple[Floats, ...]

    @classmethod
    def of(cls, trees: Sequence[Tree]) -> Cells:
        """What these trees tell apart.

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
        found = {column: np.array(sorted(some)) for column, some in numbers.items()}
        for column, last in codes.items():
            # A code is cut towards zero, as LightGBM does: code k begins at k and ends just below k + 1.
            ends = np.nextafter(np.arange(1.0, last + 2.0), -np.inf)
            found[column] = np.array([-1.0, *ends, math.inf])
        columns = sorted(found)
        return cls(np.array(columns, dtype=np.int64), tuple(found[column] for column in columns))

    @property
    def counts(self) -> list[int]:
        """The number of places of each column."""
        return [len(numbers) + 1 for numbers in self.thresholds]

    def places(self, matrix: Floats) -> Integers:
        """The place of each value, (n, features) -> (c, n)."""
        values = np.ascontiguousarray(matrix[:, self.columns].T)
        if values.shape[1] > FEW_ROWS:
            answer = np.empty(values.shape, dtype=np.int64)
            for i, numbers in enumerate(self.thresholds):
                answer[i] = _above(values[i], numbers)
            return answer
        if not len(values):
            return np.empty(values.shape, dtype=np.int64)
        every, owner, first, sizes = self._at_once
        return sizes - np.add.reduceat(values[owner] <= every, first, axis=0, dtype=np.int64)

    @cached_property
    def _at_once(self) -> tuple[Floats, Integers, Integers, Integers]:
        """All thresholds (t, 1), the column of each (t,), where each column's begin (c,), and how many (c, 1)."""
        sizes = np.array([len(numbers) for numbers in self.thresholds])
        owner = np.repeat(np.arange(len(sizes)), sizes)
        return np.concatenate(self.thresholds)[:, None], owner, np.cumsum(sizes) - sizes, sizes[:, None]

    def numbers(self, columns: Integers) -> list[int]:
        """The numbers, among these columns, of columns of the matrix."""
        found: list[int] = np.searchsorted(self.columns, columns).tolist()
        return found

    def left(self, tree: Tree) -> list[int]:
        """For each node of a tree the places that go left, as the bits of a whole number."""
        answer = []
        for i, number, some, missing, default in zip(
            self.numbers(tree.feature),
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
            # Where nothing counts as missing, NaN is zero; where zero does, it goes with NaN.
            zero_left = number >= 0.0 if missing in (NOTHING, NAN) else default
            missing_left = number >= 0.0 if missing == NOTHING else default
            last = 1 << len(self.thresholds[i])
            answer.append((below & ~zero) | (zero if zero_left else 0) | (last if missing_left else 0))
        return answer

    @cached_property
    def _zero(self) -> list[int]:
        """By column, the places that are taken for zero, as bits."""
        answer = []
        for numbers in self.thresholds:
            ends = np.flatnonzero(np.abs(numbers) <= NEARLY_ZERO).tolist()
            answer.append(sum(1 << place for place in ends))
        return answer


def _above(values: Floats, thresholds: Floats) -> Integers:
    """How many thresholds each value lies above; all of them if it is missing."""
    if len(thresholds) > FEW_THRESHOLDS:
        return thresholds.searchsorted(values)
    not_above, one = np.zeros(values.shape, dtype=np.uint8), np.empty(values.shape, dtype=np.bool_)
    for threshold in thresholds.tolist():
        np.less_equal(values, threshold, out=one)
        not_above += one
    return len(thresholds) - not_above.astype(np.int64)
