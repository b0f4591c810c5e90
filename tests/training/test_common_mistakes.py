"""Common mistakes of churn models, as tests that training does not make them.

Those of the dates themselves (a label window that reaches into the predictions) are in test_origins, those of the
backtest in test_backtest, and labels of one class only in test_sufficiency.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from training.config import TrainConfig
from training.dataset.inner_folds import balanced_folds
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.target_rows import TargetRows
from training.estimators.ensemble import EnsembleSettings
from training.estimators.fitted_model import FittedModel, fit_model

# Each fits several times.
pytestmark = pytest.mark.slow

MAIN = 30
CONFIG = TrainConfig(horizon_days=MAIN, horizons=(14, 60), grace_days=0, trials=1, folds=2)
Rows = npt.NDArray[np.bool_]


@pytest.fixture(scope="module")
def through(labelled_portfolio: LabelledSnapshots) -> datetime:
    return labelled_portfolio.grid.as_ofs[7]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def model(labelled_portfolio: LabelledSnapshots, through: datetime) -> FittedModel:
    return _fit(labelled_portfolio, through)


def _fit(prepared: LabelledSnapshots, through: datetime, settings: EnsembleSettings | None = None) -> FittedModel:
    return fit_model(TargetRows(prepared, "churn", {}, MAIN), through, CONFIG, settings, resamples=10)


def _released(model: FittedModel) -> tuple[Any, ...]:
    """Everything that a bundle would hold: trees, linear models and weights, columns, calibrator, level and settings."""
    ensemble = model.ensemble
    schema = ensemble.encoding.schema | ensemble.scorer_parameters()
    return ensemble.text, schema, model.calibrator, model.rate, ensemble.settings.as_dict()


def _changed(prepared: LabelledSnapshots, features: Rows, ends_after: datetime | None = None) -> LabelledSnapshots:
    """Replace the features of these rows, and flip every outcome whose window ends after an instant (None: of the rows)."""
    frame = prepared.frame.copy()
    for name in ("usage.falling", "usage.bent", "usage.noise", "contract.arr", "contract.days_to_renewal"):
        frame.loc[features, name] = 1000 + 7 * frame.loc[features, name]

    def flipped(labels: pd.DataFrame, days: int) -> pd.DataFrame:
        rows = features if ends_after is None else (labels["as_of"] + timedelta(days=days) > ends_after).to_numpy()
        return labels.assign(churn=np.where(rows, 1 - labels["churn"], labels["churn"]))

    further = {days: flipped(labels, days) for days, labels in prepared.further_labels.items()}
    return replace(prepared, frame=frame, labels=flipped(prepared.labels, MAIN), further_labels=further)


def test_nothing_after_the_instant_affects_the_model(
    labelled_portfolio: LabelledSnapshots, through: datetime, model: FittedModel
) -> None:
    """Neither settings, nor weights, nor medians and spreads, nor the calibrator: whatever happens later, the model is
    the same, at every horizon. Features at the instant itself are known, and set the level (ADR 23)."""
    later = (labelled_portfolio.frame["as_of"] > through).to_numpy()
    other = _fit(_changed(labelled_portfolio, later, ends_after=through), through)
    assert later.any()
    assert _released(other) == _released(model)


def test_features_at_the_instant_move_the_level_only(
    labelled_portfolio: LabelledSnapshots, through: datetime, model: FittedModel
) -> None:
    today = (labelled_portfolio.frame["as_of"] == through).to_numpy()
    other = _fit(_changed(labelled_portfolio, today, ends_after=through), through)
    assert [one == two for one, two in zip(_released(other), _released(model), strict=True)] == [True, True, False, True, True]
    assert other.calibrator["parameters"]["a"] == model.calibrator["parameters"]["a"]
    assert other.calibrator["parameters"]["b"] != model.calibrator["parameters"]["b"]


def test_training_rows_affect_the_model(
    labelled_portfolio: LabelledSnapshots, through: datetime, model: FittedModel
) -> None:
    """This shows that the test above can fail."""
    newest = (labelled_portfolio.frame["as_of"] == model.dates[1]).to_numpy()
    other = _fit(_changed(labelled_portfolio, newest), through, model.ensemble.settings)
    assert all(one != two for one, two in zip(_released(other)[:4], _released(model)[:4], strict=True))


def test_no_account_calibrates_a_member_that_was_fitted_on_it(
    labelled_portfolio: LabelledSnapshots, through: datetime, model: FittedModel
) -> None:
    """The outcomes of a fold of accounts do not affect the predictions that are calibrated against them."""
    settings, held = model.ensemble.settings, model.ensemble.out_of_fold
    training = sorted(set(model.design.accounts))
    fold = dict(zip(training, balanced_folds(np.array(training, dtype=object), CONFIG.folds), strict=True))
    own = labelled_portfolio.frame["account_id"].map(fold).eq(0).to_numpy()

    def flipped(labels: pd.DataFrame) -> pd.DataFrame:
        return labels.assign(churn=np.where(own, 1 - labels["churn"], labels["churn"]))

    further = {days: flipped(labels) for days, labels in labelled_portfolio.further_labels.items()}
    changed = replace(labelled_portfolio, labels=flipped(labelled_portfolio.labels), further_labels=further)
    other = _fit(changed, through, settings).ensemble.out_of_fold
    inside = np.array([fold[account] == 0 for account in held.accounts])
    assert 0 < inside.sum() < len(inside)
    assert (other.y[inside] == 1 - held.y[inside]).all()
    assert (other.raw[inside] == held.raw[inside]).all()
    assert not np.isclose(other.raw[~inside], held.raw[~inside]).all(axis=1).any(), "the other member was fitted on them"


def test_every_training_window_ends_before_the_predictions(through: datetime, model: FittedModel) -> None:
    assert model.design.ends.max() <= through
    # Shorter horizons add newer outcomes; the model's own dates say so.
    assert model.newest_dates() == {
        days: max(date for date, end in zip(model.design.as_of, model.design.ends, strict=True) if (end - date).days == days)
        for days in (14, MAIN, 60)
    }
    assert model.newest_dates()[14] > model.newest_dates()[60]
