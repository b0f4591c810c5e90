"""What a model has to beat, made into probabilities: the base rate, the health score, any model's raw log-odds.

All are calibrated on the same slice by the same rule as the model on trial, so that none wins or loses by its scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.special

from models.targets import Target
from training import logistic
from training.calibrate import calibrate, calibrated, halfway
from training.design import Design
from training.steps import Bools, Floats

BASE_RATE = "base_rate"
HEALTH_SCORE = "health_score"
LOGISTIC_REGRESSION = "logistic_regression"
LIGHTGBM = "lightgbm"
LIGHTGBM_FROM_HEALTH = "lightgbm_from_health_score"
BLEND = "blend"
"""The model that ships: the mean, in log-odds, of the logistic regression and the trees, each with its share."""

# Ten points of health are one step of log-odds before calibration; the calibrator finds the real step.
_POINTS = 10.0


def known_rate(train: Floats, calibration: Floats) -> float:
    """The outcome's rate as it was known before the test, 0 to 1: halfway between that of the training labels and
    that of the calibration labels, as every candidate's level is."""
    return halfway(float(train.mean()), float(calibration.mean()))


def expected_rate(*raws: Floats) -> float:
    """The rate that training would expect of the calibration slice, 0 to 1: the mean, in log-odds, of what its fitted
    models expect there (each given by its raw log-odds on the slice).

    One expectation for all candidates. With one each, they would win and lose by luck with the season's level: on a
    wholesaler's expansion the linear model beat the boosted one by 0.0055 of log loss (0.0013 to 0.0098) at the same
    ranking; with a common one by 0.0005 (-0.0036 to 0.0049).
    """
    expected = [np.clip(scipy.special.expit(raw).mean(), 1e-6, 1 - 1e-6) for raw in raws]
    return float(scipy.special.expit(scipy.special.logit(expected).mean()))


def base_rate(rate: float, rows: int) -> Floats:
    """The same probability for each of `rows` rows."""
    return np.full(rows, rate)


def by_raw(
    raw: Floats,
    y: Floats,
    accounts: Sequence[str] | npt.NDArray[np.object_],
    as_of: pd.Series[pd.Timestamp],
    later: Floats,
    expected_rate: float | None = None,
    scaled: bool = True,
) -> Floats:
    """Calibrate raw log-odds on the calibration rows (`raw`, `y`, `accounts`, `as_of`) and apply that to `later`.

    `expected_rate` sets the level (see the function of that name); without it, what `raw` itself expects: never right
    for a score, which has no level of its own. `scaled` as in `calibrate`: not true of a score.
    Rows without a raw value (NaN) form a group of their own, and get its rate; none there, the overall rate. Where the
    rows that have a value hold one class only (or there are none: a health score without data), every row gets the
    overall rate.
    """
    known = np.isfinite(raw)
    if not 0 < y[known].sum() < known.sum():
        return np.full(len(later), y.mean())
    fitted = calibrate(raw[known], y[known], np.asarray(accounts)[known], as_of[known], expected_rate, 0, scaled=scaled)
    on_slice = calibrated(fitted, raw[known])
    answer = np.full(len(later), on_slice.mean())
    answer[np.isfinite(later)] = calibrated(fitted, later[np.isfinite(later)])
    return answer


def health_raw(score: npt.ArrayLike, target: Target) -> Floats:
    """The health score (0 to 100, NaN unknown) as something that rises with the target: poor health with churn, good
    health with expansion."""
    points = (np.asarray(score, dtype=np.float64) - 50) / _POINTS
    return np.asarray(-points if target == "churn" else points, dtype=np.float64)


@dataclass(frozen=True)
class Prior:
    """The health score's calibrated log-odds: ``slope * health_raw + constant``, and ``unknown`` where there is no
    score."""

    target: Target
    slope: float
    constant: float
    unknown: float

    def raw(self, score: npt.ArrayLike) -> Floats:
        """Log-odds of health scores (n,), NaN for unknown; shape (n,), always finite."""
        given = health_raw(score, self.target)
        return np.where(np.isfinite(given), self.slope * np.nan_to_num(given) + self.constant, self.unknown)


def health_prior(score: Floats, design: Design, target: Target) -> Prior:
    """Calibrate the health score on training rows, so that trees can start from it.

    Parameters
    ----------
    score : of each training row, 0 to 100, NaN for unknown, shape (m,).
    design : the training rows.
    """
    raw = health_raw(score, target)
    known = np.isfinite(raw)
    prior, strength = np.zeros(2), np.array([1.0, 0.0])

    def rate(rows: Bools) -> float:
        happened, weight = design.y[rows], design.weight[rows]
        # Half an outcome of each kind keeps it finite.
        share = (float(weight @ happened) + 0.5) / (float(weight.sum()) + 1.0)
        return float(scipy.special.logit(share))

    if not 0 < design.y[known].sum() < known.sum():
        return Prior(target, 0.0, rate(np.ones(len(known), dtype=bool)), rate(~known))
    columns = np.column_stack([raw[known], np.ones(known.sum())])
    slope, constant = logistic.fit(columns, design.y[known], design.weight[known][None], prior, strength)[0]
    return Prior(target, float(slope), float(constant), rate(~known))
