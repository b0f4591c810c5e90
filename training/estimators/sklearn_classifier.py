"""The method behind the champions as a scikit-learn classifier, for any table of accounts.

It fits a cross-fitted ensemble (`training.estimators.ensemble`), and calibrates it on its out-of-fold predictions.

A champion also takes its level from the newest quarter (`training.estimators.fitted_model`). This classifier accepts
any rows, so it can be used in cross-validation and compared with other classifiers. Its user must take care of the
order of the rows in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_feature_names,
    assert_all_finite,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)
from threadpoolctl import threadpool_limits

from features.definitions.feature import Direction, Feature
from features.utils.arrays import Floats
from training.dataset.design_matrix import build_design
from training.estimators.calibration import apply_calibrator, calibrate
from training.estimators.ensemble import fit_ensemble, search_ensemble
from training.estimators.gradient_boosting import TRIALS
from training.statistics.metrics import log_odds

KEYS = ("account_id", "as_of")
_HORIZON = 90
_ONE_DATE = pd.Timestamp(0, tz="UTC")


class RenewalClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Binary classifier; the second class, in sorted order, is the outcome.

    Parameters
    ----------
    trials : trials of the search for the settings of the trees.
    directions : columns with which the log-odds may only rise (1) or only fall (-1).
    random_state, threads : settings of the search and the fits; ``threads`` 0 means all, with the same result.

    Attributes
    ----------
    classes_ : the two labels, sorted.
    feature_names_in_, n_features_in_ : the columns in `fit`, without the keys.
    ensemble_ : the fitted `training.estimators.ensemble.Ensemble`.
    calibrator_ : calibrator of its log-odds (`training.estimators.calibration.calibrate`).

    Notes
    -----
    X is a DataFrame of n rows. Numbers and booleans are read as numbers, everything else as categories; a level needs
    20 accounts. NaN and None are unknown. The columns ``account_id`` and ``as_of`` (datetime, UTC) are no
    features: rows of one account stay together in every fold, and the search evaluates on the later half of the dates.
    Without them, each row is a separate account. An array is accepted too; its columns are numbers.
    """

    def __init__(
        self,
        trials: int = TRIALS,
        directions: Mapping[str, int] | None = None,
        random_state: int = 0,
        threads: int = 1,
    ) -> None:
        self.trials = trials
        self.directions = directions
        self.random_state = random_state
        self.threads = threads

    def fit(self, X: Any, y: npt.ArrayLike) -> Self:
        """Search, fit and calibrate on n rows and their labels (n,).

        Raises
        ------
        ValueError
            If there are not two classes, no rows, or a direction is not 1 or -1 or refers to an unknown column.
        """
        frame, labels = _frame(X), column_or_1d(y, warn=True)
        assert_all_finite(labels, input_name="y")
        check_consistent_length(frame, labels)
        check_classification_targets(labels)
        self.classes_ = np.unique(labels)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"{type_of_target(labels)}, of {len(self.classes_)} classes."
            )
        if len(self.classes_) < 2:
            raise ValueError("labels of one class only: two classes are expected")
        columns = _columns(X, frame)
        directions = dict(self.directions or {})
        if wrong := [name for name, sign in directions.items() if name not in columns or sign not in (-1, 1)]:
            raise ValueError(f"directions of {', '.join(map(str, wrong))}: a column name and 1 or -1 are expected")
        self.n_features_in_ = len(columns)
        self.__dict__.pop("feature_names_in_", None)
        if isinstance(X, pd.DataFrame) and all(isinstance(name, str) for name in columns):
            self.feature_names_in_ = np.array(columns, dtype=object)
        self._columns = columns
        self._features = {str(name): _feature(str(name), frame[name], directions.get(name, 0)) for name in columns}
        happened = (labels == self.classes_[1]).astype(np.float64)
        design = build_design(self._read(frame), {_HORIZON: happened}, _HORIZON, 0, self._features)
        seed = self.random_state
        # As in a training (`training.pipeline.train`): sums of linear algebra depend on the number of threads.
        with threadpool_limits(limits=1, user_api="blas"):
            settings = search_ensemble(design, self._features, "churn", self.trials, seed, self.threads)
            self.ensemble_ = fit_ensemble(design, settings, self._features, "churn")
        held = self.ensemble_.out_of_fold
        raw = held.raw @ self.ensemble_.weights
        self.calibrator_ = calibrate(raw, held.y, held.accounts, held.as_of, resamples=0, seed=seed)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return calibrated log-odds of the second class, (n,)."""
        return log_odds(self.predict_proba(X)[:, 1])

    def predict_proba(self, X: Any) -> Floats:
        """Return calibrated probabilities, (n, 2), in the order of ``classes_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If called before `fit`.
        ValueError
            If the columns differ from those in `fit`.
        """
        check_is_fitted(self)
        frame = _frame(X)
        columns = _columns(X, frame)
        if isinstance(X, pd.DataFrame):
            _check_feature_names(self, X.drop(columns=[key for key in KEYS if key in X]), reset=False)
        if len(columns) != self.n_features_in_:
            raise ValueError(
                f"X has {len(columns)} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        p = apply_calibrator(self.calibrator_, self.ensemble_.raw(self._read(frame)))
        return np.column_stack([1 - p, p])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the more likely class of each row, (n,)."""
        check_is_fitted(self)
        likelier: npt.NDArray[Any] = self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(np.int64)]
        return likelier

    def _read(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return keys and features in the form of snapshots."""
        read: dict[str, Any] = {
            "account_id": frame["account_id"] if "account_id" in frame else np.arange(len(frame)).astype(str),
            "as_of": frame["as_of"] if "as_of" in frame else pd.Series(_ONE_DATE, index=frame.index),
        }
        for (name, feature), column in zip(self._features.items(), self._columns, strict=True):
            if feature.kind == "number":
                read[name] = pd.to_numeric(frame[column], errors="coerce").astype(np.float64)
            else:
                read[name] = frame[column].astype(object).where(frame[column].notna(), None).map(_text)
        return pd.DataFrame(read, index=frame.index).reset_index(drop=True)

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


def _frame(given: Any) -> pd.DataFrame:
    if isinstance(given, pd.DataFrame):
        if not len(given):
            raise ValueError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required.")
        return given
    return pd.DataFrame(check_array(given, dtype="numeric", ensure_all_finite="allow-nan"))


def _columns(given: Any, frame: pd.DataFrame) -> list[Any]:
    return [name for name in frame.columns if name not in KEYS] if isinstance(given, pd.DataFrame) else list(frame)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _feature(name: str, column: pd.Series[Any], sign: int) -> Feature:
    """Return the catalogue entry that the encoding and the search need for a column."""
    kind: Literal["number", "category"] = "number" if pd.api.types.is_numeric_dtype(column) else "category"
    direction: Direction = {1: "raises_risk", -1: "lowers_risk", 0: None}[sign]
    return Feature(name, "table", "commercial", name, kind, "", direction, None, name, monotone=sign != 0)
