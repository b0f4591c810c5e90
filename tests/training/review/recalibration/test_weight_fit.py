"""The fit of weights: identities, limits, and scikit-learn's own checks."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from features.utils.arrays import Floats
from training.review.recalibration.linearized_score import weighted_score
from training.review.recalibration.weight_fit import WeightFit

TRUE = np.array([50.0, 30.0, 15.0, 5.0])
OWN = np.array([25.0, 35.0, 20.0, 20.0])


def sample(rows: int = 4_000, seed: int = 0, unknown: float = 0.0, slope: float = 0.06) -> tuple[Floats, Floats]:
    """Points of unequal spread, and outcomes by the true weights."""
    rng = np.random.default_rng(seed)
    points = np.clip(60 + rng.normal(size=(rows, 4)) * [20, 15, 10, 18], 0, 100)
    points[rng.random(points.shape) < unknown] = np.nan
    points[np.isnan(points).all(axis=1), 0] = 50.0
    stayed = rng.random(rows) < 1 / (1 + np.exp(-(slope * (weighted_score(points, TRUE) - 60) + 1.5)))
    return points, stayed.astype(float)


def test_scikit_learns_own_checks_pass() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(WeightFit(), on_fail=None)
    assert len(results) > 30
    assert {r["check_name"]: str(r["exception"]) for r in results if r["status"] == "failed"} == {}


def test_the_true_weights_are_found() -> None:
    fitted = WeightFit(OWN, prior_events=0).fit(*sample(60_000))
    assert fitted.weights_ == pytest.approx(TRUE, abs=3.0)
    assert fitted.slope_ == pytest.approx(0.06, abs=0.004)


def test_the_true_weights_are_found_with_missing_points() -> None:
    """Filling in an average would shrink the weights of dimensions with many missing points to 0."""
    fitted = WeightFit(OWN, prior_events=0).fit(*sample(60_000, unknown=0.3))
    assert fitted.weights_ == pytest.approx(TRUE, abs=3.0)


def test_without_a_prior_the_fit_is_a_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    points, stayed = sample(20_000)
    plain = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(points / 20, stayed).coef_[0] / 20
    assert (plain > 0).all()
    fitted = WeightFit(OWN, prior_events=0).fit(points, stayed)
    assert fitted.weights_ == pytest.approx(100 * plain / plain.sum(), abs=0.02)


def test_a_strong_prior_gives_the_current_weights_and_their_slope() -> None:
    points, stayed = sample()
    for prior in (1e9, np.inf):
        fitted = WeightFit(OWN, prior_events=prior).fit(points, stayed)
        assert fitted.weights_ == pytest.approx(OWN, abs=1e-3)
        assert fitted.slope_ > 0.02


def test_with_as_many_events_as_the_prior_it_goes_half_way() -> None:
    """With independent points and small changes, current weights and data count half each."""
    points, stayed = sample(40_000, slope=0.03)
    alone = WeightFit(OWN, prior_events=0).fit(points, stayed)
    half = WeightFit(OWN, prior_events=alone.events_).fit(points, stayed)
    assert half.weights_ == pytest.approx((alone.weights_ + OWN) / 2, abs=2.5)


def test_a_stronger_prior_stays_closer_to_the_current_weights() -> None:
    points, stayed = sample()
    away = [np.abs(WeightFit(OWN, prior_events=m).fit(points, stayed).weights_ - OWN).sum() for m in (0, 10, 100, 1000)]
    assert away == sorted(away, reverse=True)


@given(st.floats(0.5, 30), st.integers(0, 5), st.floats(0, 500))
@settings(max_examples=15)
def test_weights_are_valid_and_within_the_cap(cap: float, seed: int, prior: float) -> None:
    points, stayed = sample(500, seed, unknown=0.1)
    weights = WeightFit(OWN, prior_events=prior, cap=cap).fit(points, stayed).weights_
    assert weights.sum() == pytest.approx(100)
    assert (weights >= 0).all()
    assert np.abs(weights - OWN).max() <= cap + 1e-6


@given(st.permutations(range(4)))
@settings(max_examples=6)
def test_the_order_of_dimensions_does_not_matter(order: list[int]) -> None:
    points, stayed = sample(1_500, unknown=0.1)
    one = WeightFit(OWN).fit(points, stayed).weights_
    other = WeightFit(OWN[order]).fit(points[:, order], stayed).weights_
    assert other == pytest.approx(one[order], abs=1e-4)


def test_neither_the_unit_nor_the_order_of_rows_matters() -> None:
    points, stayed = sample(unknown=0.1)
    one = WeightFit(OWN).fit(points, stayed)
    order = np.random.default_rng(1).permutation(len(points))
    other = WeightFit(OWN / 100).fit(points[order] / 100, stayed[order])
    assert other.weights_ == pytest.approx(one.weights_, abs=1e-4)
    assert other.slope_ == pytest.approx(100 * one.slope_, rel=1e-4)


def test_no_weight_is_negative() -> None:
    points, stayed = sample()
    points[:, 0] = 100 - points[:, 0]
    fitted = WeightFit(OWN, prior_events=0).fit(points, stayed)
    assert fitted.weights_[0] == 0.0
    assert fitted.weights_.sum() == pytest.approx(100)


def test_without_a_positive_slope_the_current_weights_stay() -> None:
    points, stayed = sample()
    fitted = WeightFit(OWN).fit(100 - points, stayed)
    assert fitted.slope_ == 0.0
    assert fitted.weights_ == pytest.approx(OWN)
    assert fitted.predict_proba(points)[:, 1] == pytest.approx(stayed.mean(), abs=1e-3)


def test_the_weight_of_a_missing_dimension_is_distributed() -> None:
    fitted = WeightFit(OWN, prior_events=0).fit(*sample())
    weights = fitted.weights_
    (log_odds,) = fitted.decision_function([[40.0, np.nan, 80.0, np.nan]])
    score = (weights[0] * 40 + weights[2] * 80) / (weights[0] + weights[2])
    assert log_odds == pytest.approx(fitted.intercept_ + fitted.slope_ * score)


def test_invalid_parameters_are_refused() -> None:
    points, stayed = sample(100)
    for wrong in (WeightFit([1, 2]), WeightFit([-1, 1, 1, 1]), WeightFit(OWN, bounds=[[0, 10]] * 4)):
        with pytest.raises(ValueError, match=r"incumbent|bounds"):
            clone(wrong).fit(points, stayed)
