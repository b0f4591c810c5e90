"""Contributions of leaves with many conditions, computed on demand since their tables would be too large."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from models.explain.leaf_conditions import Leaf, bin_mask
from models.explain.shapley import leaf_factors
from models.explain.threshold_bins import ThresholdBins

#: Up to this many rows, each row computes all leaves together; with more, each leaf is computed for all rows, once for
#: the rows that satisfy the same conditions.
FEW_ROWS = 256
#: Maximum conditions of a leaf whose pattern is stored as the bits of an integer.
MAX_PATTERN_BITS = 62
#: Distinct patterns are found with an array of marks up to this many bits, and by sorting above.
MAX_MARKED_BITS = 14


class UntabulatedLeaves:
    """Leaves without a table, with columns indexed as in ``thresholds``."""

    def __init__(self, leaves: Sequence[Leaf], thresholds: ThresholdBins) -> None:
        self._width = len(thresholds.columns)
        most = max((len(leaf.conditions) for leaf in leaves), default=1)
        own = [(i, j, each) for i, leaf in enumerate(leaves) for j, each in enumerate(leaf.conditions.items())]
        # Shorter leaves are padded with the factor 1: share 1 and satisfied.
        shares, values = np.ones((len(leaves), most)), np.array([leaf.value for leaf in leaves])
        counts = thresholds.counts
        starts: dict[tuple[int, int], int] = {}
        satisfied: list[Bools] = []
        end, at = 0, list[int]()
        for i, j, (column, condition) in own:
            shares[i, j] = condition.share
            if (column, condition.bins) not in starts:
                starts[column, condition.bins] = end
                satisfied.append(bin_mask(condition.bins, counts[column]))
                end += counts[column]
            at.append(starts[column, condition.bins])
        self._at, self._columns = np.array(at, dtype=np.int64), np.array([c for _, _, (c, _) in own], dtype=np.int64)
        self._satisfied = np.concatenate([np.zeros(0, dtype=bool), *satisfied])
        # Conditions by leaves, with leaves as the last axis, so that values used together are contiguous.
        self._shape = (most, len(leaves))
        self._where = np.array([j * len(leaves) + i for i, j, _ in own], dtype=np.int64)
        self._by_pattern = most <= MAX_PATTERN_BITS
        self._bits: list[list[tuple[int, Ints]]] = [[] for _ in leaves]
        if self._by_pattern:
            bit: dict[tuple[int, int], Ints] = {}
            for (i, j, (column, _)), start in zip(own, at, strict=True):
                if (start, j) not in bit:
                    bit[start, j] = self._satisfied[start : start + counts[column]].astype(np.int64) << j
                self._bits[i].append((column, bit[start, j]))
        self._whole, self._own = (
            np.ascontiguousarray(each.transpose(2, 3, 1, 0)) for each in leaf_factors(shares, values)
        )

    def add(self, bins: Ints, answer: Floats) -> None:
        """Add the contributions of these leaves for rows with these bins (c, n) to ``answer`` (c, n), in log-odds."""
        if not len(self._columns):
            return
        if bins.shape[1] > FEW_ROWS and self._by_pattern:
            answer += self._many(bins)
            return
        for row in range(bins.shape[1]):
            satisfied = np.ones(self._shape, dtype=bool)
            satisfied.reshape(-1)[self._where] = self._satisfied[self._at + bins[self._columns, row]]
            each = _condition_contributions(satisfied, self._whole, self._own)
            answer[:, row] += np.bincount(self._columns, each.reshape(-1)[self._where], self._width)

    def _many(self, bins: Ints) -> Floats:
        """Return what `add` adds, leaf by leaf in the same order as for one row, so that it is bit-identical."""
        answer, pattern = np.zeros(bins.shape), np.empty(bins.shape[1], dtype=np.int64)
        for i, conditions in enumerate(self._bits):
            pattern[:] = 0
            for column, bit in conditions:
                pattern += bit.take(bins[column], mode="clip")
            patterns, which = _distinct(pattern, len(conditions))
            for (column, _), each in zip(conditions, self._of(i, patterns), strict=True):
                answer[column] += each.take(which, mode="clip")
        return answer

    def _of(self, leaf: int, patterns: Ints) -> Floats:
        """Return the contributions of a leaf's m conditions by pattern (m, n); bit i stands for condition i."""
        most = len(self._bits[leaf])
        satisfied = (patterns >> np.arange(most)[:, None]) & 1 == 1
        return _condition_contributions(
            satisfied, self._whole[:, :, :most, leaf, None], self._own[:, :, :most, leaf, None]
        )


def _condition_contributions(satisfied: Bools, whole: Floats, own: Floats) -> Floats:
    """Return the contributions of conditions, satisfied or not, (m, n), from factors (2, k, m, n or 1) at k points."""
    product = np.where(satisfied, whole[1], whole[0]).prod(axis=1)
    contributions: Floats = (np.where(satisfied, own[1], own[0]) * product[:, None]).sum(axis=0)
    return contributions


def _distinct(patterns: Ints, bits: int) -> tuple[Ints, Ints]:
    """Return the patterns that occur, ascending, and the index of each given pattern among them."""
    if bits > MAX_MARKED_BITS:
        return np.unique(patterns, return_inverse=True)
    marks = np.zeros(1 << bits, dtype=np.int64)
    marks[patterns] = 1
    distinct = np.flatnonzero(marks)
    marks[distinct] = np.arange(len(distinct))
    return distinct, marks[patterns]
