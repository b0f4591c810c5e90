"""Any classifier becomes an ensemble that our scorer serves: the same probabilities, without unpickling."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from features.errors import BadRequest
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.target_rows import TargetRows
from training.estimators.estimator_ensemble import EstimatorEnsemble, EstimatorRecipe, fit_estimators
from training.estimators.fitted_model import FittedModel, fit_model

CONFIG = TrainConfig(horizon_days=30, horizons=(14, 60), grace_days=0, trials=1, folds=2, resamples=50)
NUMBERS = ["usage.falling", "usage.bent", "usage.noise", "contract.arr"]
ESTIMATORS: dict[str, Any] = {
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=12, num_leaves=5, n_jobs=1, verbosity=-1),
    "histograms": HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=6),
    "catboost": CatBoostClassifier(iterations=12, depth=3, thread_count=1),
    "linear": make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=500)),
    "by_name": make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            (make_pipeline(SimpleImputer(strategy="constant", fill_value=-1), OneHotEncoder(handle_unknown="ignore")), ["contract.plan"]),
        ),
        LogisticRegression(max_iter=500),
    ),
    "forest": make_pipeline(SimpleImputer(), RandomForestClassifier(8, max_depth=5)),
}  # fmt: skip
TREES = ("lightgbm", "histograms", "catboost")


class SecondClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that no library converts."""

    def fit(self, X: Any, y: Any) -> SecondClassifier:
        self.classes_ = np.unique(y)
        self.rate_ = float(np.mean(y))
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.tile([1 - self.rate_, self.rate_], (len(X), 1))


@pytest.fixture(scope="module")
def rows(labelled_portfolio: LabelledSnapshots) -> TargetRows:
    return TargetRows(labelled_portfolio, "churn", {}, 30)


@pytest.fixture(scope="module")
def fitted(rows: TargetRows) -> Callable[[str], FittedModel]:
    models: dict[str, FittedModel] = {}

    def fit(name: str) -> FittedModel:
        if name not in models:
            through = rows.prepared.signals.data_through
            models[name] = fit_model(rows, through, CONFIG, resamples=40, recipe=EstimatorRecipe(name, ESTIMATORS[name]))
        return models[name]

    return fit


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_scorer_gives_the_probabilities_of_the_classifier(
    rows: TargetRows, fitted: Callable[[str], FittedModel], name: str
) -> None:
    model, frame = fitted(name), rows.prepared.latest
    ensemble: Any = model.ensemble
    assert isinstance(ensemble, EstimatorEnsemble)
    scorer = model.scorer()
    assert (scorer.members, scorer.horizons) == (2, ())
    assert bool(ensemble.onnx) == (name not in TREES)
    matrix = ensemble.encoding.matrix(frame)
    raw = scorer.member_raw(scorer.encode(frame).matrix)
    for own, member in zip(raw, ensemble.members, strict=True):
        p = member.estimator.predict_proba(pd.DataFrame(matrix, columns=list(ensemble.encoding.columns)))[:, 1]
        np.testing.assert_allclose(1 / (1 + np.exp(-own)), p, atol=1e-5)
    # After calibration too.
    predicted = scorer.predict(frame)
    np.testing.assert_allclose(predicted.probability, model.probability(frame), atol=1e-5)
    assert (predicted.low < predicted.probability).all()
    assert (predicted.probability < predicted.high).all()
    assert len(np.unique(predicted.probability)) > 50


@pytest.mark.parametrize("name", ESTIMATORS)
def test_contributions_add_up_to_the_log_odds(
    rows: TargetRows, fitted: Callable[[str], FittedModel], name: str
) -> None:
    scorer, frame = fitted(name).scorer(), rows.prepared.latest.head(20)
    matrix = scorer.encode(frame).matrix
    parts = scorer.member_contributions(matrix)
    np.testing.assert_allclose(parts.sum(axis=2), scorer.member_raw(matrix), atol=1e-6)
    # The feature that decides has the largest part in the predictions, and the result for a row is its own.
    falling = scorer.features.index("usage.falling")
    assert np.abs(parts[:, :, :-1]).mean(axis=(0, 1)).argmax() == falling
    alone = scorer.member_contributions(scorer.encode(frame.iloc[[7]]).matrix)
    np.testing.assert_array_equal(alone[:, 0], parts[:, 7])


