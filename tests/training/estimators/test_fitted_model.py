"""A model uses every label known at an instant and none of later, and is scored as it was calibrated."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.special

from features.definitions.feature import Feature
from features.errors import InsufficientData
from models.scorer.base import RENEWAL_FEATURE
from models.scorer.members import jackknife_variance
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.target_rows import TargetRows
from training.estimators import gradient_boosting
from training.estimators.calibration import HALFWAY, apply_calibrator, calibrate
from training.estimators.ensemble import LINEAR, single_weights
from training.estimators.fitted_model import ERROR_WEIGHT, FittedModel, fit_model

ACCOUNTS, DATES, MAIN, GRACE = 150, 15, 90, 30
CONFIG = TrainConfig(trials=1, folds=2)
CATALOGUE: Any = {
    name: Feature(name, name.split(".")[0], "usage", name, kind, "", None, None, name)
    for name, kind in (("usage.signal", "number"), (RENEWAL_FEATURE, "number"), ("contract.plan", "category"))
}


def portfolio(seed: int = 0) -> TargetRows:
    """Dates four weeks apart, and outcomes within 30 and 90 days that become twice as likely in the last quarter."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2024-01-01", periods=DATES, freq="28D", tz="UTC").as_unit("us")
    account = np.tile(np.arange(ACCOUNTS), DATES)
    signal = rng.normal(size=ACCOUNTS)[account] + rng.normal(0, 0.5, len(account))
    frame = pd.DataFrame(
        {
            "account_id": [f"a{i}" for i in account],
            "as_of": np.repeat(dates, ACCOUNTS),
            "usage.signal": np.where(rng.random(len(account)) < 0.1, np.nan, signal),
            RENEWAL_FEATURE: rng.integers(0, 365, len(account)).astype(float),
            "contract.plan": rng.choice(["monthly", "yearly"], ACCOUNTS)[account],
        }
    )
    through = (dates[-1] + timedelta(days=MAIN + GRACE)).to_pydatetime()
    late = np.where(frame["as_of"] >= dates[-3], 0.9, 0.0)
    p = scipy.special.expit(-1.8 + 1.2 * signal + late)
    draw = rng.random(len(frame))

    def labels(share: float) -> pd.DataFrame:
        return frame[["account_id", "as_of"]].assign(churn=(draw < share * p).astype(np.float64))

    signals: Any = SimpleNamespace(data_through=through)
    grid: Any = SimpleNamespace(as_ofs=dates.to_pydatetime().tolist())
    prepared = LabelledSnapshots(signals, grid, frame, labels(1.0), GRACE, CATALOGUE, {30: labels(0.4)})
    return TargetRows(prepared, "churn", {}, MAIN)


@pytest.fixture(scope="module")
def rows() -> TargetRows:
    return portfolio()


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_boosting, "MOST_TREES", 12)
        yield


@pytest.fixture(scope="module")
def through(rows: TargetRows) -> datetime:
    return rows.prepared.signals.data_through


@pytest.fixture(scope="module")
def model(rows: TargetRows, through: datetime) -> FittedModel:
    return fit_model(rows, through, CONFIG, resamples=40)


def test_every_known_label_is_used(rows: TargetRows, through: datetime, model: FittedModel) -> None:
    frame = rows.prepared.frame
    assert model.dates == (frame["as_of"].min(), frame["as_of"].max())
    newest = model.newest_dates()
    assert newest == {30: frame["as_of"].max(), 90: frame["as_of"].max()}
    assert model.outcomes == frame["account_id"][rows.prepared.labels["churn"] == 1].nunique()
    # At an earlier instant, the labels of the shorter horizon are newer.
    earlier = fit_model(rows, through - timedelta(days=84), CONFIG, model.ensemble.settings, resamples=0)
    by_days = earlier.newest_dates()
    assert by_days[30] - by_days[90] == timedelta(days=56)
    assert all(at + timedelta(days=days + GRACE) <= through - timedelta(days=84) for days, at in by_days.items())
    assert earlier.dates[1] == by_days[90]


def test_a_model_of_one_horizon_has_its_newest_date(rows: TargetRows, through: datetime, model: FittedModel) -> None:
    """As for order businesses."""
    single = replace(rows, prepared=replace(rows.prepared, further_labels={}))
    fitted = fit_model(single, through, CONFIG, model.ensemble.settings, resamples=0)
    assert fitted.newest_dates() == {MAIN: rows.prepared.frame["as_of"].max()}


def test_nothing_after_the_instant_is_used(rows: TargetRows, through: datetime, model: FittedModel) -> None:
    """Neither features nor labels: the whole fitted model is the same, calibrator and intervals included."""
    before = through - timedelta(days=150)
    prepared = rows.prepared
    later = (prepared.frame["as_of"] >= pd.Timestamp(before)).to_numpy()

    def changed(labels: pd.DataFrame, days: int) -> pd.DataFrame:
        unknown = (labels["as_of"] + timedelta(days=days + GRACE) > pd.Timestamp(before)).to_numpy()
        return labels.assign(churn=np.where(unknown, 1 - labels["churn"], labels["churn"]))

    frame = prepared.frame.assign(**{"usage.signal": prepared.frame["usage.signal"].where(~later, 1e9)})
    further = {days: changed(labels, days) for days, labels in prepared.further_labels.items()}
    strange = replace(prepared, frame=frame, labels=changed(prepared.labels, MAIN), further_labels=further)
    one, other = (fit_model(each, before, CONFIG, resamples=10) for each in (rows, replace(rows, prepared=strange)))
    assert one.calibrator == other.calibrator
    assert one.ensemble.text == other.ensemble.text
    assert one.ensemble.scorer_parameters() == other.ensemble.scorer_parameters()
    assert (one.rate, one.shift, one.dates) == (other.rate, other.shift, other.dates)


