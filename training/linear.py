"""Logistic regression: the contender that a boosted model must not lose to.

On small tables a plain linear model often ties the trees (method.md), and its mistakes are easier to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from features.errors import InsufficientData
from features.feature import Feature
from training.folds import later_folds, thinned
from training.logistic import log_loss
from training.matrix import Encoding, encoding
from training.steps import Bools, Floats

# Inverse strengths of the ridge, strongest first: ties go to the simpler model.
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


@dataclass(frozen=True)
class Linear:
    """A fitted linear contender: how it reads a frame, the pipeline, and the ridge that was chosen among those tried
    (inverse strength -> mean log loss on the held-out later rows)."""

    encoding: Encoding
    pipeline: Pipeline
    strength: float
    tried: dict[float, float]

    def raw(self, frame: pd.DataFrame) -> Floats:
        """Log-odds of n snapshots, shape (n,), not calibrated."""
        return np.asarray(self.pipeline.decision_function(self.encoding.matrix(frame)), dtype=np.float64)


def fit_linear(
    frame: pd.DataFrame,
    y: npt.ArrayLike,
    features: Mapping[str, Feature],
    weight: float,
    progress: Callable[[int, int, float], None] | None = None,
) -> Linear:
    """Choose the ridge on later rows of other accounts, then fit on all rows.

    Parameters
    ----------
    frame : training snapshots: account_id, as_of and the features.
    y : their labels, 0 or 1, shape (n,).
    features : the catalogue.
    weight : of a row, 0 to 1 (see `split.row_weight`).
    progress : called with (ridges tried, ridges to try, best log loss so far).

    Raises
    ------
    InsufficientData
        One class only.
    """
    happened = np.asarray(y, dtype=np.float64)
    if not 0 < happened.sum() < len(happened):
        raise InsufficientData(["both outcomes among the training dates: only one of them occurs there"])
    reading = encoding(frame, features)
    matrix = reading.matrix(frame)
    thin = thinned(frame["as_of"])
    every = float(len(thin) / thin.sum())
    folds = later_folds(frame["account_id"][thin].to_numpy(dtype=object), frame["as_of"][thin], happened[thin])
    prepared = [_prepared(reading, matrix[thin], happened[thin], fold.fit, fold.held) for fold in folds]
    tried: dict[float, float] = {}
    for i, strength in enumerate(STRENGTHS):
        losses = [
            log_loss(_regression(strength, min(1.0, weight * every)).fit(x, t).decision_function(later), happened_later)
            for x, t, later, happened_later in prepared
        ]
        tried[strength] = float(np.concatenate(losses).mean()) if losses else 0.0
        if progress:
            progress(i + 1, len(STRENGTHS), min(tried.values()))
    best = min(STRENGTHS, key=lambda strength: tried[strength])
    pipeline = make_pipeline(_preparation(reading), _regression(best, weight)).fit(matrix, happened)
    return Linear(reading, pipeline, best, tried)


def _regression(strength: float, weight: float) -> LogisticRegression:
    # Rows of equal weight: it scales the data's side of the penalised likelihood, and so does C.
    return LogisticRegression(C=strength * weight, solver="newton-cholesky", max_iter=100)


def _prepared(
    reading: Encoding, matrix: Floats, y: Floats, fit: Bools, held: Bools
) -> tuple[Floats, Floats, Floats, Floats]:
    """A fold made ready once for all strengths: the fitted side and its labels, the held side and its labels."""
    preparation = _preparation(reading)
    return preparation.fit_transform(matrix[fit]), y[fit], preparation.transform(matrix[held]), y[held]


def _preparation(reading: Encoding) -> ColumnTransformer:
    """Numbers: heavy tails drawn in, unknowns at the median beside a mark that they were, unit spread. Categories: one
    column per level; rare and unknown ones have none."""
    numbers = [i for i, name in enumerate(reading.features) if name not in reading.levels]
    marked = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    steps = [("numbers", make_pipeline(FunctionTransformer(signed_log), marked, StandardScaler()), numbers)]
    for i, name in enumerate(reading.features):
        if name in reading.levels:
            codes = [np.arange(len(reading.levels[name]), dtype=np.float64)]
            steps.append((name, OneHotEncoder(categories=codes, handle_unknown="ignore", sparse_output=False), [i]))
    return ColumnTransformer(steps)


def signed_log(values: Floats) -> Floats:
    """``sign(x) log(1 + |x|)``: nearly the value itself for shares, the logarithm for money and counts."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)), dtype=np.float64)
