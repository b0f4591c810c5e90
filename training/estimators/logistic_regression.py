"""Logistic regression: the contender that a boosted model must not lose to.

On small tables a plain linear model often ties the trees (docs/explanation/method.md), and its mistakes are
easier to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from features.definitions.feature import Feature
from features.utils.arrays import Bools, Floats
from models.scorer.encoding import HORIZON_COLUMNS
from models.targets import Target
from training.dataset.design_matrix import Design
from training.dataset.encoding import Encoding, monotone_constraints
from training.statistics.newton_logistic import row_log_loss

# Inverse strengths of the ridge, strongest first: ties go to the simpler model.
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
# The renewal is no matter of taste: what tells the horizons apart is shrunk a ninth as much as the rest.
HORIZON_SCALE = 3.0


@dataclass(frozen=True)
class LinearModel:
    """A fitted linear contender.

    Parameters
    ----------
    encoding : how it reads a frame.
    pipeline : preparation and regression, on an encoded matrix.
    strength : the ridge that was chosen among those ``tried`` (inverse strength -> mean log loss on held-out later
        rows).
    average : the weighted mean of each prepared column over the training rows of the main horizon: what contributions
        are measured from.
    held : the log-odds of the rows that the search held out, by fold in the order of `Design.folds`, each from a fit
        that has not seen their accounts.
    """

    encoding: Encoding
    pipeline: Pipeline
    strength: float
    losses: dict[float, float]
    average: Floats
    held_out_log_odds: tuple[Floats, ...] = ()

    def raw(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """Log-odds of n snapshots at a horizon (the main one if None), shape (n,), not calibrated."""
        return self.raw_of(self.encoding.matrix(frame, days))

    def raw_of(self, matrix: Floats) -> Floats:
        """The same from an encoded matrix (n, columns)."""
        return np.asarray(self.pipeline.decision_function(matrix), dtype=np.float64)

    def scorer_parameters(self, share: float = 1.0) -> dict[str, Any]:
        """The fitted model, times ``share``, as the scorer reads it (`models.scorer.scorer`, "start"): slopes on signed
        logarithms, per column.

        Every centre is the weighted mean over the training rows of the main horizon, those of categories as well: there
        each feature's contribution is zero on average, and the intercept is what the average row has.
        """
        prepared: ColumnTransformer = self.pipeline[0]
        regression: LogisticRegression = self.pipeline[-1]
        slopes = share * regression.coef_[0]
        intercept = share * float(regression.intercept_[0]) + float(slopes @ self.average)
        numbers: dict[str, list[float]] = {}
        levels: dict[str, list[Any]] = {}
        names = [name for name in self.encoding.columns if name not in self.encoding.levels]
        _, imputer, scaler, _ = (step for _, step in prepared.named_transformers_["numbers"].steps)
        # Back from prepared columns (centered, of unit spread, some widened) to signed logarithms and marks.
        widened = np.ones(len(scaler.scale_))
        widened[: len(names)] = _looseness(names)
        centres = scaler.mean_ + self.average[: len(widened)] / widened * scaler.scale_
        marked = _marks(prepared)
        for place, name in enumerate(names):
            slope = float(slopes[place] * widened[place] / scaler.scale_[place])
            mark = marked.get(place)
            missing = 0.0 if mark is None else float(slopes[mark] / scaler.scale_[mark])
            absent = 0.0 if mark is None else float(centres[mark])
            numbers[name] = [slope, float(centres[place]), float(imputer.statistics_[place]), missing, absent]
        for name, where in prepared.output_indices_.items():
            if name in self.encoding.levels:
                own = slopes[where]
                levels[name] = [own.tolist(), float(own @ self.average[where])]
        return {"intercept": intercept, "numbers": numbers, "levels": levels}


def fit_linear(
    design: Design,
    features: Mapping[str, Feature],
    target: Target | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> LinearModel:
    """Choose the ridge on later rows of other accounts, then fit on all rows.

    Parameters
    ----------
    design : the training rows.
    features : the catalogue.
    target : what is predicted, to hold the slopes to the directions that are beyond dispute for it; None: to none.
    progress : called with (ridges tried, ridges to try, best log loss so far).
    """
    thin = design.search_rows()
    sides = [(_side(thin, fold.fit), thin.matrix[fold.held_out], thin.y[fold.held_out]) for fold in thin.folds()]
    prepared = [(_preparation(thin.encoding).fit(fit.matrix), fit, held, happened) for fit, held, happened in sides]
    ready = [(p.transform(fit.matrix), fit, p.transform(held), happened) for p, fit, held, happened in prepared]
    tried: dict[float, float] = {}
    outside: dict[float, tuple[Floats, ...]] = {}
    for i, strength in enumerate(STRENGTHS):
        outside[strength] = tuple(
            np.asarray(_quick(strength).fit(x, fit.y, fit.weight).decision_function(later), dtype=np.float64)
            for x, fit, later, _ in ready
        )
        losses = [row_log_loss(raw, happened) for raw, (*_, happened) in zip(outside[strength], ready, strict=True)]
        tried[strength] = float(np.concatenate(losses).mean()) if losses else 0.0
        if progress:
            progress(i + 1, len(STRENGTHS), min(tried.values()))
    best = min(STRENGTHS, key=lambda strength: tried[strength])
    pipeline, average = _fitted(design, best, features, target)
    return LinearModel(design.encoding, pipeline, best, tried, average, outside[best])


def refit_linear(
    chosen: LinearModel, design: Design, features: Mapping[str, Feature], target: Target | None = None
) -> LinearModel:
    """The same ridge on other (more) training rows; nothing is searched. Parameters are those of `fit_linear`."""
    pipeline, average = _fitted(design, chosen.strength, features, target)
    return LinearModel(design.encoding, pipeline, chosen.strength, chosen.losses, average)


class _Side(NamedTuple):
    matrix: Floats
    y: Floats
    weight: Floats


def _side(design: Design, rows: Bools) -> _Side:
    return _Side(design.matrix[rows], design.y[rows], design.weight[rows])


def _fitted(
    design: Design, strength: float, features: Mapping[str, Feature], target: Target | None
) -> tuple[Pipeline, Floats]:
    """Preparation and regression, and the weighted mean of what is prepared over the rows of the main horizon.

    A column whose slope contradicts the sign that it is held to only stands in for others that go along with it: it is
    taken out, and the rest fitted again, until none is left. (Lawson and Hanson 1974, chapter 23, go on to let them
    back in; that would gain little under a ridge.)
    """
    reading = design.encoding
    held_to = [0] * len(reading.columns) if target is None else monotone_constraints(reading.columns, features, target)
    signs = np.array(held_to)
    numbers = np.array([i for i, name in enumerate(reading.columns) if name not in reading.levels])
    out = np.zeros(len(signs), dtype=bool)
    prepared = _preparation(reading)
    # A copy: what a column brings is put to zero in it, which has no slope.
    ready = np.array(prepared.fit_transform(design.matrix))
    average = np.average(ready[design.main], axis=0, weights=design.weight[design.main])
    marks = _marks(prepared)
    while True:
        regression = _regression(strength).fit(ready, design.y, design.weight)
        slopes = np.zeros(len(signs))
        slopes[numbers] = regression.coef_[0][: len(numbers)]
        wrong = (slopes * signs < 0) & ~out
        if not wrong.any():
            return make_pipeline(prepared, regression), average
        out |= wrong
        places = np.flatnonzero(wrong[numbers])
        ready[:, [*places, *(marks[place] for place in places.tolist() if place in marks)]] = 0.0


def _marks(prepared: ColumnTransformer) -> dict[int, int]:
    """Where the mark of each number that was unknown stands among what is prepared, by the number's place."""
    imputer = prepared.named_transformers_["numbers"][1]
    return {int(column): imputer.n_features_in_ + i for i, column in enumerate(imputer.indicator_.features_)}


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, solver="newton-cholesky", max_iter=100)


