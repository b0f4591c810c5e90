"""The level of a model's probabilities does not hang on how extreme the model is, and what the history tells of how far
levels move is in the interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from features.utils.arrays import Floats
from training.estimators.calibration import apply_calibrator, calibrate
from training.estimators.level_shift import USUAL_MOVE, WINDOW_DAYS, estimate_level_move, expected_slice_rate

ACCOUNTS, WEEKS = 400, 13


def portfolio(seed: int, level: float = 0.0) -> tuple[Floats, Floats, np.ndarray, pd.Series]:
    """Weekly rows of a quarter: true log-odds, outcomes of which the rate lies that far above them, accounts, dates."""
    rng = np.random.default_rng(seed)
    z = np.tile(rng.normal(-2.0, 1.0, ACCOUNTS), WEEKS)
    y = np.tile((rng.random(ACCOUNTS) < scipy.special.expit(z[:ACCOUNTS] + level)).astype(np.float64), WEEKS)
    dates = pd.Series(pd.date_range("2025-01-06", periods=WEEKS, freq="7D", tz="UTC").repeat(ACCOUNTS))
    return z, y, np.tile(np.arange(ACCOUNTS).astype(str), WEEKS), dates


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.4, 4.0), st.floats(-1.5, 1.5), st.floats(-0.7, 0.7))
def test_the_scale_of_a_model_does_not_change_the_mean_probability(
    seed: int, factor: float, shift: float, level: float
) -> None:
    """A model that is too extreme, too tame or off by a constant ranks the same, and gets the same level."""
    z, y, accounts, dates = portfolio(seed, level)
    trained = np.random.default_rng(seed + 1).normal(-2.0, 1.0, 5_000)
    rate = float(scipy.special.expit(trained).mean())
    means = []
    for raw, past in ((z, trained), (factor * z + shift, factor * trained + shift)):
        expected = expected_slice_rate(raw, y, accounts, past, rate)
        means.append(apply_calibrator(calibrate(raw, y, accounts, dates, expected, resamples=0), raw).mean())
    assert means[1] == pytest.approx(means[0], rel=0.01)


def test_the_expected_rate_depends_on_the_accounts_of_the_slice() -> None:
    z, y, accounts, _ = portfolio(1)
    rate = float(scipy.special.expit(z).mean())
    assert expected_slice_rate(z, y, accounts, z, rate) == pytest.approx(rate, abs=1e-6)
    # A slice with more accounts at risk is expected to lose more, as far as the model is right.
    assert expected_slice_rate(z + 0.5, y, accounts, z, rate) > 1.2 * rate


def history(levels: list[float], seed: int = 0) -> tuple[Floats, Floats, np.ndarray, pd.Series]:
    """A quarter of a year for each level, by a few dates of many accounts."""
    rng = np.random.default_rng(seed)
    days = [k * WINDOW_DAYS + each for k in range(len(levels)) for each in (10, 40, 70)]
    z = rng.normal(-2.0, 0.8, (len(days), 1_500))
    y = rng.random(z.shape) < scipy.special.expit(z + np.repeat(levels, 3)[:, None])
    dates = pd.Series(pd.Timestamp("2022-01-03", tz="UTC") + pd.to_timedelta(np.repeat(days, 1_500), unit="D"))
    return z.ravel(), y.ravel().astype(np.float64), np.tile(np.arange(1_500).astype(str), len(days)), dates


def test_level_changes_are_recovered() -> None:
    steady = estimate_level_move(*history([0.0] * 10), 165.0)
    jumps = estimate_level_move(*history([0.0, 0.0, 0.7, 0.7, 0.0, 0.0, 0.7, 0.7, 0.0, 0.0]), 165.0)
    assert steady < 0.2
    assert 0.4 < jumps < 1.0


def test_a_constant_offset_is_no_change() -> None:
    """The model's own level does not matter, only its changes."""
    assert estimate_level_move(*history([1.0] * 10), 165.0) < 0.2


def test_a_short_history_uses_the_prior() -> None:
    short = estimate_level_move(*history([0.0, 0.0]), 165.0)
    assert USUAL_MOVE / 2 < short < 2 * USUAL_MOVE
    assert short > estimate_level_move(*history([0.0] * 6), 165.0) > estimate_level_move(*history([0.0] * 12), 165.0)
