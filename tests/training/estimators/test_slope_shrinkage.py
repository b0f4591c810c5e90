"""The retained share of a slope depends on its error, which is based on accounts, and on its distance from 1."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from features.utils.arrays import Floats
from training.estimators.calibration import apply_calibrator, calibrate
from training.estimators.slope_shrinkage import retained_share, slope_and_error


def sample(accounts: int, slope: float, seed: int = 0, weeks: int = 1) -> tuple[Floats, Floats, np.ndarray]:
    rng = np.random.default_rng(seed)
    raw = rng.normal(-2, 1.2, accounts)
    y = (rng.random(accounts) < scipy.special.expit(slope * raw)).astype(float)
    return np.repeat(raw, weeks), np.repeat(y, weeks), np.repeat(np.arange(accounts).astype(str), weeks)


def test_the_retained_share_rises_with_the_outcomes() -> None:
    assert retained_share(*sample(40_000, 0.7)) > 0.97
    assert retained_share(*sample(80, 1.0)) < 0.4


def test_a_slope_far_from_1_is_retained_more() -> None:
    off, near = (retained_share(*sample(400, slope, seed=1)) for slope in (0.1, 0.9))
    assert off > 0.8 > near


def test_the_error_matches_repeated_samples() -> None:
    result = np.array([slope_and_error(*sample(600, 0.8, seed)) for seed in range(200)])
    assert result[:, 0].mean() == pytest.approx(0.8, abs=0.03)
    assert result[:, 1].mean() == pytest.approx(result[:, 0].std(), rel=0.15)


def test_more_weeks_of_an_account_add_no_evidence() -> None:
    one, many = (slope_and_error(*sample(600, 0.8, weeks=weeks)) for weeks in (1, 13))
    assert many == pytest.approx(one, rel=0.02)


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.sampled_from([20, 100, 1000]))
def test_the_result_is_a_share(seed: int, slope: float, accounts: int) -> None:
    raw, y, names = sample(accounts, slope, seed)
    y[:2] = 0.0, 1.0
    assert 0 <= retained_share(raw, y, names) <= 1


def test_shrinkage_improves_predictions_with_few_outcomes() -> None:
    """A model that is right as it is, calibrated on some fifteen accounts with the outcome: the truth is missed by less."""
    errors: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(40):
        raw, y, names = sample(100, 1.0, seed)
        dates = pd.Series(pd.date_range("2024-01-01", periods=10, freq="7D", tz="UTC")[np.arange(100) % 10])
        new = sample(4_000, 1.0, seed + 1_000)[0]
        for scaled, result in errors.items():
            p = apply_calibrator(calibrate(raw, y, names, dates, resamples=0, scaled=scaled), new)
            result.append(float(((p - scipy.special.expit(new)) ** 2).mean()))
    assert np.mean(errors[True]) < 0.7 * np.mean(errors[False])
