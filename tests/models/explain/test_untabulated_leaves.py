import numpy as np
import pytest

from models.explain import untabulated_leaves
from models.explain.leaf_conditions import grouped, leaves_of
from models.explain.lightgbm_trees import read_trees
from models.explain.lookup_tables import Tables
from models.explain.threshold_bins import Cells
from models.explain.untabulated_leaves import DeepLeaves


def test_they_contribute_what_their_tables_would_hold(model_text: str) -> None:
    trees = read_trees(model_text, 7)
    cells = Cells.of(trees)
    leaves = [leaf for tree in trees for leaf in leaves_of(tree, cells)]
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 7)) * 30
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    places = cells.places(matrix)
    told = np.ones(places.shape)
    DeepLeaves(leaves, cells).add(places, told)
    tables = Tables([group for leaf in leaves for group in grouped([leaf], cells, 1)], cells)
    np.testing.assert_allclose(told - 1.0, tables.parts(places), rtol=0, atol=1e-12)


def test_without_leaves_nothing_is_added(model_text: str) -> None:
    cells = Cells.of(read_trees(model_text, 7))
    told = np.zeros((len(cells.columns), 3))
    DeepLeaves([], cells).add(cells.places(np.zeros((3, 7))), told)
    assert (told == 0.0).all()


@pytest.mark.parametrize(("marked", "most"), [(14, 62), (0, 62), (14, 0)])
def test_many_rows_are_the_rows_one_by_one_to_the_last_bit(
    marked: int, most: int, model_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patterns told apart by marks, by sorting, and too long to be held."""
    monkeypatch.setattr(untabulated_leaves, "MARKED_BITS", marked)
    monkeypatch.setattr(untabulated_leaves, "MOST_BITS", most)
    trees = read_trees(model_text, 7)
    cells = Cells.of(trees)
    leaves = DeepLeaves([leaf for tree in trees for leaf in leaves_of(tree, cells)], cells)
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(2 * untabulated_leaves.FEW_ROWS, 7)) * 30
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    places = cells.places(matrix)
    together, alone = np.ones(places.shape), np.ones(places.shape)
    leaves.add(places, together)
    for row in range(places.shape[1]):
        leaves.add(places[:, row : row + 1], alone[:, row : row + 1])
    np.testing.assert_array_equal(together, alone)
