"""The shared bias: accurate past forecasts narrow it, inaccurate ones widen it."""

from __future__ import annotations

import numpy as np
import pytest

from models.renewals.forecast_bias import (
    PRIOR_SCALE,
    BiasDistribution,
    CountForecast,
    bias_distribution,
    clipped_log_odds,
    count_forecast,
    log_odds_spread,
    shift_probabilities,
)


def test_without_past_forecasts_the_prior_applies() -> None:
    prior = bias_distribution([])
    assert prior.spread == pytest.approx(PRIOR_SCALE, rel=0.02)
    assert bias_distribution([CountForecast(0.0, 0.0, 0.0, 0.0)]).spread == prior.spread, "a quarter without due accounts adds no information"


def test_misses_widen_the_bias_and_hits_narrow_it() -> None:
    right = [CountForecast(20.0, 20.0, 18.0, 16.0)] * 6
    wrong = [CountForecast(20.0, 40.0, 18.0, 16.0), CountForecast(20.0, 6.0, 18.0, 16.0)] * 3
    assert bias_distribution(right).spread < bias_distribution([]).spread < bias_distribution(wrong).spread


def test_random_shifts_preserve_the_mean() -> None:
    p, spread = np.array([0.02, 0.1, 0.5, 0.9]), np.full(4, 0.8)
    by = np.random.default_rng(0).standard_normal(40_000)[:, None] * spread
    assert shift_probabilities(p, by, spread).mean(axis=0) == pytest.approx(p, rel=0.02)
    assert (shift_probabilities(np.array([0.0, 1.0]), by[:, :2], spread[:2]) == np.array([0.0, 1.0])).all()
    assert shift_probabilities(p, np.zeros((1, 4)), np.zeros(4))[0] == pytest.approx(p)


def test_draws_follow_the_grid() -> None:
    assert (BiasDistribution(np.zeros(1), np.ones(1)).draws(5, np.random.default_rng(0)) == 0.0).all()
    level = bias_distribution([])
    assert level.draws(20_000, np.random.default_rng(1)).std() == pytest.approx(level.spread, rel=0.05)


def test_count_forecast_and_spread_equal_a_manual_calculation() -> None:
    result = count_forecast(np.array([0.5, 0.2]), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    assert (result.expected, result.happened) == (pytest.approx(0.7), 1.0)
    assert result.variance == pytest.approx(0.25 + 0.16)
    assert result.drawn == pytest.approx(0.25 + 0.32)
    low, high = (1 / (1 + np.exp(-np.array([z]))) for z in (-1.2815515655446004, 1.2815515655446004))
    assert log_odds_spread(low, high) == pytest.approx(1.0)
    assert clipped_log_odds(np.array([0.5]))[0] == 0.0
