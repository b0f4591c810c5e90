"""What leaves with many conditions contribute, worked out as rows come: their tables would be too large."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.explain.leaf_conditions import Leaf, bits
from models.explain.shapley import factors
from models.explain.threshold_bins import Cells, Integers

Floats = npt.NDArray[np.float64]

#: Up to this number of rows, all leaves are worked out at once for each row; beyond, each leaf for all rows, and of
#: rows that satisfy the same of its conditions only once.
FEW_ROWS = 256
#: Conditions of a leaf that a pattern holds, as bits of a whole number.
MOST_BITS = 62
#: Patterns of so many bits are told apart by a mark for each, longer ones by sorting.
MARKED_BITS = 14


class DeepLeaves:
    """Leaves without a table, over columns numbered as in ``cells``."""

    def __init__(self, leaves: Sequence[Leaf], cells: Cells) -> None:
        self._width = len(cells.columns)
        most = max((len(leaf.conditions) for leaf in leaves), default=1)
        own = [(i, j, each) for i, leaf in enumerate(leaves) for j, each in enumerate(leaf.conditions.items())]
        # What fills up a shorter leaf has the factor 1: share 1 and satisfied.
        shares, values = np.ones((len(leaves), most)), np.array([leaf.value for leaf in leaves])
        counts = cells.counts
        known: dict[tuple[int, int], int] = {}
        satisfied: list[npt.NDArray[np.bool_]] = []
        end, at = 0, list[int]()
        for i, j, (column, one) in own:
            shares[i, j] = one.share
            if (column, one.places) not in known:
                known[column, one.places] = end
                satisfied.append(bits(one.places, counts[column]))
                end += counts[column]
            at.append(known[column, one.places])
        self._at, self._columns = np.array(at, dtype=np.int64), np.array([c for _, _, (c, _) in own], dtype=np.int64)
        self._satisfied = np.concatenate([np.zeros(0, dtype=bool), *satisfied])
        # Conditions by leaves, the leaves last: what is worked out lies side by side.
        self._shape = (most, len(leaves))
        self._where = np.array([j * len(leaves) + i for i, j, _ in own], dtype=np.int64)
        self._by_pattern = most <= MOST_BITS
        self._bits: list[list[tuple[int, Integers]]] = [[] for _ in leaves]
        if self._by_pattern:
            bit: dict[tuple[int, int], Integers] = {}
            for (i, j, (column, _)), start in zip(own, at, strict=True):
                if (start, j) not in bit:
                    bit[start, j] = self._satisfied[start : start + counts[column]].astype(np.int64) << j
                self._bits[i].append((column, bit[start, j]))
        self._whole, self._own = (np.ascontiguousarray(each.transpose(2, 3, 1, 0)) for each in factors(shares, values))

    def add(self, places: Integers, answer: Floats) -> None:
        """Add to contributions (c, n), in log-odds, what these leaves contribute to rows with these places (c, n)."""
        if not len(self._columns):
            return
        if places.shape[1] > FEW_ROWS and self._by_pattern:
            answer += self._many(places)
            return
        for row in range(places.shape[1]):
            satisfied = np.ones(self._shape, dtype=bool)
            satisfied.reshape(-1)[self._where] = self._satisfied[self._at + places[self._columns, row]]
            each = _contributed(satisfied, self._whole, self._own)
            answer[:, row] += np.bincount(self._columns, each.reshape(-1)[self._where], self._width)

    def _many(self, places: Integers) -> Floats:
        """What ``add`` adds; by leaf in the same order as for one row, so that it is the same to the last bit."""
        answer, pattern = np.zeros(places.shape), np.empty(places.shape[1], dtype=np.int64)
        for i, conditions in enumerate(self._bits):
            pattern[:] = 0
            for column, bit in conditions:
                pattern += bit.take(places[column], mode="clip")
            patterns, which = _distinct(pattern, len(conditions))
            for (column, _), each in zip(conditions, self._of(i, patterns), strict=True):
                answer[column] += each.take(which, mode="clip")
        return answer

    def _of(self, leaf: int, patterns: Integers) -> Floats:
        """What a leaf's m conditions contribute by pattern, condition i being satisfied where bit i is set; (m, n)."""
        most = len(self._bits[leaf])
        satisfied = (patterns >> np.arange(most)[:, None]) & 1 == 1
        return _contributed(satisfied, self._whole[:, :, :most, leaf, None], self._own[:, :, :most, leaf, None])


def _contributed(satisfied: npt.NDArray[np.bool_], whole: Floats, own: Floats) -> Floats:
    """What conditions contribute, each satisfied or not: (m, n), of factors (2, k, m, n or 1) at k points."""
    product = np.where(satisfied, whole[1], whole[0]).prod(axis=1)
    found: Floats = (np.where(satisfied, own[1], own[0]) * product[:, None]).sum(axis=0)
    return found


def _distinct(patterns: Integers, bits: int) -> tuple[Integers, Integers]:
    """The patterns that occur, rising, and for each given one its place among them."""
    if bits > MARKED_BITS:
        return np.unique(patterns, return_inverse=True)
    marks = np.zeros(1 << bits, dtype=np.int64)
    marks[patterns] = 1
    found = np.flatnonzero(marks)
    marks[found] = np.arange(len(found))
    return found, marks[patterns]
