"""The trees of a LightGBM model, read from its text into arrays.

Only what decides a row's leaf and what TreeSHAP weighs is read: splits, leaf values, and how many training rows went
through each node. The text is data: whatever does not describe whole binary trees is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.scorer.base import ScorerError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# The bits of LightGBM's decision_type.
_CATEGORICAL, _DEFAULT_LEFT, _MISSING = 1, 2, 12
#: What counts as missing at a split: nothing (then NaN is 0), zero and NaN, or NaN.
NOTHING, ZERO, NAN = 0, 4, 8
#: A model of more leaves than this is not read; ours have at most 400 x 31.
MOST_LEAVES = 2**15
#: Nor is one whose sets of categories name codes beyond this.
MOST_CODES = 2**16


@dataclass(frozen=True)
class Tree:
    """One tree of m inner nodes and m + 1 leaves; m is 0 for a constant.

    ``feature`` (m,) is the column that a node reads; a number at most ``threshold`` goes left, a category goes left
    where ``left_categories`` (one set a node, None where it reads a number) holds its code. ``missing`` is NOTHING,
    ZERO or NAN, and ``default_left`` says where a missing number goes. ``left`` and ``right`` are the child nodes,
    always later ones than their parent, or ``~leaf``. ``value`` (m + 1,) is in log-odds; ``node_rows`` (m,) and
    ``leaf_rows`` (m + 1,) count training rows.
    """

    feature: Integers
    threshold: Floats
    left_categories: tuple[frozenset[int] | None, ...]
    missing: Integers
    default_left: npt.NDArray[np.bool_]
    left: Integers
    right: Integers
    value: Floats
    node_rows: Floats
    leaf_rows: Floats


def read_trees(model: str, features: int) -> tuple[Tree, ...]:
    """The trees in LightGBM's order, of a text whose columns number ``features``.

    Raises
    ------
    ScorerError : a tree is malformed, or of a kind that cannot be read (linear leaves, averaged output).
    """
    header, _, rest = model.partition("\nTree=")
    if "average_output" in header.splitlines():
        raise ScorerError("model.txt averages its trees; only sums of trees can be read")
    trees = []
    leaves = 0
    for number, block in enumerate(rest.partition("\nend of trees")[0].split("\nTree=") if rest else ()):
        try:
            tree = _tree(block, features)
        except (KeyError, ValueError, IndexError, OverflowError) as error:
            raise ScorerError(f"model.txt: tree {number} cannot be read ({error})") from error
        trees.append(tree)
        leaves += len(tree.value)
        if leaves > MOST_LEAVES:
            raise ScorerError(f"model.txt has more than {MOST_LEAVES:,} leaves")
    return tuple(trees)


def _tree(block: str, features: int) -> Tree:
    told = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    leaves = int(told["num_leaves"])
    if told.get("is_linear", "0") != "0":
        raise ValueError("its leaves are linear")
    if leaves < 1:
        raise ValueError(f"it has {leaves} leaves")
    value = _numbers(told, "leaf_value", leaves)
    if leaves == 1:
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return Tree(none, nothing, (), none, none.astype(bool), none, none, value, nothing, np.ones(1))
    nodes = leaves - 1
    feature, kind = _integers(told, "split_feature", nodes), _integers(told, "decision_type", nodes)
    left, right = _integers(told, "left_child", nodes), _integers(told, "right_child", nodes)
    # A split that only tells the missing from the others has an infinite threshold.
    threshold = _parsed(told, "threshold", nodes)
    if feature.min() < 0 or feature.max() >= features:
        raise ValueError(f"it reads a column outside 0 to {features - 1}")
    # Each node but the root and each leaf is the child of one earlier node: then nothing can go round in circles.
    parents = np.concatenate([np.arange(nodes), np.arange(nodes)])
    children = np.concatenate([left, right])
    if sorted(children.tolist()) != list(range(-leaves, 0)) + list(range(1, nodes)):
        raise ValueError("its nodes and leaves are not each the child of one node")
    if ((children >= 0) & (children <= parents)).any():
        raise ValueError("a node comes before its parent")
    node_rows, leaf_rows = _numbers(told, "internal_count", nodes), _numbers(told, "leaf_count", leaves)
    if min(node_rows.min(), leaf_rows.min()) <= 0:
        raise ValueError("a node has no rows")
    sets = tuple(_categories(told, threshold, kind))
    default_left = (kind & _DEFAULT_LEFT) != 0
    return Tree(feature, threshold, sets, kind & _MISSING, default_left, left, right, value, node_rows, leaf_rows)


def _categories(told: dict[str, str], threshold: Floats, kind: Integers) -> Iterator[frozenset[int] | None]:
    """The codes that go left: LightGBM keeps them as bits in words of 32, the threshold being the set's number."""
    sets = []
    if (count := int(told.get("num_cat", "0"))) > 0:
        bounds = _integers(told, "cat_boundaries", count + 1)
        words = _integers(told, "cat_threshold", int(bounds[-1]))
        if bounds[0] != 0 or (np.diff(bounds) < 0).any() or words.min(initial=0) < 0 or words.max(initial=0) >= 2**32:
            raise ValueError("its sets of categories are not whole")
        if np.diff(bounds).max() > MOST_CODES // 32:
            raise ValueError(f"a set of categories names codes beyond {MOST_CODES:,}")
        bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
        sets = [frozenset(np.flatnonzero(bits[32 * a : 32 * b]).tolist()) for a, b in pairwise(bounds.tolist())]
    for number, one in zip(threshold.tolist(), kind.tolist(), strict=True):
        if one & _CATEGORICAL and not (number.is_integer() and 0 <= number < len(sets)):
            raise ValueError(f"it has no set of categories {number:g}")
        yield sets[int(number)] if one & _CATEGORICAL else None


def _numbers(told: dict[str, str], key: str, count: int) -> Floats:
    found = _parsed(told, key, count)
    if not np.isfinite(found).all():
        raise ValueError(f"{key} does not hold finite numbers")
    return found


def _parsed(told: dict[str, str], key: str, count: int) -> Floats:
    found = np.array(told[key].split(), dtype=np.float64)
    if found.shape != (count,) or np.isnan(found).any():
        raise ValueError(f"{key} does not hold {count} numbers")
    return found


def _integers(told: dict[str, str], key: str, count: int) -> Integers:
    found = np.array(told[key].split(), dtype=np.int64)
    if found.shape != (count,):
        raise ValueError(f"{key} does not hold {count} whole numbers")
    return found
