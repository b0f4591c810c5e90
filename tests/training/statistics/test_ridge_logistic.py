"""The ridge regression has the optimum of scikit-learn's, also where columns are left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from features.utils.arrays import Bools, Floats
from training.statistics.ridge_logistic import RidgeLogistic


class Table(NamedTuple):
    design: Floats
    y: Floats
    weight: Floats


@pytest.fixture(scope="module")
def table() -> Table:
    """5,000 rows of 30 correlated columns, a tenth with the outcome."""
    rng = np.random.default_rng(5)
    design = rng.normal(size=(5000, 30)) @ (np.eye(30) + 0.3 * rng.normal(size=(30, 30)))
    log_odds = -3.0 + 0.3 * (design @ rng.normal(size=30))
    return Table(design, (rng.random(5000) < 1 / (1 + np.exp(-log_odds))).astype(np.float64), rng.random(5000))


def reference(table: Table, strength: float, used: Bools | None = None) -> tuple[Floats, float]:
    design = table.design if used is None else table.design * used
    exact = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    exact.fit(design, table.y, table.weight)
    return exact.coef_[0], float(exact.intercept_[0])


@pytest.mark.parametrize("strength", [0.0003, 0.01, 0.3])
def test_the_optimum_is_that_of_scikit_learn(table: Table, strength: float) -> None:
    slopes, intercept = RidgeLogistic(*table, strength).fit()
    expected = reference(table, strength)
    assert slopes == pytest.approx(expected[0], abs=1e-6)
    assert intercept == pytest.approx(expected[1], abs=1e-6)


def test_a_fit_without_some_columns_is_that_of_the_other_columns(table: Table) -> None:
    regression = RidgeLogistic(*table, 0.01)
    regression.fit()
    used = np.ones(30, dtype=np.bool_)
    for left_out in ([3, 7], [0, 29]):
        used[left_out] = False
        slopes, intercept = regression.fit(used)
        expected = reference(table, 0.01, used)
        assert (slopes[~used] == 0).all()
        assert slopes == pytest.approx(expected[0], abs=1e-6)
        assert intercept == pytest.approx(expected[1], abs=1e-6)


def test_separated_classes_have_finite_slopes() -> None:
    """Where Newton's first steps go too far."""
    x = np.linspace(-1, 1, 400)[:, None] * 50
    y, weight = (x[:, 0] > 49).astype(np.float64), np.ones(400)
    slopes, intercept = RidgeLogistic(x, y, weight, 0.3).fit()
    expected = reference(Table(x, y, weight), 0.3)
    assert slopes == pytest.approx(expected[0], rel=1e-4)
    assert intercept == pytest.approx(expected[1], rel=1e-4)


def test_a_row_with_a_whole_weight_counts_as_repeated_rows(table: Table) -> None:
    some = Table(table.design[:500], table.y[:500], np.random.default_rng(1).integers(0, 3, 500).astype(np.float64))
    times = some.weight.astype(int)
    weighted, repeated = RidgeLogistic(*some, 0.1), RidgeLogistic(some.design.repeat(times, axis=0), some.y.repeat(times), np.ones(times.sum()), 0.1)
    assert weighted.fit()[0] == pytest.approx(repeated.fit()[0], abs=1e-7)
