from dataclasses import replace

import numpy as np
import pytest

from models.explain import threshold_bins as module
from models.explain.lightgbm_trees import NAN, NOTHING, ZERO, Tree
from models.explain.threshold_bins import NEARLY_ZERO, Cells
from models.scorer.base import ScorerError


def stump(threshold: float, missing: int = NAN, default_left: bool = False, codes: set[int] | None = None) -> Tree:
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
    cells = Cells.of([tree])
    matrix = np.column_stack([np.zeros(len(values)), values])
    bits = cells.left(tree)[0]
    return [bool(bits >> place & 1) for place in cells.places(matrix)[0].tolist()]


T, F = True, False


@pytest.mark.parametrize(
    ("tree", "values", "left"),
    [
        (stump(1.5), [1.0, 1.5, np.nextafter(1.5, 2), 9.0, np.inf, -np.inf, np.nan], [T, T, F, F, F, T, F]),
        (stump(1.5, NAN, True), [1.0, 2.0, 0.0, np.nan], [T, F, T, T]),
        # What is missing is zero, or zero is what is missing.
        (stump(1.5, NOTHING), [0.0, np.nan], [T, T]),
        (stump(-1.5, NOTHING, True), [0.0, np.nan, -2.0], [F, F, T]),
        (stump(1.5, ZERO), [0.0, 1e-36, -1e-36, np.nan, 1.0, -1.0], [F, F, F, F, T, T]),
        (stump(-1.5, ZERO, True), [0.0, np.nan, -1.0, -2.0], [T, T, F, T]),
        (stump(-NEARLY_ZERO), [-NEARLY_ZERO, -1e-34, 0.0], [F, T, F]),
        (stump(NEARLY_ZERO), [NEARLY_ZERO, 1e-34, 0.0], [T, F, T]),
        (stump(np.inf), [np.inf, 3.0, np.nan], [T, T, F]),
        # Codes are cut towards zero; any that no set names goes right.
        (stump(0, codes={0, 3}), [0.0, 3.0, 3.9, -0.9, 2.0, -1.0, 4.0, 1e12, np.nan], [T, T, T, T, F, F, F, F, F]),
        (stump(0, codes=set()), [0.0, 1.0, np.nan], [F, F, F]),
    ],
)
def test_values_go_where_lightgbm_sends_them(tree: Tree, values: list[float], left: list[bool]) -> None:
    assert goes_left(tree, values) == left


@pytest.mark.parametrize("thresholds", [3, 50])
def test_places_do_not_depend_on_how_many_rows_there_are(thresholds: int) -> None:
    rng = np.random.default_rng(0)
    trees = [stump(value) for value in rng.normal(size=thresholds)]
    trees.append(replace(stump(0, codes={1, 5}), feature=np.array([0])))
    cells = Cells.of(trees)
    matrix = np.column_stack([rng.integers(-1, 8, 200).astype(float), rng.normal(size=200)])
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    assert module.FEW_ROWS < 200
    places = cells.places(matrix)
    assert (places.max(axis=1) == np.array(cells.counts) - 1).all()
    for i in range(200):
        np.testing.assert_array_equal(cells.places(matrix[i : i + 1])[:, 0], places[:, i])


def test_a_column_cannot_be_both() -> None:
    with pytest.raises(ScorerError, match="column 1 as a number and as a category"):
        Cells.of([stump(1.0), stump(0, codes={1})])


def test_no_trees_read_nothing() -> None:
    assert Cells.of([]).places(np.zeros((3, 2))).shape == (0, 3)