def test_the_level_is_halfway_to_that_of_the_newest_quarter(rows: TargetRows, model: FittedModel) -> None:
    held = model.ensemble.out_of_fold
    raw = held.raw @ model.ensemble.weights
    level = calibrate(raw, held.y, held.accounts, held.as_of, resamples=0)
    drift = model.drift.correction(model.ensemble.weights, lambda each: apply_calibrator(level, each))
    p = apply_calibrator(model.calibrator, raw)
    assert scipy.special.logit(p.mean()) == pytest.approx(scipy.special.logit(model.rate) + HALFWAY * drift, abs=0.01)
    assert 0.4 < model.shift < 1.2
    everything = scipy.special.logit(held.y.mean())
    assert scipy.special.logit(model.rate) == pytest.approx(everything + HALFWAY * model.shift)
    newest = held.y[(held.as_of >= held.as_of.max() - timedelta(days=90)).to_numpy()].mean()
    assert held.y.mean() < model.rate < newest


def test_what_all_accounts_share_moves_the_level_halfway(rows: TargetRows, through: datetime, model: FittedModel) -> None:
    """After the newest known outcomes, the signal rises for all accounts, for example by a season."""
    latest = rows.prepared.latest
    moved = latest.assign(as_of=pd.Timestamp(through), **{"usage.signal": latest["usage.signal"] + 1.5})
    prepared = replace(rows.prepared, current=moved)
    corrected = fit_model(replace(rows, prepared=prepared), through, CONFIG, model.ensemble.settings, resamples=0)
    assert corrected.shift == model.shift
    held = model.ensemble.out_of_fold
    newest = held.row_index[(held.as_of >= held.as_of.max() - timedelta(days=90)).to_numpy()]
    logit, names = scipy.special.logit, {"linear": single_weights(LINEAR)}
    then = logit(model.probability(rows.prepared.frame.iloc[newest]).mean())
    expected, level = (logit(each.probability(moved).mean()) for each in (model, corrected))
    assert expected > then + 0.8
    assert level == pytest.approx((then + expected) / 2, abs=0.15)
    assert (corrected.probability(moved).argsort() == model.probability(moved).argsort()).all()
    part, before = (logit(each.part_probabilities(moved, names)["linear"].mean()) for each in (corrected, model))
    assert part == pytest.approx((then + before) / 2, abs=0.15)


def test_the_scorer_gives_the_same_probabilities(rows: TargetRows, model: FittedModel) -> None:
    frame, scorer = rows.prepared.latest, model.scorer()
    answer = scorer.predict(frame)
    assert answer.probability == pytest.approx(model.probability(frame), abs=1e-9)
    assert (answer.low <= answer.probability).all()
    assert (answer.probability <= answer.high).all()
    by_horizon = scorer.by_horizon(scorer.encode(frame).matrix)
    for days, p in by_horizon.items():
        assert p == pytest.approx(model.probability(frame, days), abs=1e-9)
    assert (by_horizon[30] <= by_horizon[90]).all()


def test_the_error_of_a_score_is_pooled_with_that_of_the_newest_rows(rows: TargetRows, model: FittedModel) -> None:
    variance = jackknife_variance(model.ensemble.member_raw(rows.prepared.latest))
    assert model.calibrator["error"] == {"variance": pytest.approx(variance.mean()), "weight": ERROR_WEIGHT}
    scorer = model.scorer()
    error = scorer.estimate(scorer.encode(rows.prepared.latest).matrix).error
    expected = (ERROR_WEIGHT * variance.mean() + variance) / (ERROR_WEIGHT + 1)
    assert error == pytest.approx(np.sqrt(expected))


def test_parts_of_the_ensemble_are_calibrated_by_the_same_rule(rows: TargetRows, model: FittedModel) -> None:
    frame = rows.prepared.frame
    parts = model.part_probabilities(frame, {"all": model.ensemble.weights, "linear": single_weights(LINEAR)})
    assert parts["all"] == pytest.approx(model.probability(frame), abs=1e-9)
    line = parts["linear"]
    assert line.mean() == pytest.approx(model.probability(frame).mean(), abs=0.02)
    assert np.abs(line - model.probability(frame)).max() > 0.01


def test_given_settings_are_not_searched_again(
    rows: TargetRows, through: datetime, model: FittedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backtest searches once at each origin; with the same settings and labels the model is the same."""

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("training.estimators.fitted_model.search_ensemble", refuse)
    shares: list[float] = []
    again = fit_model(rows, through, CONFIG, model.ensemble.settings, 40, lambda share, _: shares.append(share))
    assert again.calibrator == model.calibrator
    assert again.ensemble.text == model.ensemble.text
    assert shares == sorted(shares)
    assert shares[-1] < 1


def test_labels_of_one_class_are_refused(rows: TargetRows, through: datetime) -> None:
    labels = rows.prepared.labels.assign(churn=0.0)
    with pytest.raises(InsufficientData, match="only one outcome occurs"):
        fit_model(replace(rows, prepared=replace(rows.prepared, labels=labels)), through, CONFIG)
