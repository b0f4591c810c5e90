"""What each feature adds to a row's log-odds, looked up instead of computed.

A tree's leaves see of a row only which of their conditions it satisfies. Whatever neighbouring leaves can add is
therefore tabulated once, for every kind of row that they tell apart (as Yang 2021, Fast TreeSHAP v2, does for each
leaf); explaining a row is then to find its kind for each group of leaves and to add up. Leaves with so many conditions
that their table would be large are computed as rows come, once for rows that look the same to them.

The result is exact, and for a row the same to the last bit whatever rows it comes with.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

from models.explain.leaf_conditions import Group, grouped, leaves_of
from models.explain.lightgbm_trees import Tree, read_trees
from models.explain.lookup_tables import Tables
from models.explain.threshold_bins import Cells
from models.explain.untabulated_leaves import DeepLeaves
from models.scorer.base import ScorerError

Floats = npt.NDArray[np.float64]

#: Leaves share a table as long as it is for at most so many kinds of rows; a few more columns, many fewer entries.
KINDS = 256
#: All tables together; the largest are left out beyond that, and their leaves computed as rows come.
TABLE_BYTES = 64 * 2**20
#: So many factors of leaves without a table are worked out for each row; with more, LightGBM is quicker.
MOST_FACTORS = 2**18
#: So many rows are explained at once, so that what is looked up stays in the processor's cache.
ROWS_AT_ONCE = 4096


class TreeShap:
    """TreeSHAP of a sum of trees; made once for a model, never changed afterwards."""

    def __init__(self, trees: Sequence[Tree], features: int) -> None:
        self._features = features
        self._cells = Cells.of(trees)
        self.base = 0.0
        groups: list[Group] = []
        for tree in trees:
            total = tree.node_rows[0] if len(tree.node_rows) else 1.0
            self.base += float((tree.leaf_rows / total * tree.value).sum())
            if len(tree.feature):
                groups += grouped(leaves_of(tree, self._cells), self._cells, KINDS)
        kept, left_out = _within(groups, TABLE_BYTES // 8)
        deep = [leaf for group in left_out for leaf in group.leaves]
        most = max((len(leaf.conditions) for leaf in deep), default=0)
        if len(deep) * most * (most + 1) // 2 > MOST_FACTORS:
            raise ScorerError(f"model.txt has too many deep leaves for tables of {TABLE_BYTES:,} bytes")
        counts = self._cells.counts
        if 8 * sum(counts[column] for group in kept for column in group.classes) > TABLE_BYTES:
            raise ScorerError(f"model.txt has too many thresholds for tables of {TABLE_BYTES:,} bytes")
        self._deep = DeepLeaves(deep, self._cells)
        self._tables = Tables(kept, self._cells)

    @classmethod
    def of(cls, model: str, features: int) -> TreeShap:
        """From LightGBM's text.

        Raises
        ------
        ScorerError : the text cannot be read, or tables would not help.
        """
        return cls(read_trees(model, features), features)

    @property
    def bytes(self) -> int:
        """The size of the tables."""
        return self._tables.bytes

    def contributions(self, matrix: Floats) -> Floats:
        """Log-odds, (n, features) -> (n, features + 1), the last column being the base."""
        answer = np.zeros((len(matrix), self._features + 1))
        answer[:, -1] = self.base
        for start in range(0, len(matrix), ROWS_AT_ONCE):
            places = self._cells.places(matrix[start : start + ROWS_AT_ONCE])
            parts = self._tables.parts(places)
            self._deep.add(places, parts)
            answer[start : start + ROWS_AT_ONCE, self._cells.columns] = parts.T
        return answer


class Explainer:
    """TreeSHAP of a model's text for `models.scorer.scorer`, made when first asked for; threads may share it."""

    def __init__(self, model: str, features: int) -> None:
        self._model, self._features = model, features
        self._lock = Lock()
        self._made: TreeShap | None = None
        self._asked = False

    def __call__(self, matrix: Floats) -> Floats | None:
        """Contributions as `TreeShap` tells them; None where LightGBM has to, whose text has something unusual."""
        with self._lock:
            if not self._asked:
                try:
                    self._made = TreeShap.of(self._model, self._features)
                except ScorerError:
                    self._made = None
                self._asked, self._model = True, ""
        return None if self._made is None else self._made.contributions(matrix)


def _within(groups: Sequence[Group], entries: int) -> tuple[list[Group], list[Group]]:
    """Groups that fit into so many entries, and the largest ones that do not, both in order."""
    total, out = sum(group.entries for group in groups), set()
    for i in sorted(range(len(groups)), key=lambda i: -groups[i].entries):
        if total <= entries:
            break
        out.add(i)
        total -= groups[i].entries
    return [group for i, group in enumerate(groups) if i not in out], [groups[i] for i in sorted(out)]
