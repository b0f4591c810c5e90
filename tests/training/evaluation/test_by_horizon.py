"""Every horizon that is answered for is judged without a look at what is judged, or said not to be, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from features.definitions.feature import Feature
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.target_rows import TargetRows
from training.dataset.time_split import TimeSplit, split_dates
from training.estimators.blend import Blend, fit_blend
from training.evaluation.baselines import HEALTH_SCORE, expected_rate
from training.evaluation.by_horizon import HorizonMetrics, evaluate_by_horizon

MAIN, LONGER, SHORTER = 30, 60, 14
Portfolio = tuple[pd.DataFrame, npt.NDArray[np.float64]]


@pytest.fixture
def prepared(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> LabelledSnapshots:
    """Snapshots four weeks apart; the outcome is the same at each horizon, where its window has closed."""
    frame, happened = small_portfolio
    frame, last = frame.copy(), frame["as_of"].max()
    rng = np.random.default_rng(0)
    frame["contract.days_to_renewal"] = rng.integers(0, 365, len(frame)).astype(float)
    through = (last + timedelta(days=MAIN)).to_pydatetime()

    def labels(days: int) -> pd.DataFrame:
        known = (frame["as_of"] + timedelta(days=days) <= through).to_numpy()
        facts = frame[["account_id", "as_of"]].assign(arr=1.0, active=True)
        return facts.assign(churn=np.where(known, happened, np.nan))

    signals: Any = SimpleNamespace(data_through=through)
    grid: Any = SimpleNamespace(as_ofs=sorted(frame["as_of"].dt.to_pydatetime().tolist()))
    beside = {days: labels(days) for days in (SHORTER, LONGER)}
    return LabelledSnapshots(signals, grid, frame, labels(MAIN), 0, cast("Any", small_catalogue), beside)


def _rows(prepared: LabelledSnapshots) -> TargetRows:
    return TargetRows(prepared, "churn", {HEALTH_SCORE: np.zeros(len(prepared.frame))}, MAIN)


def _split(prepared: LabelledSnapshots, back: int = 0) -> TimeSplit:
    dates = [cast("datetime", d) for d in prepared.frame["as_of"].dt.to_pydatetime()]
    return split_dates(dates, MAIN, 0, prepared.signals.data_through - timedelta(days=back))


@pytest.fixture
def model(prepared: LabelledSnapshots, small_catalogue: dict[str, Feature]) -> Blend:
    return fit_blend(_rows(prepared).designed(_split(prepared).calibration[0]), small_catalogue, "churn", trials=1)


def _judged(prepared: LabelledSnapshots, model: Blend) -> dict[str, HorizonMetrics]:
    rows, parts = _rows(prepared), _split(prepared)
    expected = expected_rate(model, rows.designed(parts.calibration[0]), rows.of(parts, "calibration"))
    return {each.name: each for each in evaluate_by_horizon(rows, parts, model, expected, 0)}


def test_a_shorter_one_is_judged_on_the_test_and_a_longer_one_on_earlier_dates_that_nothing_has_seen(
    prepared: LabelledSnapshots, model: Blend
) -> None:
    found, before = _judged(prepared, model), _split(prepared, LONGER - MAIN)
    assert list(found) == ["14 days", "60 days"]
    short, long = found.values()
    assert (short.enough, short.note, short.words) == (True, "", "")
    assert long.enough
    assert long.roc_auc[0] > 0.6
    assert f"judged on {before.test[0]:%Y-%m-%d} to {before.test[-1]:%Y-%m-%d}" in long.words

    def turned(known: pd.DataFrame, days: int) -> pd.DataFrame:
        """Every outcome turned round of which anything became known after the first date that is judged."""
        late = (known["as_of"] + timedelta(days=days) > before.test[0]).to_numpy()
        return known.assign(churn=np.where(late, 1 - known["churn"], known["churn"]))

    beside = {days: turned(known, days) for days, known in prepared.beside.items()}
    other = replace(prepared, labels=turned(prepared.labels, MAIN), beside=beside)
    again = _judged(other, model)["60 days"]
    assert again.expected == long.expected
    assert again.rate == pytest.approx(1 - long.rate)


def test_too_short_a_history_is_said(prepared: LabelledSnapshots, model: Blend) -> None:
    late = (prepared.frame["as_of"] >= _split(prepared).train[2]).to_numpy()
    dates: Any = SimpleNamespace(as_ofs=sorted(set(prepared.frame["as_of"][late].dt.to_pydatetime())))
    found = evaluate_by_horizon(_rows(replace(prepared, grid=dates)), _split(prepared), model, 0.2, 0)[-1]
    assert not found.enough
    assert found.words.startswith("60 days: not judged (at the test dates its outcome is not known yet, and on what was known")
    assert np.isnan(found.roc_auc[0])
    assert found.as_dict()["roc_auc"][0] is None


def test_too_few_outcomes_are_said(prepared: LabelledSnapshots, model: Blend) -> None:
    none = prepared.beside[SHORTER].assign(churn=0.0)
    found = _judged(replace(prepared, beside={**prepared.beside, SHORTER: none}), model)["14 days"]
    assert not found.enough
    assert "0 accounts with the outcome" in found.note


def test_a_horizon_that_the_judged_model_did_not_learn_is_said(prepared: LabelledSnapshots, model: Blend) -> None:
    more = {**prepared.beside, 90: prepared.beside[LONGER]}
    assert "no outcome of it to learn from" in _judged(replace(prepared, beside=more), model)["90 days"].words
