import numpy as np

from models.cells import Cells
from models.deep_leaves import DeepLeaves
from models.leaves import grouped, leaves_of
from models.shap_tables import Tables
from models.trees import read_trees


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
