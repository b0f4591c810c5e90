"""Calibrators recover the true probabilities, never reverse a ranking, and agree with the scorer."""

from __future__ import annotations

import json
from collections.abc import Callable

import lightgbm
import numpy as np
import pandas as pd
import pytest
import scipy.special

from features.errors import InsufficientData
from features.utils.arrays import Floats
from models.scorer.scorer import Scorer
from training.estimators.calibration import CalibratorKind, _fit, apply_calibrator, calibrate

ROWS = 8_000


def sample(
    log_odds_of: Callable[[Floats], Floats] = lambda z: z, rows: int = ROWS, accounts: int = 1_000
) -> tuple[Floats, Floats, pd.DataFrame]:
    """Raw log-odds, labels drawn from `log_odds_of(raw)`, and the accounts and dates of the rows."""
    rng = np.random.default_rng(3)
    raw = rng.normal(-2, 1.2, rows)
    y = (rng.random(rows) < scipy.special.expit(log_odds_of(raw))).astype(float)
    dates = pd.date_range("2024-01-01", periods=10, freq="7D", tz="UTC")
    keys = pd.DataFrame(
        {"account": [f"{i % accounts}" for i in range(rows)], "as_of": dates[rng.integers(0, 10, rows)]}
    )
    return raw, y, keys


def test_sigmoid_recovers_slope_and_level() -> None:
    raw, y, keys = sample(lambda z: 0.6 * z + 0.5)
    calibrated = calibrate(raw, y, keys["account"].tolist(), keys["as_of"])
    assert calibrated["kind"] == "sigmoid"
    assert calibrated["parameters"]["a"] == pytest.approx(0.6, abs=0.06)
    assert calibrated["parameters"]["b"] == pytest.approx(0.5, abs=0.1)
    assert len(calibrated["resamples"]) == 200
    # The resamples' spread is that of the parameter: the truth lies within it.
    slopes = [r["a"] for r in calibrated["resamples"]]
    assert np.quantile(slopes, 0.005) < 0.6 < np.quantile(slopes, 0.995)


def test_beta_recovers_its_parameters_and_is_chosen() -> None:
    """Log-odds that bend: no sigmoid has this shape."""
    raw, y, keys = sample(lambda z: 0.3 - 1.6 * np.logaddexp(0, -z - 2) + 0.3 * np.logaddexp(0, z + 2))
    calibrated = calibrate(raw + 2, y, keys["account"].tolist(), keys["as_of"], resamples=20)
    assert calibrated["kind"] == "beta"
    assert list(calibrated["parameters"].values()) == pytest.approx([1.6, 0.3, 0.3], abs=0.15)


def test_isotonic_is_chosen_for_a_step() -> None:
    raw, y, keys = sample(lambda z: np.where(z > -2, -0.5, -4.0))
    calibrated = calibrate(raw, y, keys["account"].tolist(), keys["as_of"], resamples=20)
    assert calibrated["kind"] == "isotonic"
    p = apply_calibrator(calibrated, np.array([-4.0, 0.0]))
    assert p == pytest.approx([scipy.special.expit(-4.0), scipy.special.expit(-0.5)], abs=0.02)


def test_isotonic_is_not_chosen_for_few_accounts() -> None:
    raw, y, keys = sample(lambda z: np.where(z > -2, -0.5, -4.0), accounts=90)
    assert calibrate(raw, y, keys["account"].tolist(), keys["as_of"], resamples=20)["kind"] != "isotonic"


@pytest.mark.parametrize("kind", ["sigmoid", "beta", "isotonic"])
def test_calibration_preserves_the_rate_and_is_monotone(kind: CalibratorKind) -> None:
    raw, y, _ = sample(lambda z: 0.6 * z + 0.5)
    (parameters,) = _fit(kind, raw, y, np.ones((1, len(y))))
    p = apply_calibrator({"kind": kind, "parameters": parameters}, np.sort(raw))
    assert (np.diff(p) >= 0).all()
    assert p.mean() == pytest.approx(y.mean(), abs=1e-4)


def test_repeated_rows_of_an_account_do_not_choose_the_kind() -> None:
    """Every account says the same on every date, and ends the same: what has learnt the accounts by heart on the
    earlier dates would be right on the later ones."""
    rng = np.random.default_rng(2)
    raw = rng.normal(-1, 1.2, 600)
    y = (rng.random(600) < scipy.special.expit(raw)).astype(float)
    dates = pd.Series(np.repeat(pd.date_range("2024-01-01", periods=10, freq="7D", tz="UTC"), 600))
    accounts = [f"{i}" for i in range(600)] * 10
    calibrated = calibrate(np.tile(raw, 10), np.tile(y, 10), accounts, dates, resamples=5)
    assert calibrated["kind"] == "sigmoid"


@pytest.mark.parametrize("shape", [lambda z: z + 1, lambda z: np.where(z > -2, 0.5, -3.0)], ids=["sigmoid", "isotonic"])
def test_the_level_is_halfway_between_all_rows_and_the_newest(shape: Callable[[Floats], Floats]) -> None:
    """The level moves half of the way, and the resamples cover the whole range."""
    raw, y, keys = sample(shape)
    calibrated = calibrate(raw, y, keys["account"].tolist(), keys["as_of"], shift=-0.8, resamples=60)
    newest = scipy.special.expit(scipy.special.logit(y.mean()) - 0.8)
    level = apply_calibrator(calibrated, raw).mean()
    assert level == pytest.approx(scipy.special.expit(scipy.special.logit(y.mean()) - 0.4), abs=1e-3)
    levels = [
        apply_calibrator({"kind": calibrated["kind"], "parameters": r}, raw).mean() for r in calibrated["resamples"]
    ]
    assert min(levels) == pytest.approx(newest, abs=0.02)
    assert max(levels) == pytest.approx(y.mean(), abs=0.02)


