from itertools import combinations
from math import factorial, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.explain.shapley import leaf_factors, leaf_tables

SHARES = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=6)


def by_definition(satisfied: list[bool], shares: list[float], value: float, i: int) -> float:
    """Average contribution of column i over the orders in which columns join."""
    others = [j for j in range(len(shares)) if j != i]

    def value_of(joined: tuple[int, ...]) -> float:
        return value * prod(satisfied[j] if j in joined else shares[j] for j in range(len(shares)))

    return sum(
        factorial(size) * factorial(len(others) - size) / factorial(len(shares)) * (value_of((*joined, i)) - value_of(joined))
        for size in range(len(others) + 1)
        for joined in combinations(others, size)
    )


@given(SHARES, st.floats(-3, 3))
def test_tables_hold_the_shapley_values(shares: list[float], value: float) -> None:
    table = leaf_tables(np.array([shares]), np.array([value]))[0]
    assert table.shape == (len(shares), 2 ** len(shares))
    for pattern in range(2 ** len(shares)):
        satisfied = [bool(pattern >> j & 1) for j in range(len(shares))]
        expected = [by_definition(satisfied, shares, value, i) for i in range(len(shares))]
        np.testing.assert_allclose(table[:, pattern], expected, rtol=0, atol=1e-12)


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_contributions_sum_to_leaf_value_minus_expected_value(conditions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares, values = 1.0 - rng.random((3, conditions)), rng.normal(size=3)
    table = leaf_tables(shares, values)
    reached = np.zeros(2**conditions)
    reached[-1] = 1.0
    expected = values[:, None] * (reached - shares.prod(axis=1)[:, None])
    np.testing.assert_allclose(table.sum(axis=1), expected, rtol=0, atol=1e-12)


def test_one_condition_computed_by_hand() -> None:
    # A leaf of 2.0 that a quarter of the rows reach: it adds 1.5 for them, and -0.5 for the others.
    assert leaf_tables(np.array([[0.25]]), np.array([2.0])).tolist() == [[[-0.5, 1.5]]]


def test_a_condition_that_all_rows_satisfy_changes_nothing() -> None:
    with_it = leaf_tables(np.array([[0.5, 1.0, 0.2]]), np.array([1.0]))[0]
    without = leaf_tables(np.array([[0.5, 0.2]]), np.array([1.0]))[0]
    np.testing.assert_allclose(with_it[[0, 2]][:, [2, 3, 6, 7]], without, atol=1e-15)
    np.testing.assert_allclose(with_it[1, [2, 3, 6, 7]], 0.0, atol=1e-15)


@pytest.mark.parametrize("conditions", [1, 2, 7, 40])
def test_quadrature_uses_half_as_many_points_as_conditions(conditions: int) -> None:
    assert leaf_factors(np.full((1, conditions), 0.5), np.ones(1)).whole.shape == (1, conditions, 2, (conditions + 1) // 2)
