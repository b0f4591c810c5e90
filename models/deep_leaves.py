"""What leaves with many conditions contribute, worked out for each row: their tables would be too large."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.cells import Cells, Integers
from models.leaves import Leaf, bits
from models.shapley import factors

Floats = npt.NDArray[np.float64]


class DeepLeaves:
    """Leaves without a table, over columns numbered as in ``cells``."""

    def __init__(self, leaves: Sequence[Leaf], cells: Cells) -> None:
        self._leaves, self._width = len(leaves), len(cells.columns)
        self._conditions = most = max((len(leaf.conditions) for leaf in leaves), default=1)
        counts = cells.counts
        own = [(column, one.places) for leaf in leaves for column, one in leaf.conditions.items()]
        shares, values = np.ones((len(leaves), most)), np.array([leaf.value for leaf in leaves])
        self._real = np.zeros((len(leaves), most), dtype=bool)
        for i, leaf in enumerate(leaves):
            self._real[i, : len(leaf.conditions)] = True
            shares[i, : len(leaf.conditions)] = [one.share for one in leaf.conditions.values()]
        self._columns = np.array([column for column, _ in own], dtype=np.int64)
        known: dict[tuple[int, int], int] = {}
        satisfied: list[npt.NDArray[np.bool_]] = []
        end, at = 0, []
        for column, places in own:
            if (column, places) not in known:
                known[column, places] = end
                satisfied.append(bits(places, counts[column]))
                end += counts[column]
            at.append(known[column, places])
        self._at = np.array(at, dtype=np.int64)
        self._satisfied = np.concatenate([np.zeros(0, dtype=bool), *satisfied])
        whole, alone = factors(shares, values)
        points = whole.shape[3]
        self._whole, self._own = whole.reshape(-1, points), alone.reshape(-1, points)
        # What fills up a shorter leaf has the factor 1: share 1 and satisfied.
        self._factor = 2 * np.arange(len(leaves) * most).reshape(len(leaves), most) + ~self._real

    def add(self, places: Integers, answer: Floats) -> None:
        """Add to contributions (c, n), in log-odds, what these leaves contribute to rows with these places (c, n)."""
        if not self._leaves:
            return
        for row in range(places.shape[1]):
            factor = self._factor.copy()
            factor[self._real] += self._satisfied[self._at + places[self._columns, row]]
            product = self._whole.take(factor, axis=0).prod(axis=1)
            each = np.einsum("lck,lk->lc", self._own.take(factor, axis=0), product)
            answer[:, row] += np.bincount(self._columns, each[self._real], self._width)
