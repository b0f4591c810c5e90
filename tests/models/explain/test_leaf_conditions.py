import numpy as np
import pytest

from models.explain.leaf_conditions import bin_mask, group_leaves, tree_leaves
from models.explain.lightgbm_trees import Tree, read_trees
from models.explain.threshold_bins import ThresholdBins


@pytest.fixture(scope="module")
def trees(model_text: str) -> tuple[Tree, ...]:
    return read_trees(model_text, 7)


def test_each_row_satisfies_the_conditions_of_exactly_one_leaf(trees: tuple[Tree, ...]) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(50, 7)) * 30
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    thresholds = ThresholdBins.of(trees)
    bins = thresholds.bins(matrix)
    for tree in trees:
        leaves = tree_leaves(tree, thresholds)
        assert sorted(leaf.value for leaf in leaves) == sorted(tree.value)
        for row in bins.T.tolist():
            met = [all(condition.bins >> row[c] & 1 for c, condition in leaf.conditions.items()) for leaf in leaves]
            assert sum(met) == 1


def test_product_of_shares_is_the_share_of_rows_in_the_leaf(trees: tuple[Tree, ...]) -> None:
    thresholds = ThresholdBins.of(trees)
    for tree in trees:
        reached = {value: rows / tree.node_rows[0] for value, rows in zip(tree.value, tree.leaf_rows, strict=True)}
        for leaf in tree_leaves(tree, thresholds):
            assert np.prod([condition.share for condition in leaf.conditions.values()]) == pytest.approx(reached[leaf.value])


@pytest.mark.parametrize("limit", [1, 8, 64, 10**6])
def test_groups_contain_every_leaf_once_in_order(trees: tuple[Tree, ...], limit: int) -> None:
    thresholds = ThresholdBins.of(trees)
    for tree in trees:
        leaves = tree_leaves(tree, thresholds)
        groups = group_leaves(leaves, thresholds, limit)
        assert [leaf for group in groups for leaf in group.leaves] == leaves
        assert all(group.size <= limit or len(group.leaves) == 1 for group in groups)
        if limit == 10**6:
            assert len(groups) == 1
        for group in groups:
            for column, classes in group.classes.items():
                # Each bin is in one class, and a condition contains a class entirely or not at all.
                assert sum(classes) == (1 << thresholds.counts[column]) - 1
                for leaf in group.leaves:
                    if column in leaf.conditions:
                        bins = leaf.conditions[column].bins
                        assert all(each & bins in (0, each) for each in classes)


def test_bin_mask() -> None:
    assert bin_mask(0b1011, 6).tolist() == [True, True, False, True, False, False]
