"""What a row must satisfy to reach a leaf, and leaves put together whose conditions are looked up at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.explain.lightgbm_trees import Tree
from models.explain.threshold_bins import Cells


class Condition(NamedTuple):
    """What a leaf asks of one column: its place is one of ``places`` (bits of a whole number). Of the training rows
    that satisfy the rest of the way, ``share`` (above 0, at most 1) satisfy this."""

    places: int
    share: float


class Leaf(NamedTuple):
    """A leaf's value in log-odds, and its condition on each of the m columns on its way, by the column's number."""

    value: float
    conditions: Mapping[int, Condition]


class Group(NamedTuple):
    """Leaves of one tree, and into which classes of places they part each of their columns: rows whose places lie in
    the same classes are the same to these leaves."""

    leaves: tuple[Leaf, ...]
    classes: Mapping[int, tuple[int, ...]]

    @property
    def size(self) -> int:
        """How many kinds of rows the leaves tell apart."""
        return math.prod(map(len, self.classes.values()))

    @property
    def entries(self) -> int:
        """Numbers in a table with the contribution of each column for each kind of row."""
        return self.size * len(self.classes)


def leaves_of(tree: Tree, cells: Cells) -> list[Leaf]:
    """The leaves from left to right; columns are numbered as in ``cells``. Conditions on one column are merged."""
    lefts, columns = cells.left(tree), cells.numbers(tree.feature)
    every = [(1 << count) - 1 for count in cells.counts]
    left, right = tree.left.tolist(), tree.right.tolist()
    rows, leaf_rows, values = tree.node_rows.tolist(), tree.leaf_rows.tolist(), tree.value.tolist()
    found, todo = [], [(0 if left else ~0, dict[int, Condition]())]
    while todo:
        node, so_far = todo.pop()
        if node < 0:
            found.append(Leaf(values[~node], so_far))
            continue
        column = columns[node]
        all_places = every[column]
        places, share = so_far.get(column, (all_places, 1.0))
        for child, passing in ((right[node], all_places & ~lefts[node]), (left[node], lefts[node])):
            part = (rows[child] if child >= 0 else leaf_rows[~child]) / rows[node]
            todo.append((child, {**so_far, column: Condition(places & passing, share * part)}))
    return found


def grouped(leaves: Sequence[Leaf], cells: Cells, most: int) -> list[Group]:
    """Neighbouring leaves together as long as they tell apart at most ``most`` kinds of rows; a leaf that does so by
    itself stands alone."""
    every = [(1 << count) - 1 for count in cells.counts]
    answer: list[Group] = []
    asked: set[tuple[int, int]] = set()
    for leaf in leaves:
        last = answer[-1] if answer else Group((), {})
        classes = dict(last.classes)
        # Neighbours share most of their way: what was asked before parts nothing anew.
        conditions = [(column, one.places) for column, one in leaf.conditions.items()]
        for column, places in conditions:
            if (column, places) not in asked:
                classes[column] = _parted(classes.get(column, (every[column],)), places)
        if answer and math.prod(map(len, classes.values())) <= most:
            answer[-1] = Group((*last.leaves, leaf), classes)
            asked.update(conditions)
        else:
            alone = {column: _parted((every[column],), one.places) for column, one in leaf.conditions.items()}
            answer.append(Group((leaf,), alone))
            asked = {*conditions}
    return answer


def _parted(classes: Iterable[int], places: int) -> tuple[int, ...]:
    """The classes, each parted into what is among the places and what is not."""
    answer = []
    for one in classes:
        if inside := one & places:
            answer.append(inside)
        if outside := one & ~places:
            answer.append(outside)
    return tuple(answer)


def bits(places: int, count: int) -> npt.NDArray[np.bool_]:
    """Which of so many places are among these; shape (count,)."""
    told = np.frombuffer(places.to_bytes((count + 7) // 8, "little"), dtype=np.uint8)
    return np.unpackbits(told, count=count, bitorder="little").astype(bool)
