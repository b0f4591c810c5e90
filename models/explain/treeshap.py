"""TreeSHAP by table lookup: what each feature contributes to a row's log-odds.

For a tree's leaves, a row matters only through which of their conditions it satisfies. The contributions of neighboring
leaves are therefore tabulated once, for every class of rows that they distinguish (Yang 2021, Fast TreeSHAP v2, does so
for each leaf). Explaining a row then means finding its class for each group of leaves and adding up. Leaves with too
many conditions for a table are computed on demand, once for all rows that are equivalent for them.

The result is exact, and a row's result is bit-identical whatever rows it comes with.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

from features.utils.arrays import Floats
from models.explain.leaf_conditions import LeafGroup, group_leaves, tree_leaves
from models.explain.lightgbm_trees import Tree, read_trees
from models.explain.lookup_tables import ContributionTables
from models.explain.threshold_bins import ThresholdBins
from models.explain.untabulated_leaves import UntabulatedLeaves
from models.scorer.errors import ScorerError

#: Maximum classes of rows of a table that leaves share: with more, there are a few more columns and many fewer entries.
MAX_ROW_CLASSES = 256
#: Maximum size of all tables. Beyond it the largest are left out, and their leaves computed on demand.
MAX_TABLE_BYTES = 64 * 2**20
#: Maximum factors per row of leaves without a table; with more, LightGBM is faster.
MAX_FACTORS = 2**18
#: Rows per batch, so that the lookups stay in the processor's cache.
BATCH_ROWS = 4096


class TreeShap:
    """TreeSHAP of a sum of trees; immutable once built."""

    def __init__(self, trees: Sequence[Tree], features: int, table_bytes: int = MAX_TABLE_BYTES) -> None:
        self._features = features
        self._thresholds = ThresholdBins.of(trees)
        self.base = 0.0
        groups: list[LeafGroup] = []
        for tree in trees:
            total = tree.node_rows[0] if len(tree.node_rows) else 1.0
            self.base += float((tree.leaf_rows / total * tree.value).sum())
            if len(tree.feature):
                groups += group_leaves(tree_leaves(tree, self._thresholds), self._thresholds, MAX_ROW_CLASSES)
        tabulated, left_out = _split_by_size(groups, table_bytes // 8)
        untabulated = [leaf for group in left_out for leaf in group.leaves]
        most = max((len(leaf.conditions) for leaf in untabulated), default=0)
        if len(untabulated) * most * (most + 1) // 2 > MAX_FACTORS:
            raise ScorerError(f"model.txt has too many deep leaves for tables of {table_bytes:,} bytes")
        counts = self._thresholds.counts
        if 8 * sum(counts[column] for group in tabulated for column in group.classes) > table_bytes:
            raise ScorerError(f"model.txt has too many thresholds for tables of {table_bytes:,} bytes")
        self._untabulated = UntabulatedLeaves(untabulated, self._thresholds)
        self._tables = ContributionTables(tabulated, self._thresholds)

    @classmethod
    def of(cls, model: str, features: int) -> TreeShap:
        """Build from LightGBM's text.

        Raises
        ------
        ScorerError : the text cannot be read, or the tables would be too large.
        """
        return cls(read_trees(model, features), features)

    @property
    def bytes(self) -> int:
        """The size of the tables."""
        return self._tables.bytes

    def contributions(self, matrix: Floats) -> Floats:
        """Return contributions in log-odds, (n, features) -> (n, features + 1), the last column being the base."""
        answer = np.zeros((len(matrix), self._features + 1))
        answer[:, -1] = self.base
        for start in range(0, len(matrix), BATCH_ROWS):
            bins = self._thresholds.bins(matrix[start : start + BATCH_ROWS])
            parts = self._tables.contributions(bins)
            self._untabulated.add(bins, parts)
            answer[start : start + BATCH_ROWS, self._thresholds.columns] = parts.T
        return answer


class LazyTreeShap:
    """TreeSHAP of some trees of a model's text, built on first use and safe to share between threads."""

    def __init__(self, model: str, features: int, trees: range, table_bytes: int = MAX_TABLE_BYTES) -> None:
        self._model, self._features, self._range, self._table_bytes = model, features, trees, table_bytes
        self._lock = Lock()
        self._shap: TreeShap | None = None
        self._tried = False

    @classmethod
    def by_member(cls, model: str, features: int, members: Sequence[range]) -> list[LazyTreeShap]:
        """Return one instance per member of an ensemble, for `models.scorer.scorer.Scorer.from_texts`."""
        return [cls(model, features, trees, MAX_TABLE_BYTES // len(members)) for trees in members]

    def __call__(self, matrix: Floats) -> Floats | None:
        """Return contributions as `TreeShap` does, or None if LightGBM has to compute them."""
        with self._lock:
            if not self._tried:
                try:
                    trees = read_trees(self._model, self._features)[self._range.start : self._range.stop]
                    self._shap = TreeShap(trees, self._features, self._table_bytes)
                except ScorerError:
                    self._shap = None
                self._tried, self._model = True, ""
        return None if self._shap is None else self._shap.contributions(matrix)

    def __getstate__(self) -> dict[str, Any]:
        # A lock cannot be pickled or copied; the copy gets its own.
        with self._lock:
            return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = Lock()


def _split_by_size(groups: Sequence[LeafGroup], entries: int) -> tuple[list[LeafGroup], list[LeafGroup]]:
    """Split groups into those that fit into this many entries and the largest, which do not; both keep their order."""
    total, out = sum(group.entries for group in groups), set()
    for i in sorted(range(len(groups)), key=lambda i: -groups[i].entries):
        if total <= entries:
            break
        out.add(i)
        total -= groups[i].entries
    return [group for i, group in enumerate(groups) if i not in out], [groups[i] for i in sorted(out)]