def test_contributions_of_a_linear_model_are_its_terms(rows: TargetRows, fitted: Callable[[str], FittedModel]) -> None:
    """Sampling is exact for a sum of terms: each contributes its distance from the typical rows."""
    model = fitted("linear")
    scorer, ensemble = model.scorer(), model.ensemble
    matrix = scorer.encode(rows.prepared.latest.head(5)).matrix
    typical = np.array([[np.nan if v is None else v for v in row] for row in ensemble.scorer_parameters()["typical"]])
    pipeline: Any = ensemble.members[0]
    imputer, scaler, line = (step for _, step in pipeline.estimator.steps)
    place = list(ensemble.encoding.columns).index("usage.falling")

    def term(values: Any) -> Any:
        filled = np.where(np.isnan(values), imputer.statistics_[place], values)
        return line.coef_[0, place] * (filled - scaler.mean_[place]) / scaler.scale_[place]

    expected = term(matrix[:, place]) - term(typical[:, place]).mean()
    np.testing.assert_allclose(scorer.member_contributions(matrix)[0, :, place], expected, atol=1e-4)


def test_nothing_after_the_instant_is_used_and_fits_repeat(rows: TargetRows) -> None:
    through = rows.prepared.signals.data_through - timedelta(days=84)
    recipe = EstimatorRecipe("forest", ESTIMATORS["forest"])
    one, two = (fit_model(rows, through, CONFIG, resamples=0, recipe=recipe) for _ in range(2))
    latest = rows.prepared.latest
    np.testing.assert_array_equal(one.ensemble.member_raw(latest), two.ensemble.member_raw(latest))
    assert one.design.ends.max() <= through
    assert ESTIMATORS["forest"].steps[-1][1].random_state is None


def test_a_column_that_is_unknown_in_all_rows_of_a_member_is_kept(rows: TargetRows) -> None:
    design = rows.main_horizon_only().training_design(rows.prepared.signals.data_through)
    place = design.encoding.columns.index("usage.noise")
    design.matrix[:, place] = np.nan
    ensemble = fit_estimators(design, EstimatorRecipe("own", ESTIMATORS["linear"]), 2, 0, lambda _: None)
    ensemble.require_export()
    assert len(ensemble.onnx) == 2


def _refusal(build: Callable[[], Any]) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        build()
    assert refused.value.found
    assert refused.value.expected
    assert refused.value.cure
    return refused.value


@pytest.mark.parametrize(
    ("estimator", "found"),
    [
        (SecondClassifier(), "cannot be converted to ONNX"),
        (HistGradientBoostingClassifier(max_iter=2, categorical_features=[4]), "sets of categories"),
        (lightgbm.LGBMClassifier(n_estimators=2, boosting_type="rf", bagging_freq=1, bagging_fraction=0.5, verbosity=-1), "does not add up"),
        (lightgbm.LGBMClassifier(n_estimators=2, linear_tree=True, verbosity=-1), "linear trees"),
        (CatBoostClassifier(iterations=2, grow_policy="Depthwise"), "not symmetric"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused(rows: TargetRows, estimator: Any, found: str) -> None:
    design = rows.main_horizon_only().training_design(rows.prepared.signals.data_through)
    ensemble = fit_estimators(design, EstimatorRecipe("own", estimator), 2, 0, lambda _: None)
    assert found in _refusal(ensemble.require_export).found


def test_what_is_no_classifier_is_refused(rows: TargetRows) -> None:
    assert "without predict_proba" in _refusal(lambda: EstimatorRecipe("own", LinearSVC())).found
    assert "the class LogisticRegression" in _refusal(lambda: EstimatorRecipe("own", LogisticRegression)).found
    with pytest.raises(BadRequest, match="not a name"):
        EstimatorRecipe("own model", LogisticRegression())
    design = rows.main_horizon_only().training_design(rows.prepared.signals.data_through)
    refused = _refusal(lambda: EstimatorRecipe("own", LogisticRegression()).fit(design, 0))
    assert "SimpleImputer" in refused.cure
    assert "NaN" in str(refused.__cause__)


def test_an_export_that_differs_is_refused(rows: TargetRows, fitted: Callable[[str], FittedModel]) -> None:
    ensemble: Any = fitted("linear").ensemble
    changed = clone(ensemble.members[0].estimator)
    changed.steps = [*ensemble.members[0].estimator.steps]
    line = clone(changed.steps[-1][1])
    line.__dict__ |= ensemble.members[0].estimator.steps[-1][1].__dict__ | {"intercept_": np.array([0.5])}
    changed.steps[-1] = ("logisticregression", line)
    other = EstimatorRecipe("own", ESTIMATORS["linear"])
    assert other.as_dict()["estimator"] == "Pipeline"
    raw = type(ensemble.members[0])(changed, ensemble.members[0].columns).raw_of(ensemble.checked)[:, 0]
    with pytest.raises(BadRequest, match="differ by up to"):
        ensemble._require_same(raw, ensemble.members[0], "the ONNX format")
