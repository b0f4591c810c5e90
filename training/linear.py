"""Logistic regression: the contender that a boosted model must not lose to.

On small tables a plain linear model often ties the trees (method.md), and its mistakes are easier to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
from models.targets import Target
from training.folds import later_folds, thinned
from training.logistic import log_loss
from training.matrix import Encoding, encoding, monotone
from training.steps import Bools, Floats

# Inverse strengths of the ridge, strongest first: ties go to the simpler model.
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


@dataclass(frozen=True)
class Linear:
    """A fitted linear contender: how it reads a frame, the pipeline, and the ridge that was chosen among those tried
    (inverse strength -> mean log loss on the held-out later rows). ``held_to`` has per feature the sign that its slope
    must not contradict, 0 for none."""

    encoding: Encoding
    pipeline: Pipeline
    strength: float
    tried: dict[float, float]
    held_to: tuple[int, ...] = ()

    def raw(self, frame: pd.DataFrame) -> Floats:
        """Log-odds of n snapshots, shape (n,), not calibrated."""
        return self.raw_of(self.encoding.matrix(frame))

    def raw_of(self, matrix: Floats) -> Floats:
        """The same from an encoded matrix (n, features)."""
        return np.asarray(self.pipeline.decision_function(matrix), dtype=np.float64)

    def plain(self) -> dict[str, Any]:
        """The fitted model as the scorer reads it (`models.scorer`, "start"): slopes on signed logarithms, per
        feature."""
        prepared: ColumnTransformer = self.pipeline[0]
        regression: LogisticRegression = self.pipeline[-1]
        slopes = regression.coef_[0]
        intercept = float(regression.intercept_[0])
        numbers: dict[str, list[float]] = {}
        levels: dict[str, list[Any]] = {}
        names = [name for name in self.encoding.features if name not in self.encoding.levels]
        _, imputer, scaler = (step for _, step in prepared.named_transformers_["numbers"].steps)
        marked = {int(column): len(names) + i for i, column in enumerate(imputer.indicator_.features_)}
        for place, name in enumerate(names):
            slope = float(slopes[place] / scaler.scale_[place])
            mark = marked.get(place)
            missing = 0.0 if mark is None else float(slopes[mark] / scaler.scale_[mark])
            absent = 0.0 if mark is None else float(scaler.mean_[mark])
            numbers[name] = [slope, float(scaler.mean_[place]), float(imputer.statistics_[place]), missing, absent]
        for name, where in prepared.output_indices_.items():
            if name in self.encoding.levels:
                own = slopes[where]
                levels[name] = [own.tolist(), 0.0]
        return {"intercept": intercept, "numbers": numbers, "levels": levels}


def fit_linear(
    frame: pd.DataFrame,
    y: npt.ArrayLike,
    features: Mapping[str, Feature],
    weight: float,
    progress: Callable[[int, int, float], None] | None = None,
    target: Target | None = None,
) -> Linear:
    """Choose the ridge on later rows of other accounts, then fit on all rows.

    Parameters
    ----------
    frame : training snapshots: account_id, as_of and the features.
    y : their labels, 0 or 1, shape (n,).
    features : the catalogue.
    weight : of a row, 0 to 1 (see `split.row_weight`).
    progress : called with (ridges tried, ridges to try, best log loss so far).
    target : what is predicted, to hold the slopes to the directions that are beyond dispute for it; None: to none.

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
    held_to = _directions(reading, features, target)
    return Linear(reading, fitted(reading, matrix, happened, best, weight, held_to), best, tried, held_to)


def refit_linear(
    chosen: Linear,
    frame: pd.DataFrame,
    y: npt.ArrayLike,
    features: Mapping[str, Feature],
    weight: float,
    target: Target | None = None,
) -> Linear:
    """The same ridge on other (more) training rows; nothing is searched. Parameters are those of `fit_linear`."""
    reading = encoding(frame, features)
    held_to = _directions(reading, features, target)
    happened = np.asarray(y, dtype=np.float64)
    pipeline = fitted(reading, reading.matrix(frame), happened, chosen.strength, weight, held_to)
    return Linear(reading, pipeline, chosen.strength, chosen.tried, held_to)


def fitted(
    reading: Encoding, matrix: Floats, y: Floats, strength: float, weight: float, held_to: tuple[int, ...] = ()
) -> Pipeline:
    """Preparation and regression fitted on an encoded matrix (n, features).

    A feature whose slope contradicts the sign that it is held to only stands in for others that go along with it: it is
    taken out, and the rest fitted again, until none is left. (Lawson and Hanson 1974, chapter 23, go on to let them
    back in; that would gain little under a ridge.)
    """
    signs = np.array(held_to or [0] * len(reading.features))
    numbers = np.array([i for i, name in enumerate(reading.features) if name not in reading.levels])
    out = np.zeros(len(signs), dtype=bool)
    while True:
        # An unknown throughout is filled with a constant, and a constant has no slope.
        seen = np.where(out, np.nan, matrix)
        pipeline = make_pipeline(_preparation(reading), _regression(strength, weight)).fit(seen, y)
        slopes = np.zeros(len(signs))
        slopes[numbers] = pipeline[-1].coef_[0][: len(numbers)]
        wrong = (slopes * signs < 0) & ~out
        if not wrong.any():
            return pipeline
        out |= wrong


def _directions(reading: Encoding, features: Mapping[str, Feature], target: Target | None) -> tuple[int, ...]:
    return () if target is None else tuple(monotone(reading.features, features, target))


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
