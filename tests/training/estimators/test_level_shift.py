"""The level of a model's probabilities does not depend on how extreme the model is, and the changes of the level in the
history are in the interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from features.utils.arrays import Floats
from training.estimators.calibration import apply_calibrator, calibrate
from training.estimators.level_shift import USUAL_MOVE, WINDOW_DAYS, estimate_level_move, recent_shift

ACCOUNTS, WEEKS = 400, 13


def portfolio(seed: int, level: float = 0.0) -> tuple[Floats, Floats, np.ndarray, pd.Series]:
    """Weekly rows of a quarter: true log-odds, outcomes of which the rate lies that far above them, accounts, dates."""
    rng = np.random.default_rng(seed)
    z = np.tile(rng.normal(-2.0, 1.0, ACCOUNTS), WEEKS)
    y = np.tile((rng.random(ACCOUNTS) < scipy.special.expit(z[:ACCOUNTS] + level)).astype(np.float64), WEEKS)
    dates = pd.Series(pd.date_range("2025-01-06", periods=WEEKS, freq="7D", tz="UTC").repeat(ACCOUNTS))
    return z, y, np.tile(np.arange(ACCOUNTS).astype(str), WEEKS), dates


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.4, 4.0), st.floats(-1.5, 1.5), st.floats(-0.7, 0.7))
def test_the_scale_of_a_model_does_not_change_the_mean_probability(
    seed: int, factor: float, shift: float, level: float
) -> None:
    """A model that is too extreme, too tame or off by a constant ranks the same, and gets the same level."""
    z, y, accounts, dates = portfolio(seed, level)
    newest = (dates >= dates.max() - pd.Timedelta(days=28)).to_numpy()
    means = []
    for raw in (z, factor * z + shift):
        everything = calibrate(raw, y, accounts, dates, resamples=0, scaled=False)
        expected = scipy.special.logit(apply_calibrator(everything, raw))
        recent = recent_shift(expected[newest], y[newest], np.ones(newest.sum()))
        means.append(apply_calibrator(calibrate(raw, y, accounts, dates, recent, 0, scaled=False), raw).mean())
    assert means[1] == pytest.approx(means[0], rel=0.01)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.floats(-1.0, 1.0))
def test_the_shift_of_the_newest_rows_is_recovered(seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(-1.5, 1.0, 20_000)
    y = (rng.random(len(z)) < scipy.special.expit(z + level)).astype(np.float64)
    assert recent_shift(z, y, np.ones(len(z))) == pytest.approx(level, abs=0.1)


def test_few_independent_rows_hardly_shift_the_level() -> None:
    """Rows count by their weights: weekly rows of the same accounts are no more evidence than those of one date."""
    z, y, _, _ = portfolio(1, 1.0)
    full, shared, few = (recent_shift(z, y, np.full(len(z), weight)) for weight in (1.0, 1 / WEEKS, 1e-3))
    assert 0.7 < full < 1.3
    assert shared == pytest.approx(recent_shift(z[:ACCOUNTS], y[:ACCOUNTS], np.ones(ACCOUNTS)), abs=1e-6)
    assert few < shared / 2
    # Without an outcome among the newest rows, the level falls, but stays finite.
    assert -10 < recent_shift(z[:20], np.zeros(20), np.ones(20)) < 0


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
