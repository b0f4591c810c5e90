from dataclasses import replace

import numpy as np
import pytest

from models.explain import threshold_bins as module
from models.explain.lightgbm_trees import MISSING_NAN, MISSING_NONE, MISSING_ZERO, Tree
from models.explain.threshold_bins import NEARLY_ZERO, ThresholdBins
from models.scorer.errors import ScorerError


def stump(threshold: float, missing: int = MISSING_NAN, default_left: bool = False, codes: set[int] | None = None) -> Tree:
    """One split on column 1 of 2."""
    return Tree(
        np.array([1]),
        np.array([threshold]),
        (None if codes is None else frozenset(codes),),
        np.array([missing]),
        np.array([default_left]),
        np.array([-1]),
        np.array([-2]),
        np.array([0.0, 1.0]),
        np.array([10.0]),
        np.array([4.0, 6.0]),
    )


def goes_left(tree: Tree, values: list[float]) -> list[bool]:
    thresholds = ThresholdBins.of([tree])
    matrix = np.column_stack([np.zeros(len(values)), values])
    left_bins = thresholds.left(tree)[0]
    return [bool(left_bins >> each & 1) for each in thresholds.bins(matrix)[0].tolist()]


T, F = True, False


@pytest.mark.parametrize(
    ("tree", "values", "left"),
    [
        (stump(1.5), [1.0, 1.5, np.nextafter(1.5, 2), 9.0, np.inf, -np.inf, np.nan], [T, T, F, F, F, T, F]),
        (stump(1.5, MISSING_NAN, True), [1.0, 2.0, 0.0, np.nan], [T, F, T, T]),
        # NaN is read as zero, or zero counts as missing.
        (stump(1.5, MISSING_NONE), [0.0, np.nan], [T, T]),
        (stump(-1.5, MISSING_NONE, True), [0.0, np.nan, -2.0], [F, F, T]),
        (stump(1.5, MISSING_ZERO), [0.0, 1e-36, -1e-36, np.nan, 1.0, -1.0], [F, F, F, F, T, T]),
        (stump(-1.5, MISSING_ZERO, True), [0.0, np.nan, -1.0, -2.0], [T, T, F, T]),
        (stump(-NEARLY_ZERO), [-NEARLY_ZERO, -1e-34, 0.0], [F, T, F]),
        (stump(NEARLY_ZERO), [NEARLY_ZERO, 1e-34, 0.0], [T, F, T]),
        (stump(np.inf), [np.inf, 3.0, np.nan], [T, T, F]),
        # Codes are truncated toward zero; codes that are in no set go right.
        (stump(0, codes={0, 3}), [0.0, 3.0, 3.9, -0.9, 2.0, -1.0, 4.0, 1e12, np.nan], [T, T, T, T, F, F, F, F, F]),
        (stump(0, codes=set()), [0.0, 1.0, np.nan], [F, F, F]),
    ],
)
def test_values_go_to_the_same_child_as_in_lightgbm(tree: Tree, values: list[float], left: list[bool]) -> None:
    assert goes_left(tree, values) == left


@pytest.mark.parametrize("thresholds", [3, 50])
def test_bins_do_not_depend_on_the_number_of_rows(thresholds: int) -> None:
    rng = np.random.default_rng(0)
    trees = [stump(value) for value in rng.normal(size=thresholds)]
    trees.append(replace(stump(0, codes={1, 5}), feature=np.array([0])))
    thresholds = ThresholdBins.of(trees)
    matrix = np.column_stack([rng.integers(-1, 8, 200).astype(float), rng.normal(size=200)])
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    assert module.FEW_ROWS < 200
    bins = thresholds.bins(matrix)
    assert (bins.max(axis=1) == np.array(thresholds.counts) - 1).all()
    for i in range(200):
        np.testing.assert_array_equal(thresholds.bins(matrix[i : i + 1])[:, 0], bins[:, i])


def test_a_column_cannot_be_both_number_and_category() -> None:
    with pytest.raises(ScorerError, match="column 1 as a number and as a category"):
        ThresholdBins.of([stump(1.0), stump(0, codes={1})])


def test_without_trees_no_column_is_read() -> None:
    assert ThresholdBins.of([]).bins(np.zeros((3, 2))).shape == (0, 3)
