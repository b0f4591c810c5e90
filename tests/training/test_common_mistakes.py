"""Common mistakes of churn models, as tests that training does not make them.

Those of the split itself (a purge passed over where it would leave few rows, test dates before training dates) are in
test_split; labels of one class only in test_sufficiency.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from training.dataset.time_split import TimeSplit, split_dates
from training.evaluation.benchmark import Benchmark, run_benchmark

from features.definitions.feature import Feature
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.target_rows import TargetRows
from training.evaluation.baselines import BLEND, HEALTH_SCORE

# Each fits several times.
pytestmark = pytest.mark.slow

HORIZON = 30
CONFIG = TrainConfig(horizon_days=HORIZON, horizons=(), trials=2, resamples=50)
Portfolio = tuple[pd.DataFrame, npt.NDArray[np.float64]]


@pytest.fixture
def prepared(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> LabelledSnapshots:
    frame, happened = small_portfolio
    nothing: Any = None
    labels = pd.DataFrame({"churn": happened})
    return LabelledSnapshots(nothing, nothing, frame, labels, 0, cast("Any", small_catalogue))


@pytest.fixture
def parts(prepared: LabelledSnapshots) -> TimeSplit:
    dates = [cast("datetime", d) for d in prepared.frame["as_of"].dt.to_pydatetime()]
    return split_dates(dates, HORIZON, 0, max(dates) + timedelta(days=HORIZON))


def _held(prepared: LabelledSnapshots, parts: TimeSplit) -> Benchmark:
    health = {HEALTH_SCORE: 50 - 10 * prepared.frame["usage.falling"].to_numpy()}
    return run_benchmark(TargetRows(prepared, "churn", health, HORIZON), parts, CONFIG, lambda _share, _what: None)


def _changed(prepared: LabelledSnapshots, rows: npt.NDArray[np.bool_]) -> LabelledSnapshots:
    """Flip every outcome and replace the features in these rows."""
    frame, labels = prepared.frame.copy(), prepared.labels.copy()
    labels.loc[rows, "churn"] = 1 - labels.loc[rows, "churn"]
    for name in ("usage.falling", "usage.bent", "usage.noise", "contract.arr"):
        frame.loc[rows, name] = 1000 + 7 * frame.loc[rows, name]
    return replace(prepared, frame=frame, labels=labels)


def test_the_test_period_does_not_affect_the_model(prepared: LabelledSnapshots, parts: TimeSplit) -> None:
    """Neither settings, nor shares, nor medians and spreads, nor slopes: whatever the test's rows say, the same model
    goes into it."""
    model = _held(prepared, parts).model
    test = parts.mask("test", prepared.frame["as_of"])
    other = _held(_changed(prepared, test), parts).model
    assert test.any()
    assert other.trees.text == model.trees.text
    assert (other.linear.strength, other.share) == (model.linear.strength, model.share)
    assert other.linear.scorer_parameters() == model.linear.scorer_parameters()


def test_the_calibration_period_does_not_affect_the_fit(prepared: LabelledSnapshots, parts: TimeSplit) -> None:
    model = _held(prepared, parts).model
    other = _held(_changed(prepared, parts.mask("calibration", prepared.frame["as_of"])), parts).model
    assert (other.trees.text, other.linear.scorer_parameters()) == (model.trees.text, model.linear.scorer_parameters())


def test_training_rows_affect_the_model(prepared: LabelledSnapshots, parts: TimeSplit) -> None:
    """This shows that the tests above can fail."""
    model = _held(prepared, parts).model
    other = _held(_changed(prepared, parts.mask("train", prepared.frame["as_of"])), parts).model
    assert other.trees.text != model.trees.text
    assert other.linear.scorer_parameters() != model.linear.scorer_parameters()


def test_models_are_evaluated_on_dates_after_their_training_data(prepared: LabelledSnapshots, parts: TimeSplit) -> None:
    model = _held(prepared, parts)
    learnt = max(parts.calibration) + timedelta(days=HORIZON)
    assert model.tested.as_of.min() >= learnt
    assert learnt >= max(parts.train) + 2 * timedelta(days=HORIZON)
    assert set(model.tested.p) >= {BLEND, HEALTH_SCORE}
