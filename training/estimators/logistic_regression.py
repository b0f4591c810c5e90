"""Logistic regression with a ridge penalty, one of the models of the ensemble.

On small tables a linear model is often as good as trees (docs/explanation/method.md), and its mistakes are easier to
see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from features.definitions.feature import Feature
from features.utils.arrays import Bools, Floats, Ints
from models.targets import Target
from training.dataset.design_matrix import Design
from training.dataset.encoding import Encoding, monotone_constraints
from training.estimators.linear_columns import LinearColumns
from training.statistics.newton_logistic import row_log_loss
from training.statistics.ridge_logistic import RidgeLogistic

# Inverse strengths of the ridge, strongest first, so that ties go to the simpler model.
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


@dataclass(frozen=True)
class RidgeSettings:
    """A ridge.

    Parameters
    ----------
    strength : its inverse strength.
    losses : mean log loss on held-out later rows, by inverse strength that was tried.
    """

    strength: float
    losses: Mapping[float, float]


@dataclass(frozen=True)
class LinearModel:
    """A fitted logistic regression.

    Parameters
    ----------
    encoding : encoding of the snapshots.
    columns : the columns, from an encoded matrix.
    slopes, intercept : of the columns.
    settings : the chosen ridge.
    average : weighted mean of each column over the training rows of the main horizon, the reference of the
        contributions.
    """

    encoding: Encoding
    columns: LinearColumns
    slopes: Floats
    intercept: float
    settings: RidgeSettings
    average: Floats

    def raw(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """Return uncalibrated log-odds.

        Parameters
        ----------
        frame : n snapshots with the columns of the features.
        days : the horizon; None for the main one.

        Returns
        -------
        array of shape (n,)
            The log-odds.
        """
        return self.raw_of(self.encoding.matrix(frame, days))

    def raw_of(self, matrix: Floats) -> Floats:
        """Return the log-odds of an encoded matrix (n, columns)."""
        return np.asarray(self.columns.transform(matrix) @ self.slopes + self.intercept, dtype=np.float64)

    def scorer_parameters(self, share: float = 1.0) -> dict[str, Any]:
        """Return the model times ``share`` in the form that the scorer reads (`models.scorer.scorer`, "start").

        It has slopes on signed logarithms, per column. Every center, also of categories, is the weighted mean over the
        training rows of the main horizon. So each feature's contribution is zero on average there, and the intercept is
        the log-odds of the average row.
        """
        columns, slopes = self.columns, share * self.slopes
        intercept = share * self.intercept + float(slopes @ self.average)
        numbers: dict[str, list[float]] = {}
        levels: dict[str, list[Any]] = {}
        # Convert from standardized columns back to signed logarithms and marks.
        centers = columns.means + self.average[: len(columns.scales)] * columns.scales
        marks = columns.marks
        for i, name in enumerate(columns.names):
            slope, mark = float(slopes[i] / columns.scales[i]), marks.get(i)
            missing = 0.0 if mark is None else float(slopes[mark] / columns.scales[mark])
            absent = 0.0 if mark is None else float(centers[mark])
            numbers[name] = [slope, float(centers[i]), float(columns.medians[i]), missing, absent]
        for name, where in columns.level_columns.items():
            own = slopes[where]
            levels[name] = [own.tolist(), float(own @ self.average[where])]
        return {"intercept": intercept, "numbers": numbers, "levels": levels}


def search_ridge(design: Design, progress: Callable[[int, int, float], None] | None = None) -> RidgeSettings:
    """Choose the ridge on later rows of other accounts.

    Parameters
    ----------
    design : the training rows.
    progress : called with (ridges tried, ridges to try, best log loss so far).

    Returns
    -------
    RidgeSettings
    """
    rows = design.search_rows()
    sides = [(_side(rows, fold.fit), rows.matrix[fold.held_out], rows.y[fold.held_out]) for fold in rows.folds()]
    prepared = [(LinearColumns.fit(rows.encoding, fit.matrix), fit, held, happened) for fit, held, happened in sides]
    ready = [(p.transform(fit.matrix), fit, p.transform(held), happened) for p, fit, held, happened in prepared]
    mean_losses: dict[float, float] = {}
    for i, strength in enumerate(STRENGTHS):
        losses = [
            row_log_loss(_quick(strength).fit(x, fit.y, fit.weight).decision_function(later), happened)
            for x, fit, later, happened in ready
        ]
        mean_losses[strength] = float(np.concatenate(losses).mean()) if losses else 0.0
        if progress:
            progress(i + 1, len(STRENGTHS), min(mean_losses.values()))
    return RidgeSettings(min(STRENGTHS, key=lambda strength: mean_losses[strength]), mean_losses)


def fit_linear(
    design: Design, settings: RidgeSettings, features: Mapping[str, Feature], target: Target | None = None
) -> LinearModel:
    """Fit on all rows.

    Parameters
    ----------
    design : the training rows.
    settings : the ridge, from `search_ridge`.
    features : the catalogue.
    target : the target, whose certain directions constrain the signs of the slopes; None for no constraints.

    Returns
    -------
    LinearModel
    """
    encoding = design.encoding
    constraints = [0] * len(encoding.columns)
    if target is not None:
        constraints = monotone_constraints(encoding.columns, features, target)
    columns = LinearColumns.fit(encoding, design.matrix)
    ready = columns.transform(design.matrix)
    average = np.average(ready[design.main], axis=0, weights=design.weight[design.main])
    regression = RidgeLogistic(ready, design.y, design.weight, settings.strength)
    slopes, intercept = _constrained(regression, columns, np.array(constraints)[columns.numbers])
    return LinearModel(encoding, columns, slopes, intercept, settings, average)


class _Side(NamedTuple):
    matrix: Floats
    y: Floats
    weight: Floats


def _side(design: Design, rows: Bools) -> _Side:
    return _Side(design.matrix[rows], design.y[rows], design.weight[rows])


def _constrained(regression: RidgeLogistic, columns: LinearColumns, signs: Ints) -> tuple[Floats, float]:
    """Fit slopes whose signs agree with the constraints.

    A column whose slope has the wrong sign is only a proxy for correlated columns. It is removed and the model is
    fitted again, until no slope has the wrong sign. (Lawson and Hanson 1974, chapter 23, may add columns again; with a
    ridge that gains little.)
    """
    marks = columns.marks
    used: Bools | None = None
    while True:
        slopes, intercept = regression.fit(used)
        wrong = np.flatnonzero(slopes[: len(signs)] * signs < 0)
        if not len(wrong):
            return slopes, intercept
        used = np.ones(len(slopes), dtype=np.bool_) if used is None else used
        used[[*wrong, *(marks[i] for i in wrong.tolist() if i in marks)]] = False


def _quick(strength: float) -> LogisticRegression:
    """Return a regression that is precise enough to choose a ridge, and several times faster."""
    return LogisticRegression(C=strength, solver="lbfgs", tol=1e-3, max_iter=200)
