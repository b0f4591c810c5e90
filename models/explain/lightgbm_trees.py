"""Reading the trees of a LightGBM model from its text into arrays.

Only what determines a row's leaf and what TreeSHAP needs is read: splits, leaf values, and the number of training rows
of each node. Anything that does not describe whole binary trees is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from models.scorer.errors import ScorerError

# The bits of LightGBM's decision_type.
_CATEGORICAL, _DEFAULT_LEFT, _MISSING = 1, 2, 12
#: What counts as missing at a split: nothing (NaN is read as 0), zero and NaN, or only NaN.
MISSING_NONE = 0
MISSING_ZERO = 4
MISSING_NAN = 8
#: Models with more leaves are rejected. Models trained by this project have at most 400 x 31.
MAX_LEAVES = 2**15
#: Models whose category sets contain larger codes are rejected.
MAX_CATEGORY_CODE = 2**16


@dataclass(frozen=True)
class Tree:
    """One tree with m inner nodes and m + 1 leaves; m is 0 for a constant.

    ``feature`` (m,) is the column that a node reads. A number goes left if it is at most ``threshold``; a category goes
    left if its code is in ``left_categories`` (one set per node, None where the node reads a number). ``missing`` is
    one of the MISSING constants, and ``default_left`` says where missing numbers go. ``left`` and ``right`` are the
    child nodes, which always follow their parent, or ``~leaf``. ``value`` (m + 1,) is in log-odds; ``node_rows`` (m,)
    and ``leaf_rows`` (m + 1,) count training rows.
    """

    feature: Ints
    threshold: Floats
    left_categories: tuple[frozenset[int] | None, ...]
    missing: Ints
    default_left: Bools
    left: Ints
    right: Ints
    value: Floats
    node_rows: Floats
    leaf_rows: Floats


def read_trees(model: str, features: int) -> tuple[Tree, ...]:
    """Read the trees, in LightGBM's order, from the text of a model with ``features`` columns.

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
        if leaves > MAX_LEAVES:
            raise ScorerError(f"model.txt has more than {MAX_LEAVES:,} leaves")
    return tuple(trees)


def _tree(block: str, features: int) -> Tree:
    fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    leaves = int(fields["num_leaves"])
    if fields.get("is_linear", "0") != "0":
        raise ValueError("its leaves are linear")
    if leaves < 1:
        raise ValueError(f"it has {leaves} leaves")
    value = _numbers(fields, "leaf_value", leaves)
    if leaves == 1:
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return Tree(none, nothing, (), none, none.astype(bool), none, none, value, nothing, np.ones(1))
    nodes = leaves - 1
    feature, kind = _integers(fields, "split_feature", nodes), _integers(fields, "decision_type", nodes)
    left, right = _integers(fields, "left_child", nodes), _integers(fields, "right_child", nodes)
    # A split that only separates missing values from others has an infinite threshold.
    threshold = _parsed(fields, "threshold", nodes)
    if feature.min() < 0 or feature.max() >= features:
        raise ValueError(f"it reads a column outside 0 to {features - 1}")
    # Each leaf and each node but the root is the child of exactly one earlier node: this excludes cycles.
    parents = np.concatenate([np.arange(nodes), np.arange(nodes)])
    children = np.concatenate([left, right])
    if sorted(children.tolist()) != list(range(-leaves, 0)) + list(range(1, nodes)):
        raise ValueError("some nodes or leaves are not the child of exactly one node")
    if ((children >= 0) & (children <= parents)).any():
        raise ValueError("a node comes before its parent")
    node_rows, leaf_rows = _numbers(fields, "internal_count", nodes), _numbers(fields, "leaf_count", leaves)
    if min(node_rows.min(), leaf_rows.min()) <= 0:
        raise ValueError("a node has no rows")
    sets = tuple(_categories(fields, threshold, kind))
    default_left = (kind & _DEFAULT_LEFT) != 0
    return Tree(feature, threshold, sets, kind & _MISSING, default_left, left, right, value, node_rows, leaf_rows)


def _categories(fields: dict[str, str], threshold: Floats, kind: Ints) -> Iterator[frozenset[int] | None]:
    """Yield the codes that go left. LightGBM stores them as bits of 32-bit words; the threshold is the set's number."""
    sets = []
    if (count := int(fields.get("num_cat", "0"))) > 0:
        bounds = _integers(fields, "cat_boundaries", count + 1)
        words = _integers(fields, "cat_threshold", int(bounds[-1]))
        if bounds[0] != 0 or (np.diff(bounds) < 0).any() or words.min(initial=0) < 0 or words.max(initial=0) >= 2**32:
            raise ValueError("its sets of categories are malformed")
        if np.diff(bounds).max() > MAX_CATEGORY_CODE // 32:
            raise ValueError(f"a set of categories contains codes above {MAX_CATEGORY_CODE:,}")
        bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
        sets = [frozenset(np.flatnonzero(bits[32 * a : 32 * b]).tolist()) for a, b in pairwise(bounds.tolist())]
    for number, flags in zip(threshold.tolist(), kind.tolist(), strict=True):
        if flags & _CATEGORICAL and not (number.is_integer() and 0 <= number < len(sets)):
            raise ValueError(f"it lacks the set of categories {number:g}")
        yield sets[int(number)] if flags & _CATEGORICAL else None


def _numbers(fields: dict[str, str], key: str, count: int) -> Floats:
    numbers = _parsed(fields, key, count)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{key} contains numbers that are not finite")
    return numbers


def _parsed(fields: dict[str, str], key: str, count: int) -> Floats:
    numbers = np.array(fields[key].split(), dtype=np.float64)
    if numbers.shape != (count,) or np.isnan(numbers).any():
        raise ValueError(f"{key} does not contain {count} numbers")
    return numbers


def _integers(fields: dict[str, str], key: str, count: int) -> Ints:
    numbers = np.array(fields[key].split(), dtype=np.int64)
    if numbers.shape != (count,):
        raise ValueError(f"{key} does not contain {count} whole numbers")
    return numbers