def test_a_shift_changes_the_level_and_not_the_slope() -> None:
    raw, y, keys = sample(lambda z: 0.6 * z + 0.5)
    still, later = (
        calibrate(raw, y, keys["account"].tolist(), keys["as_of"], shift=shift, resamples=0) for shift in (0.0, 0.8)
    )
    assert still["parameters"]["a"] == later["parameters"]["a"]
    assert later["parameters"]["b"] > still["parameters"]["b"] + 0.3
    assert apply_calibrator(still, raw).mean() == pytest.approx(y.mean(), abs=1e-3)


def test_calibrated_log_odds_do_not_change() -> None:
    raw, y, keys = sample()
    calibrated = calibrate(raw, y, keys["account"].tolist(), keys["as_of"], resamples=20)
    assert apply_calibrator(calibrated, raw) == pytest.approx(scipy.special.expit(raw), abs=0.03)


def test_resamples_include_the_change_of_the_level() -> None:
    """The middle 80% of the levels reach 1.28 standard deviations to either side, and the probability stays."""
    raw, y, keys = sample()
    still, moving = (
        calibrate(raw, y, keys["account"].tolist(), keys["as_of"], resamples=100, move=move) for move in (0.0, 0.6)
    )
    assert still["parameters"] == moving["parameters"]
    level = scipy.special.logit(apply_calibrator(moving, raw).mean())
    calibration = [
        scipy.special.logit(apply_calibrator({"kind": "sigmoid", "parameters": r}, raw).mean())
        for r in moving["resamples"]
    ]
    assert np.quantile(calibration, [0.1, 0.9]) - level == pytest.approx(1.28 * 0.6 * np.array([-1, 1]), rel=0.2)


@pytest.mark.parametrize("kind", ["sigmoid", "beta"])
def test_a_reversed_ranking_is_flattened_not_reversed(kind: CalibratorKind) -> None:
    raw, y, _ = sample(lambda z: -0.8 * z - 4)
    (parameters,) = _fit(kind, raw, y, np.ones((1, len(y))))
    p = apply_calibrator({"kind": kind, "parameters": parameters}, raw)
    assert parameters["a"] == 0
    assert p == pytest.approx(np.full(ROWS, y.mean()), abs=1e-3)


def test_a_model_that_ranks_little_gets_probabilities_close_to_the_rate() -> None:
    """Log-odds that are mostly noise are shrunk; those of a good ranking keep their spread."""
    shares: dict[float, list[float]] = {0.0: [], 1.2: []}
    accounts = np.array([f"{i // 4}" for i in range(1_200)], dtype=object)
    as_of = pd.Series(np.tile(pd.date_range("2024-01-01", periods=4, freq="28D", tz="UTC"), 300))
    for strength, ratios in shares.items():
        for seed in range(8):
            rng = np.random.default_rng(seed)
            ranking, noise = rng.normal(size=(2, 300))
            y = np.repeat(rng.random(300) < scipy.special.expit(-2.2 + strength * ranking), 4).astype(float)
            raw = np.repeat(-2.2 + strength * ranking + 0.8 * noise, 4)
            calibrated = apply_calibrator(calibrate(raw, y, accounts, as_of, resamples=0), raw)
            ratios.append(float(scipy.special.logit(calibrated).std() / raw.std()))
    assert np.mean(shares[0.0]) < 0.4
    assert np.mean(shares[1.2]) > 0.6


def test_a_perfect_ranking_gives_finite_parameters() -> None:
    raw = np.linspace(-6, 2, 400)
    y = (raw > 1).astype(float)
    keys = pd.DataFrame({"account": [f"{i}" for i in range(400)], "as_of": pd.Timestamp("2024-01-01", tz="UTC")})
    calibrated = calibrate(raw, y, keys["account"].tolist(), keys["as_of"])
    assert all(np.isfinite(list(r.values())).all() for r in [calibrated["parameters"], *calibrated["resamples"]])


def test_one_class_is_refused() -> None:
    raw, _, keys = sample(rows=100)
    for y in (np.zeros(100), np.ones(100)):
        with pytest.raises(InsufficientData, match="only one of them occurs"):
            calibrate(raw, y, keys["account"].tolist(), keys["as_of"])


@pytest.mark.parametrize("shape", [lambda z: z, lambda z: np.where(z > -2, -0.5, -4.0)], ids=["sigmoid", "isotonic"])
def test_the_scorer_gives_the_same_probabilities(shape: Callable[[Floats], Floats]) -> None:
    """What is fitted here and stored as JSON gives the same probabilities when scored, with an interval around them."""
    raw, y, keys = sample(shape)
    stored = json.loads(json.dumps(calibrate(raw, y, keys["account"].tolist(), keys["as_of"], resamples=30)))
    data = lightgbm.Dataset(raw[:500, None], y[:500], feature_name=["x"])
    booster = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, data, 2)
    scorer = Scorer.from_texts(booster.model_to_string(), {"features": [{"name": "x", "kind": "number"}]}, stored)
    answer = scorer.calibrate(raw)
    assert answer.probability == pytest.approx(apply_calibrator(stored, raw), abs=1e-12)
    assert (answer.low <= answer.probability).all()
    assert (answer.probability <= answer.high).all()
    assert (answer.high - answer.low).mean() > 0
