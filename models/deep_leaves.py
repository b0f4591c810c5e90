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
        self._width = len(cells.columns)
        most = max((len(leaf.conditions) for leaf in leaves), default=1)
        own = [(i, j, each) for i, leaf in enumerate(leaves) for j, each in enumerate(leaf.conditions.items())]
        # What fills up a shorter leaf has the factor 1: share 1 and satisfied.
        shares, values = np.ones((len(leaves), most)), np.array([leaf.value for leaf in leaves])
        counts = cells.counts
        known: dict[tuple[int, int], int] = {}
        satisfied: list[npt.NDArray[np.bool_]] = []
        end, at = 0, []
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
        self._whole, self._own = (np.ascontiguousarray(each.transpose(2, 3, 1, 0)) for each in factors(shares, values))

    def add(self, places: Integers, answer: Floats) -> None:
        """Add to contributions (c, n), in log-odds, what these leaves contribute to rows with these places (c, n)."""
        if not len(self._columns):
            return
        for row in range(places.shape[1]):
            satisfied = np.ones(self._shape, dtype=bool)
            satisfied.reshape(-1)[self._where] = self._satisfied[self._at + places[self._columns, row]]
            product = np.where(satisfied, self._whole[1], self._whole[0]).prod(axis=1)
            each = (np.where(satisfied, self._own[1], self._own[0]) * product[:, None]).sum(axis=0)
            answer[:, row] += np.bincount(self._columns, each.reshape(-1)[self._where], self._width)
