import numpy as np
import pytest

from models.explain import untabulated_leaves
from models.explain.leaf_conditions import group_leaves, tree_leaves
from models.explain.lightgbm_trees import read_trees
from models.explain.lookup_tables import ContributionTables
from models.explain.threshold_bins import ThresholdBins
from models.explain.untabulated_leaves import UntabulatedLeaves


def test_contributions_match_those_of_tables(model_text: str) -> None:
    trees = read_trees(model_text, 7)
    thresholds = ThresholdBins.of(trees)
    leaves = [leaf for tree in trees for leaf in tree_leaves(tree, thresholds)]
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 7)) * 30
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    bins = thresholds.bins(matrix)
    contributions = np.ones(bins.shape)
    UntabulatedLeaves(leaves, thresholds).add(bins, contributions)
    tables = ContributionTables([group for leaf in leaves for group in group_leaves([leaf], thresholds, 1)], thresholds)
    np.testing.assert_allclose(contributions - 1.0, tables.contributions(bins), rtol=0, atol=1e-12)


def test_without_leaves_nothing_is_added(model_text: str) -> None:
    thresholds = ThresholdBins.of(read_trees(model_text, 7))
    contributions = np.zeros((len(thresholds.columns), 3))
    UntabulatedLeaves([], thresholds).add(thresholds.bins(np.zeros((3, 7))), contributions)
    assert (contributions == 0.0).all()


@pytest.mark.parametrize(("marked", "most"), [(14, 62), (0, 62), (14, 0)])
def test_batches_are_bit_identical_to_single_rows(
    marked: int, most: int, model_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Distinct patterns by marks, by sorting, and without patterns."""
    monkeypatch.setattr(untabulated_leaves, "MAX_MARKED_BITS", marked)
    monkeypatch.setattr(untabulated_leaves, "MAX_PATTERN_BITS", most)
    trees = read_trees(model_text, 7)
    thresholds = ThresholdBins.of(trees)
    leaves = UntabulatedLeaves([leaf for tree in trees for leaf in tree_leaves(tree, thresholds)], thresholds)
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(2 * untabulated_leaves.FEW_ROWS, 7)) * 30
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    bins = thresholds.bins(matrix)
    together, alone = np.ones(bins.shape), np.ones(bins.shape)
    leaves.add(bins, together)
    for row in range(bins.shape[1]):
        leaves.add(bins[:, row : row + 1], alone[:, row : row + 1])
    np.testing.assert_array_equal(together, alone)
