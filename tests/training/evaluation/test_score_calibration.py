"""Score calibration: a nonincreasing curve with intervals, evaluated on later dates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.health.score_calibration import SCORES, ScoreCalibration
from training.estimators.rubric_weights import learn_weights
from training.evaluation.score_calibration import MINIMUM_CHURNED, fit_score_calibration


def _world(accounts: int, weeks: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, pd.Series]:
    """Scores, bands, churns (the chance falls from 60% at 0 to nothing at 100), accounts and dates."""
    rng = np.random.default_rng(seed)
    n = accounts * weeks
    score = np.clip(np.repeat(rng.uniform(0, 100, accounts), weeks) + rng.normal(0, 3, n), 0, 100)
    churned = (rng.random(n) < 0.6 * (1 - score / 100)).astype(float)
    band = np.where(score >= 70, "green", np.where(score >= 40, "yellow", "red")).astype(object)
    names = np.repeat([f"a{i}" for i in range(accounts)], weeks).astype(object)
    dates = pd.Series(np.tile(pd.date_range("2026-01-05", periods=weeks, freq="7D", tz="UTC"), accounts))
    return score, band, churned, names, dates


def test_the_curve_is_recovered_and_never_increases() -> None:
    calibration = fit_score_calibration(*_world(800))
    assert calibration is not None
    truth = 0.6 * (1 - np.array(SCORES) / 100)
    assert abs(np.array(calibration.rate) - truth)[10:90].max() < 0.08
    rate, low, high = calibration.at([0, 35, 72, 100, np.nan])
    assert (np.diff(rate[:4]) <= 0).all()
    assert (low[:4] <= rate[:4]).all()
    assert (rate[:4] <= high[:4]).all()
    assert np.isnan(rate[4])


@pytest.mark.slow
def test_the_interval_has_its_nominal_coverage() -> None:
    truth, values = 0.6 * (1 - np.array(SCORES) / 100), []
    for seed in range(12):
        calibration = fit_score_calibration(*_world(150, seed=seed))
        assert calibration is not None
        values.append(((np.array(calibration.low) <= truth) & (truth <= np.array(calibration.high)))[10:90].mean())
    assert 0.65 < np.mean(values) < 0.97


def test_bands_have_observed_rates() -> None:
    score, band, churned, names, dates = _world(300)
    calibration = fit_score_calibration(score, band, churned, names, dates)
    assert calibration is not None
    for result in calibration.bands:
        assert result.rate == pytest.approx(churned[band == result.band].mean())
        assert result.low is not None
        assert result.high is not None
        assert result.low <= result.rate <= result.high
    assert [result.band for result in calibration.bands] == ["green", "yellow", "red"]


def test_the_curve_is_evaluated_on_later_dates() -> None:
    score, band, churned, names, dates = _world(600)
    later = (dates > dates.median()).to_numpy()
    calibration = fit_score_calibration(score, band, churned, names, dates, (~later, later))
    assert calibration is not None
    assert calibration.later is not None
    assert calibration.later.rows == later.sum()
    assert calibration.later.calibration_error < 0.06
    assert calibration.later.brier < calibration.later.brier_base_rate


def test_rows_in_neither_mask_are_ignored_in_the_evaluation() -> None:
    """Dates whose label windows reach into the later ones belong to neither."""
    score, band, churned, names, dates = _world(600)
    day = dates.rank(method="dense").to_numpy()
    before, between, after = day <= 4, day == 5, day > 5
    turned = np.where(between, 1 - churned, churned)
    result, other = (fit_score_calibration(score, band, y, names, dates, (before, after)) for y in (churned, turned))
    assert result is not None
    assert other is not None
    assert result.later == other.later
    assert result.rate != other.rate


def test_too_few_churns_give_no_curve() -> None:
    score, band, churned, names, dates = _world(200)
    churned[:] = 0
    churned[: MINIMUM_CHURNED - 1] = 1
    assert fit_score_calibration(score, band, churned, names, dates) is None


def test_json_round_trip_and_an_increasing_curve_is_refused() -> None:
    calibration = fit_score_calibration(*_world(200))
    assert calibration is not None
    assert ScoreCalibration.model_validate_json(calibration.model_dump_json()) == calibration
    with pytest.raises(ValueError, match="never increase"):
        ScoreCalibration.model_validate(calibration.model_dump() | {"rate": calibration.rate[::-1]})


def test_weights_follow_the_association_with_retention() -> None:
    rng = np.random.default_rng(1)
    n = 4_000
    points = pd.DataFrame(rng.uniform(0, 100, (n, 4)), columns=["strong", "weak", "noise", "empty"])
    points["empty"] = np.nan
    odds = -0.06 * (points["strong"] - 50) - 0.02 * (points["weak"] - 50) - 1.5
    churned = (rng.random(n) < 1 / (1 + np.exp(-odds))).to_numpy(dtype=float)
    learned = learn_weights(points, churned, np.array([f"a{i}" for i in range(n)], dtype=object))
    assert learned is not None
    assert sum(learned.weights.values()) == pytest.approx(100)
    assert learned.weights["strong"] > 2 * learned.weights["weak"] > 0
    assert learned.weights["noise"] == learned.weights["empty"] == 0


def test_without_evidence_nothing_is_learned() -> None:
    rng = np.random.default_rng(2)
    points = pd.DataFrame(rng.uniform(0, 100, (500, 2)), columns=["a", "b"])
    names = np.array([f"a{i}" for i in range(500)], dtype=object)
    few = np.zeros(500)
    few[:10] = 1
    assert learn_weights(points, few, names) is None
    against = (points["a"].to_numpy() / 100 + rng.normal(0, 0.2, 500) > 0.6).astype(float)
    assert learn_weights(points[["a"]], against, names) is None
