"""Baselines are calibrated like the model, without the test data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.special

from models.targets import TARGETS
from training.evaluation.baselines import base_rate_probabilities, calibrated_probabilities, health_log_odds, known_rate

DATES = pd.Series(pd.date_range("2024-01-01", periods=10, freq="7D", tz="UTC").repeat(200))
ACCOUNTS = np.array([f"{i % 200}" for i in range(len(DATES))], dtype=object)


def test_health_log_odds_rise_with_the_target() -> None:
    score = np.array([10.0, 50.0, 90.0, np.nan])
    churn, expansion = (health_log_odds(score, target) for target in TARGETS)
    assert churn[0] > churn[1] > churn[2]
    assert expansion[0] < expansion[1] < expansion[2]
    assert np.isnan(churn[3])
    assert np.isnan(expansion[3])


def test_a_score_is_calibrated_to_observed_rates() -> None:
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 100, len(DATES))
    true = scipy.special.expit(-score / 20)
    y = (rng.random(len(score)) < true).astype(float)
    p = calibrated_probabilities(health_log_odds(score, "churn"), y, ACCOUNTS, DATES, health_log_odds([0, 40, 80], "churn"), y.mean())
    assert p == pytest.approx(scipy.special.expit(-np.array([0, 40, 80]) / 20), abs=0.05)


def test_accounts_without_a_score_get_the_mean() -> None:
    rng = np.random.default_rng(0)
    score = np.where(rng.random(len(DATES)) < 0.3, np.nan, rng.uniform(0, 100, len(DATES)))
    y = (rng.random(len(score)) < 0.2).astype(float)
    p = calibrated_probabilities(health_log_odds(score, "churn"), y, ACCOUNTS, DATES, np.array([np.nan, 0.0]), y.mean())
    assert p[0] == pytest.approx(0.2, abs=0.03)
    assert np.isfinite(p).all()


def test_the_known_rate_is_between_training_and_calibration() -> None:
    train, calibration = np.repeat([0.0, 1.0], [60, 40]), np.repeat([0.0, 1.0], [80, 20])
    rate = known_rate(train, calibration)
    assert 0.2 < rate < 0.4
    assert known_rate(train, train) == pytest.approx(0.4)
    assert base_rate_probabilities(rate, 3).tolist() == [rate] * 3


def test_candidates_with_a_common_expectation_have_a_common_level() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(-1, 1, len(DATES))
    other = one + rng.normal(1, 0.5, len(DATES))
    y = (rng.random(len(DATES)) < scipy.special.expit(one - 0.5)).astype(float)
    common = [calibrated_probabilities(raw, y, ACCOUNTS, DATES, raw, 0.3).mean() for raw in (one, other)]
    assert common[0] == pytest.approx(common[1], abs=1e-3)
