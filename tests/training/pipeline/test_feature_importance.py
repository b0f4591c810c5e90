"""The importance of features that a bundle stores, from which a model with unknown inputs is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from models.scorer.base import MINIMUM_RESAMPLES
from models.scorer.scorer import Scorer
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.target_rows import TargetRows
from training.estimators.ensemble import LINEAR, single_weights
from training.estimators.fitted_model import FittedModel, fit_model
from training.pipeline.candidate import explain_latest, feature_importance

CONFIG = TrainConfig(horizon_days=30, horizons=(), trials=1, folds=2)


@pytest.fixture(scope="module")
def model(labelled_portfolio: LabelledSnapshots) -> FittedModel:
    rows = TargetRows(labelled_portfolio, "churn", {}, CONFIG.horizon_days)
    return fit_model(rows, labelled_portfolio.signals.data_through, CONFIG, resamples=MINIMUM_RESAMPLES)


@pytest.mark.parametrize("only_linear", [False, True])
def test_the_gain_of_a_bundle_is_the_share_in_the_contributions_of_all_models(
    labelled_portfolio: LabelledSnapshots, model: FittedModel, only_linear: bool
) -> None:
    if only_linear:
        model = dataclasses.replace(model, ensemble=dataclasses.replace(model.ensemble, weights=single_weights(LINEAR)))
    explainer = explain_latest(model, labelled_portfolio, "churn")
    shares = feature_importance(explainer)
    assert sum(shares.values()) == pytest.approx(1.0)
    moved = np.abs(explainer.contribute(np.arange(len(explainer.frame))).mean(axis=0)[:, :-1]).mean(axis=0)
    assert list(shares.values()) == pytest.approx(moved / moved.sum())
    ensemble = model.ensemble
    schema = ensemble.encoding.schema | ensemble.scorer_parameters() | {"importance": shares}
    scorer = Scorer.from_texts(ensemble.text, *json.loads(json.dumps([schema, model.calibrator])))
    assert scorer.gain({}) == pytest.approx(shares)
    slopes = [
        name
        for name, (slope, *_) in ensemble.scorer_parameters()["members"][0]["start"]["numbers"].items()
        if slope and name in shares
    ]
    if only_linear:
        assert any(scorer.gain({})[name] > 0 for name in slopes), "features that only the linear model uses count"
