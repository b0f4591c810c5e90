import numpy as np
import pytest

from models.explain import lookup_tables
from models.explain.leaf_conditions import grouped, leaves_of
from models.explain.lightgbm_trees import read_trees
from models.explain.lookup_tables import Tables
from models.explain.threshold_bins import Cells


@pytest.fixture
def matrix() -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 7)) * 30
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


@pytest.mark.parametrize("kinds", [1, 12, 1000])
def test_few_rows_and_many_are_read_to_the_same_last_bit(
    model_text: str, matrix: np.ndarray, kinds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = read_trees(model_text, 7)
    cells = Cells.of(trees)
    tables = Tables([group for tree in trees for group in grouped(leaves_of(tree, cells), cells, kinds)], cells)
    places = cells.places(matrix)
    assert len(matrix) <= lookup_tables.FEW_ROWS
    few = tables.parts(places)
    monkeypatch.setattr(lookup_tables, "FEW_ROWS", 0)
    np.testing.assert_array_equal(tables.parts(places), few)


def test_tables_are_as_large_as_their_groups_say(model_text: str) -> None:
    trees = read_trees(model_text, 7)
    cells = Cells.of(trees)
    groups = [group for tree in trees for group in grouped(leaves_of(tree, cells), cells, 64)]
    entries = sum(group.entries for group in groups)
    assert 8 * entries < Tables(groups, cells).bytes < 8 * entries + 8 * sum(cells.counts) * len(groups)


def test_no_groups_contribute_nothing(model_text: str, matrix: np.ndarray) -> None:
    cells = Cells.of(read_trees(model_text, 7))
    for rows in (1, 80, 400):
        parts = Tables([], cells).parts(cells.places(np.vstack([matrix] * 5)[:rows]))
        assert (parts == 0.0).all()
