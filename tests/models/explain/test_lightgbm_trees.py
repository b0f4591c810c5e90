import numpy as np
import pytest

from models.explain import lightgbm_trees as module
from models.explain.lightgbm_trees import MISSING_NAN, read_trees
from models.scorer.errors import ScorerError

HEAD = "tree\nversion=v4\nnum_class=1\n"
TREE = """
Tree=0
num_leaves=3
num_cat=1
split_feature=1 0
threshold=0 2.5
decision_type=9 10
left_child=-1 -2
right_child=1 -3
leaf_value=0.25 -0.5 1
leaf_count=20 30 50
internal_count=100 80
cat_boundaries=0 2
cat_threshold=5 1
is_linear=0
shrinkage=0.1
"""
CONSTANT = "\nTree=1\nnum_leaves=1\nnum_cat=0\nleaf_value=0.125\nshrinkage=1\n"
END = "\nend of trees\n\nparameters:\n[boosting: gbdt]\n"


def test_a_tree_is_read() -> None:
    tree, constant = read_trees(HEAD + TREE + CONSTANT + END, 2)
    assert tree.feature.tolist() == [1, 0]
    assert tree.threshold[1] == 2.5
    # Bits 0 and 2 of the first word of 32, bit 0 of the second.
    assert tree.left_categories == (frozenset({0, 2, 32}), None)
    assert tree.missing.tolist() == [MISSING_NAN, MISSING_NAN]
    assert tree.default_left.tolist() == [False, True]
    assert (tree.left.tolist(), tree.right.tolist()) == ([-1, -2], [1, -3])
    assert tree.value.tolist() == [0.25, -0.5, 1.0]
    assert (tree.node_rows.tolist(), tree.leaf_rows.tolist()) == ([100, 80], [20, 30, 50])
    assert constant.value.tolist() == [0.125]
    assert len(constant.feature) == 0


def test_every_tree_of_a_model_is_read(model_text: str) -> None:
    trees = read_trees(model_text, 7)
    assert len(trees) == 15
    assert {len(tree.value) for tree in trees} == {6}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_leaves=3", "num_leaves=4", "leaf_value does not contain 4 numbers"),
        ("num_leaves=3", "num_leaves=0", "it has 0 leaves"),
        ("num_leaves=3", "num_leaves=many", "invalid literal"),
        ("num_leaves=3\n", "", "num_leaves"),
        ("split_feature=1 0", "split_feature=2 0", "a column outside 0 to 1"),
        ("split_feature=1 0", "split_feature=-1 0", "a column outside 0 to 1"),
        ("threshold=0 2.5", "threshold=0 nan", "threshold does not contain 2 numbers"),
        ("leaf_value=0.25 -0.5 1", "leaf_value=0.25 inf 1", "leaf_value contains numbers that are not finite"),
        ("left_child=-1 -2", "left_child=-1 -1", "not the child of exactly one"),
        ("right_child=1 -3", "right_child=0 -3", "not the child of exactly one"),
        ("left_child=-1 -2\nright_child=1 -3", "left_child=-1 1\nright_child=-2 -3", "before its parent"),
        ("leaf_count=20 30 50", "leaf_count=20 0 50", "a node has no rows"),
        ("internal_count=100 80\n", "", "internal_count"),
        ("is_linear=0", "is_linear=1", "its leaves are linear"),
        ("threshold=0 2.5", "threshold=1 2.5", "it lacks the set of categories 1"),
        ("threshold=0 2.5", "threshold=0.5 2.5", "it lacks the set of categories 0.5"),
        ("cat_boundaries=0 2", "cat_boundaries=0 9", "cat_threshold does not contain 9"),
        ("cat_boundaries=0 2", "cat_boundaries=1 2", "malformed"),
        ("cat_threshold=5 1", "cat_threshold=-5 1", "malformed"),
        ("cat_threshold=5 1", "cat_threshold=5 4294967296", "malformed"),
        ("cat_threshold=5 1", "cat_threshold=5 99999999999999999999", "."),
    ],
)
def test_malformed_trees_are_rejected(old: str, new: str, message: str) -> None:
    assert old in TREE
    with pytest.raises(ScorerError, match=f"tree 0 cannot be read .*{message}"):
        read_trees(HEAD + TREE.replace(old, new) + END, 2)


def test_averaged_trees_are_rejected() -> None:
    with pytest.raises(ScorerError, match="averages its trees"):
        read_trees(HEAD + "average_output\n" + TREE + END, 2)


@pytest.mark.parametrize(("constant", "least"), [("MAX_LEAVES", 4), ("MAX_CATEGORY_CODE", 64)])
def test_leaves_and_category_codes_are_limited(constant: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, constant, least)
    assert len(read_trees(HEAD + TREE + CONSTANT + END, 2)) == 2
    monkeypatch.setattr(module, constant, least - 1)
    with pytest.raises(ScorerError, match=r"more than 3 leaves|above 63"):
        read_trees(HEAD + TREE + CONSTANT + END, 2)


def test_a_model_without_trees_is_empty() -> None:
    assert read_trees(HEAD + "\nend of trees\n", 2) == ()


def test_a_split_of_missing_values_has_an_infinite_threshold() -> None:
    assert np.isinf(read_trees(HEAD + TREE.replace("0 2.5", "0 inf") + END, 2)[0].threshold[1])
