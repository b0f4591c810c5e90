import numpy as np
import pytest

from models.explain.leaf_conditions import bits, grouped, leaves_of
from models.explain.lightgbm_trees import Tree, read_trees
from models.explain.threshold_bins import Cells


@pytest.fixture(scope="module")
def trees(model_text: str) -> tuple[Tree, ...]:
    return read_trees(model_text, 7)


def test_a_row_satisfies_all_conditions_of_one_leaf(trees: tuple[Tree, ...]) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(50, 7)) * 30
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    cells = Cells.of(trees)
    places = cells.places(matrix)
    for tree in trees:
        leaves = leaves_of(tree, cells)
        assert sorted(leaf.value for leaf in leaves) == sorted(tree.value)
        for row in places.T.tolist():
            met = [all(one.places >> row[c] & 1 for c, one in leaf.conditions.items()) for leaf in leaves]
            assert sum(met) == 1


def test_shares_multiply_to_the_rows_that_reach_a_leaf(trees: tuple[Tree, ...]) -> None:
    cells = Cells.of(trees)
    for tree in trees:
        reached = {value: rows / tree.node_rows[0] for value, rows in zip(tree.value, tree.leaf_rows, strict=True)}
        for leaf in leaves_of(tree, cells):
            assert np.prod([one.share for one in leaf.conditions.values()]) == pytest.approx(reached[leaf.value])


@pytest.mark.parametrize("most", [1, 8, 64, 10**6])
def test_groups_hold_every_leaf_once_in_order(trees: tuple[Tree, ...], most: int) -> None:
    cells = Cells.of(trees)
    for tree in trees:
        leaves = leaves_of(tree, cells)
        groups = grouped(leaves, cells, most)
        assert [leaf for group in groups for leaf in group.leaves] == leaves
        assert all(group.size <= most or len(group.leaves) == 1 for group in groups)
        if most == 10**6:
            assert len(groups) == 1
        for group in groups:
            for column, classes in group.classes.items():
                # Each place is in one class, and a condition takes a class whole or not at all.
                assert sum(classes) == (1 << cells.counts[column]) - 1
                for leaf in group.leaves:
                    if column in leaf.conditions:
                        asked = leaf.conditions[column].places
                        assert all(one & asked in (0, one) for one in classes)


def test_bits() -> None:
    assert bits(0b1011, 6).tolist() == [True, True, False, True, False, False]