def _quick(strength: float) -> LogisticRegression:
    """Near enough to choose by, several times sooner."""
    return LogisticRegression(C=strength, solver="lbfgs", tol=1e-3, max_iter=200)


def _preparation(reading: Encoding) -> ColumnTransformer:
    """Numbers: heavy tails drawn in, unknowns at the median beside a mark that they were, unit spread. Categories: one
    column per level; rare and unknown ones have none."""
    places = [i for i, name in enumerate(reading.columns) if name not in reading.levels]
    marked = SimpleImputer(strategy=_median, add_indicator=True, keep_empty_features=True)
    loose = FunctionTransformer(_loosened, kw_args={"by": _looseness([reading.columns[i] for i in places])})
    steps = [("numbers", make_pipeline(FunctionTransformer(signed_log), marked, StandardScaler(), loose), places)]
    for i, name in enumerate(reading.columns):
        if name in reading.levels:
            codes = [np.arange(len(reading.levels[name]), dtype=np.float64)]
            steps.append((name, OneHotEncoder(categories=codes, handle_unknown="ignore", sparse_output=False), [i]))
    return ColumnTransformer(steps)


def _median(known: Floats) -> float:
    """What "median" gives; that way sorts a masked table as a whole, which was a quarter of a training's time."""
    return float(np.median(known)) if len(known) else 0.0


def _looseness(names: Sequence[str]) -> Floats:
    """What each number is multiplied by once it has unit spread: the ridge holds a wider one less."""
    return np.array([HORIZON_SCALE if name in HORIZON_COLUMNS else 1.0 for name in names])


def _loosened(values: Floats, by: Floats) -> Floats:
    widened = values.copy()
    widened[:, : len(by)] *= by
    return widened


def signed_log(values: Floats) -> Floats:
    """``sign(x) log(1 + |x|)``: nearly the value itself for shares, the logarithm for money and counts."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)), dtype=np.float64)
