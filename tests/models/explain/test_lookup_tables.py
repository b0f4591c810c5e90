import numpy as np
import pytest

from models.explain import lookup_tables
from models.explain.leaf_conditions import group_leaves, tree_leaves
from models.explain.lightgbm_trees import read_trees
from models.explain.lookup_tables import ContributionTables
from models.explain.threshold_bins import ThresholdBins


@pytest.fixture
def matrix() -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 7)) * 30
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


@pytest.mark.parametrize("limit", [1, 12, 1000])
def test_row_wise_and_table_wise_lookups_are_bit_identical(
    model_text: str, matrix: np.ndarray, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = read_trees(model_text, 7)
    thresholds = ThresholdBins.of(trees)
    tables = ContributionTables([group for tree in trees for group in group_leaves(tree_leaves(tree, thresholds), thresholds, limit)], thresholds)
    bins = thresholds.bins(matrix)
    assert len(matrix) <= lookup_tables.FEW_ROWS
    few = tables.contributions(bins)
    monkeypatch.setattr(lookup_tables, "FEW_ROWS", 0)
    np.testing.assert_array_equal(tables.contributions(bins), few)


def test_table_size_matches_the_groups(model_text: str) -> None:
    trees = read_trees(model_text, 7)
    thresholds = ThresholdBins.of(trees)
    groups = [group for tree in trees for group in group_leaves(tree_leaves(tree, thresholds), thresholds, 64)]
    entries = sum(group.entries for group in groups)
    assert 8 * entries < ContributionTables(groups, thresholds).bytes < 8 * entries + 8 * sum(thresholds.counts) * len(groups)


def test_without_groups_contributions_are_zero(model_text: str, matrix: np.ndarray) -> None:
    thresholds = ThresholdBins.of(read_trees(model_text, 7))
    for rows in (1, 80, 400):
        contributions = ContributionTables([], thresholds).contributions(thresholds.bins(np.vstack([matrix] * 5)[:rows]))
        assert (contributions == 0.0).all()
