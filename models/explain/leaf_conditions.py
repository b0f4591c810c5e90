"""The conditions of a leaf, and groups of leaves that share a lookup table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.explain.lightgbm_trees import Tree
from models.explain.threshold_bins import ThresholdBins


class LeafCondition(NamedTuple):
    """A leaf's condition on one column.

    A row satisfies it if the bin of its value is one of ``bins`` (bits of an integer). ``share`` (above 0, at most 1)
    is the share of training rows that satisfy it, among those that satisfy the rest of the path.
    """

    bins: int
    share: float


class Leaf(NamedTuple):
    """A leaf: its value in log-odds, and its condition on each of the m columns on its path, by column index."""

    value: float
    conditions: Mapping[int, LeafCondition]


class LeafGroup(NamedTuple):
    """Leaves of one tree, and how they divide the bins of each of their columns into classes.

    Rows whose bins are in the same classes are equivalent for these leaves.
    """

    leaves: tuple[Leaf, ...]
    classes: Mapping[int, tuple[int, ...]]

    @property
    def size(self) -> int:
        """The number of classes of rows that the leaves distinguish."""
        return math.prod(map(len, self.classes.values()))

    @property
    def entries(self) -> int:
        """The size of a table with the contribution of each column for each class of rows."""
        return self.size * len(self.classes)


def tree_leaves(tree: Tree, thresholds: ThresholdBins) -> list[Leaf]:
    """Return the leaves from left to right, with columns indexed as in ``thresholds``.

    Conditions on one column are merged.
    """
    lefts, columns = thresholds.left(tree), thresholds.column_indices(tree.feature)
    every = [(1 << count) - 1 for count in thresholds.counts]
    left, right = tree.left.tolist(), tree.right.tolist()
    rows, leaf_rows, values = tree.node_rows.tolist(), tree.leaf_rows.tolist(), tree.value.tolist()
    leaves, todo = [], [(0 if left else ~0, dict[int, LeafCondition]())]
    while todo:
        node, path = todo.pop()
        if node < 0:
            leaves.append(Leaf(values[~node], path))
            continue
        column = columns[node]
        all_bins = every[column]
        bins, share = path.get(column, (all_bins, 1.0))
        for child, passing in ((right[node], all_bins & ~lefts[node]), (left[node], lefts[node])):
            part = (rows[child] if child >= 0 else leaf_rows[~child]) / rows[node]
            todo.append((child, {**path, column: LeafCondition(bins & passing, share * part)}))
    return leaves


def group_leaves(leaves: Sequence[Leaf], thresholds: ThresholdBins, limit: int) -> list[LeafGroup]:
    """Group neighboring leaves as long as a group distinguishes at most ``limit`` classes of rows.

    A leaf that exceeds the limit by itself gets its own group.
    """
    every = [(1 << count) - 1 for count in thresholds.counts]
    groups: list[LeafGroup] = []
    seen_conditions: set[tuple[int, int]] = set()
    for leaf in leaves:
        last = groups[-1] if groups else LeafGroup((), {})
        classes = dict(last.classes)
        # Neighbors share most of their path: conditions that occurred before split nothing further.
        conditions = [(column, condition.bins) for column, condition in leaf.conditions.items()]
        for column, bins in conditions:
            if (column, bins) not in seen_conditions:
                classes[column] = _split_classes(classes.get(column, (every[column],)), bins)
        if groups and math.prod(map(len, classes.values())) <= limit:
            groups[-1] = LeafGroup((*last.leaves, leaf), classes)
            seen_conditions.update(conditions)
        else:
            own_classes = {column: _split_classes((every[column],), bins) for column, bins in conditions}
            groups.append(LeafGroup((leaf,), own_classes))
            seen_conditions = {*conditions}
    return groups


def _split_classes(classes: Iterable[int], bins: int) -> tuple[int, ...]:
    """Split each class into the bins that are among ``bins`` and those that are not."""
    split = []
    for bin_class in classes:
        if inside := bin_class & bins:
            split.append(inside)
        if outside := bin_class & ~bins:
            split.append(outside)
    return tuple(split)


def bin_mask(bins: int, count: int) -> npt.NDArray[np.bool_]:
    """Return which of ``count`` bins are in the set ``bins``; shape (count,)."""
    packed = np.frombuffer(bins.to_bytes((count + 7) // 8, "little"), dtype=np.uint8)
    return np.unpackbits(packed, count=count, bitorder="little").astype(bool)
