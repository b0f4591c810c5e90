"""Intervals of weights are wide with few data, and duplicated rows do not narrow them."""

from __future__ import annotations

import numpy as np
import pytest

from features.utils.arrays import Floats, Objects
from training.review.recalibration.weight_evidence import CoefficientEstimates, estimate_coefficients

OWN = np.array([0.5, 0.3, 0.2])


def sample(accounts: int, seed: int = 0, slope: float = 0.08) -> tuple[Floats, Floats, Floats, Objects]:
    """One row per account."""
    rng = np.random.default_rng(seed)
    points = 60 + rng.normal(size=(accounts, 3)) * [15, 15, 10]
    stayed = (rng.random(accounts) < 1 / (1 + np.exp(-(slope * (points @ OWN - 60) + 2)))).astype(float)
    return points, stayed, np.ones(accounts), np.array([f"a{i}" for i in range(accounts)], dtype=object)


def estimate(accounts: int, seed: int = 0, slope: float = 0.08) -> CoefficientEstimates:
    return estimate_coefficients(*sample(accounts, seed, slope), OWN * slope, OWN, 200, 0)


def test_the_interval_covers_the_truth_and_narrows() -> None:
    few, many = estimate(500), estimate(20_000)
    for j, true in enumerate(100 * OWN):
        low, high = many.interval(j, 0.9)
        assert low - 3 <= true <= high + 3
        wide = few.interval(j, 0.9)
        assert wide[1] - wide[0] > 2 * (high - low)


def test_without_signal_any_weight_is_possible() -> None:
    """A ratio of two estimates near zero would give a misleading interval."""
    nothing = estimate(2_000, slope=0.0)
    assert all(nothing.interval(j, 0.9)[1] - nothing.interval(j, 0.9)[0] > 60 for j in range(3))
    assert not nothing.cleared(OWN, 0.05).any()


def test_duplicated_rows_add_no_evidence() -> None:
    points, stayed, weight, accounts = sample(1_000)
    again = [np.concatenate([x, x, x]) for x in (points, stayed, weight / 3, accounts)]
    one = estimate_coefficients(points, stayed, weight, accounts, OWN, OWN, 200, 0)
    three = estimate_coefficients(*again, OWN, OWN, 200, 0)
    assert three.interval(0, 0.9) == pytest.approx(one.interval(0, 0.9), abs=0.11)
    assert three.draws == pytest.approx(one.draws, abs=1e-6)


def test_clearly_wrong_weights_have_a_direction() -> None:
    assert estimate(20_000).cleared(np.array([0.2, 0.3, 0.5]), 0.05).tolist() == [1, 0, -1]
    assert estimate(20_000).cleared(OWN, 0.01).tolist() == [0, 0, 0]


def test_false_alarms_stay_below_the_rate() -> None:
    alarms = [bool(estimate(500, seed).cleared(OWN, 0.1).any()) for seed in range(60)]
    # 0.1 plus three standard errors of 60 trials.
    assert np.mean(alarms) <= 0.1 + 3 * np.sqrt(0.09 / 60)


def test_one_newton_step_matches_a_full_refit() -> None:
    from training.statistics import newton_logistic
    from training.statistics.account_bootstrap import AccountBootstrap

    points, stayed, weight, accounts = sample(3_000)
    one = estimate_coefficients(points, stayed, weight, accounts, OWN, OWN, 50, 0)
    design = np.column_stack([(points - 60) / 10, np.ones(len(stayed))])
    rows = np.concatenate(list(AccountBootstrap(accounts, 50, 0).passes()))
    full = newton_logistic.fit(design, stayed, rows, np.zeros(4), np.full(4, 1e-6))[:, :3] / 10
    assert np.abs(one.draws - full).max() < 0.35 * full.std(axis=0).max()
    assert one.draws.std(axis=0) == pytest.approx(full.std(axis=0), rel=0.1)


def test_weights_of_resamples_stay_within_bounds() -> None:
    low, high = np.array([0.4, 0.2, 0.1]), np.array([0.5, 0.4, 0.3])
    sampled = estimate(500).weights(low, high)
    assert sampled.sum(axis=1) == pytest.approx(100)
    assert (sampled >= 100 * low - 1e-6).all()
    assert (sampled <= 100 * high + 1e-6).all()
