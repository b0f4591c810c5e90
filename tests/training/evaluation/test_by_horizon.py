"""Every further horizon is evaluated on data the model has not used, or reported as not evaluated with a reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from training.dataset.time_split import TimeSplit, split_dates
from training.estimators.blend import Blend, fit_blend

from features.definitions.feature import Feature
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.target_rows import TargetRows
from training.evaluation.baselines import HEALTH_SCORE, expected_rate
from training.evaluation.by_horizon import HorizonMetrics, evaluate_by_horizon

MAIN, LONGER, SHORTER = 30, 60, 14
Portfolio = tuple[pd.DataFrame, npt.NDArray[np.float64]]


@pytest.fixture
def prepared(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> LabelledSnapshots:
    """Snapshots four weeks apart; the outcome is the same at each horizon whose window has closed."""
    frame, happened = small_portfolio
    frame, last = frame.copy(), frame["as_of"].max()
    rng = np.random.default_rng(0)
    frame["contract.days_to_renewal"] = rng.integers(0, 365, len(frame)).astype(float)
    through = (last + timedelta(days=MAIN)).to_pydatetime()

    def labels(days: int) -> pd.DataFrame:
        labelled = (frame["as_of"] + timedelta(days=days) <= through).to_numpy()
        facts = frame[["account_id", "as_of"]].assign(arr=1.0, active=True)
        return facts.assign(churn=np.where(labelled, happened, np.nan))

    signals: Any = SimpleNamespace(data_through=through)
    grid: Any = SimpleNamespace(as_ofs=sorted(frame["as_of"].dt.to_pydatetime().tolist()))
    further = {days: labels(days) for days in (SHORTER, LONGER)}
    return LabelledSnapshots(signals, grid, frame, labels(MAIN), 0, cast("Any", small_catalogue), further)


def _rows(prepared: LabelledSnapshots) -> TargetRows:
    return TargetRows(prepared, "churn", {HEALTH_SCORE: np.zeros(len(prepared.frame))}, MAIN)


def _split(prepared: LabelledSnapshots, back: int = 0) -> TimeSplit:
    dates = [cast("datetime", d) for d in prepared.frame["as_of"].dt.to_pydatetime()]
    return split_dates(dates, MAIN, 0, prepared.signals.data_through - timedelta(days=back))


@pytest.fixture
def model(prepared: LabelledSnapshots, small_catalogue: dict[str, Feature]) -> Blend:
    return fit_blend(_rows(prepared).training_design(_split(prepared).calibration[0]), small_catalogue, "churn", trials=1)


def _evaluate(prepared: LabelledSnapshots, model: Blend) -> dict[str, HorizonMetrics]:
    rows, parts = _rows(prepared), _split(prepared)
    expected = expected_rate(model, rows.training_design(parts.calibration[0]), rows.slice(parts, "calibration"))
    return {each.name: each for each in evaluate_by_horizon(rows, parts, model, expected, 0)}


def test_shorter_horizons_use_the_test_dates_and_longer_ones_earlier_unused_dates(
    prepared: LabelledSnapshots, model: Blend
) -> None:
    result, before = _evaluate(prepared, model), _split(prepared, LONGER - MAIN)
    assert list(result) == ["14 days", "60 days"]
    short, long = result.values()
    assert (short.enough, short.note, short.words) == (True, "", "")
    assert long.enough
    assert long.roc_auc[0] > 0.6
    assert f"evaluated on {before.test[0]:%Y-%m-%d} to {before.test[-1]:%Y-%m-%d}" in long.words

    def flipped(labels: pd.DataFrame, days: int) -> pd.DataFrame:
        """Flip every outcome that became known, even in part, after the first evaluated date."""
        late = (labels["as_of"] + timedelta(days=days) > before.test[0]).to_numpy()
        return labels.assign(churn=np.where(late, 1 - labels["churn"], labels["churn"]))

    further = {days: flipped(labels, days) for days, labels in prepared.further_labels.items()}
    other = replace(prepared, labels=flipped(prepared.labels, MAIN), further_labels=further)
    again = _evaluate(other, model)["60 days"]
    assert again.expected == long.expected
    assert again.rate == pytest.approx(1 - long.rate)


def test_a_history_that_is_too_short_is_reported(prepared: LabelledSnapshots, model: Blend) -> None:
    late = (prepared.frame["as_of"] >= _split(prepared).train[2]).to_numpy()
    dates: Any = SimpleNamespace(as_ofs=sorted(set(prepared.frame["as_of"][late].dt.to_pydatetime())))
    evaluation = evaluate_by_horizon(_rows(replace(prepared, grid=dates)), _split(prepared), model, 0.2, 0)[-1]
    assert not evaluation.enough
    assert evaluation.words.startswith("60 days: not evaluated (its outcome is not known yet at the test dates, and data known by")
    assert np.isnan(evaluation.roc_auc[0])
    assert evaluation.as_dict()["roc_auc"][0] is None


def test_too_few_outcomes_are_reported(prepared: LabelledSnapshots, model: Blend) -> None:
    none = prepared.further_labels[SHORTER].assign(churn=0.0)
    evaluation = _evaluate(replace(prepared, further_labels={**prepared.further_labels, SHORTER: none}), model)["14 days"]
    assert not evaluation.enough
    assert "0 accounts with the outcome" in evaluation.note


def test_a_horizon_without_training_outcomes_is_reported(prepared: LabelledSnapshots, model: Blend) -> None:
    more = {**prepared.further_labels, 90: prepared.further_labels[LONGER]}
    assert "no outcomes to learn from" in _evaluate(replace(prepared, further_labels=more), model)["90 days"].words
