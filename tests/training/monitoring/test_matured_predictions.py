"""Predictions compared with outcomes: clear errors are reported with figures, and what chance explains is not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from training.evaluation.promotion_gates import SLOPE_BOUNDS
from training.monitoring.matured_predictions import (
    MaturedMetrics,
    MaturedPredictions,
    evaluate_by_horizon,
    evaluate_matured,
)

ROWS = 4_000


def _matured(stretch: float, times: float = 1.0) -> MaturedMetrics:
    """Accounts whose log-odds are predicted ``stretch`` times as far from the middle as they are; the level is right unless
    ``times`` says otherwise."""
    rng = np.random.default_rng(3)
    true = rng.normal(-1.5, 1.0, ROWS)
    y = (rng.random(ROWS) < scipy.special.expit(true)).astype(np.float64)
    result = stretch * true
    # The shift makes the level right while the spread stays wrong.
    shifts = np.linspace(-6, 6, 4_001)
    levels = np.array([scipy.special.expit(result + shift).mean() for shift in shifts])
    p = scipy.special.expit(result + shifts[np.abs(levels - y.mean()).argmin()])
    return evaluate_matured(90, np.minimum(p * times, 0.99), y, np.arange(ROWS).astype(str).astype(object))


def test_calibrated_probabilities_have_no_fault() -> None:
    matured = _matured(1.0)
    assert matured.faults() == []
    assert matured.slope[0] == pytest.approx(1, abs=0.1)


def test_extreme_probabilities_at_the_right_level_are_a_fault() -> None:
    matured = _matured(2.5)
    assert not matured.off
    assert matured.ratio[0] == pytest.approx(1, abs=0.02)
    assert matured.slope[2] < SLOPE_BOUNDS[0]
    value, low, high = matured.slope
    assert matured.faults() == [
        "within 90 days the probabilities are too extreme: high ones are too high and low ones too low (calibration "
        f"slope {value:.2f}, {low:.2f} to {high:.2f}; 1 is ideal)"
    ]


def test_moderate_probabilities_are_a_fault() -> None:
    (fault,) = _matured(0.4).faults()
    assert "too close to the average" in fault


def test_a_good_slope_that_differs_from_one_is_no_fault() -> None:
    matured = _matured(1 / 0.9)
    assert 0.8 < matured.slope[0] < 1.25
    assert matured.faults() == []


def test_a_wrong_level_is_a_fault() -> None:
    (fault,) = [one for one in _matured(1.0, 0.5).faults() if "times as often" in one]
    assert "more than chance explains" in fault


def test_predictions_of_champions_are_pooled() -> None:
    rng = np.random.default_rng(0)
    parts = []
    for name, n in (("a", 300), ("b", 200)):
        p = rng.uniform(0.1, 0.9, n)
        accounts = np.array([f"{name}{i}" for i in range(n)], dtype=object)
        parts.append(MaturedPredictions(p, (rng.random(n) < p).astype(np.float64), accounts))
    together = evaluate_by_horizon([{30: parts[0], 90: parts[0]}, {90: parts[1]}])
    assert [(recorded.days, recorded.rows) for recorded in together] == [(30, 300), (90, 500)]
    assert together[1].happened == sum(int(part.y.sum()) for part in parts)


def test_a_horizon_without_matured_predictions_is_left_out() -> None:
    nothing = MaturedPredictions(np.array([]), np.array([]), np.array([], dtype=object))
    assert evaluate_by_horizon([{90: nothing}]) == ()
