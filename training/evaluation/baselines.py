"""Baselines as probabilities: the base rate, the health score, and the raw log-odds of any model.

All are calibrated on the same slice with the same rule as the evaluated model, so that none wins or loses by its scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.special

from features.utils.arrays import Bools, Floats
from models.targets import Target
from training.dataset.design_matrix import Design
from training.dataset.target_rows import LabelledSlice, TargetRows
from training.dataset.time_split import TimeSplit
from training.estimators.blend import Blend
from training.estimators.calibration import apply_calibrator, calibrate, halfway
from training.estimators.level_shift import estimate_level_move, expected_slice_rate, nonnegative_slope
from training.statistics import newton_logistic

BASE_RATE = "base_rate"
HEALTH_SCORE = "health_score"
LOGISTIC_REGRESSION = "logistic_regression"
LIGHTGBM = "lightgbm"
LIGHTGBM_FROM_HEALTH = "lightgbm_from_health_score"
BLEND = "blend"
"""The model that ships: the weighted mean, in log-odds, of the logistic regression and the trees."""

# Before calibration, ten points of health count as 1 in log-odds; the calibrator fits the real slope.
_POINTS = 10.0
# Label windows overlap, so every fourth date shows the rate of a quarter as well as all dates.
DATE_STEP = 4


def known_rate(train: Floats, calibration: Floats) -> float:
    """Return the outcome rate known before the test.

    It is halfway between the rates of the training and the calibration labels, like the level of every candidate.

    Parameters
    ----------
    train, calibration : the labels of these slices, 0 or 1.

    Returns
    -------
    float
        From 0 to 1.
    """
    return halfway(float(train.mean()), float(calibration.mean()))


def expected_rate(model: Blend, design: Design, later: LabelledSlice) -> float:
    """Return the outcome rate that training would expect of a later slice, 0 to 1.

    It is the mean, in log-odds, of what the linear model and the blend expect there. The scale of their log-odds does
    not matter (`training.estimators.level_shift.expected_slice_rate`).

    The evaluated model, the model that ships and the past forecasts use the same rule, and all candidates share one
    expectation. With one expectation each, candidates would win and lose by chance with the level of the season: on a
    wholesaler's expansion, the linear model beat the boosted trees by 0.0055 of log loss (0.0013 to 0.0098) at the same
    ranking; with a common expectation by 0.0005 (-0.0036 to 0.0049).

    Parameters
    ----------
    model : the blend, fitted on ``design``.
    design : the training rows.
    later : labelled rows whose label windows begin after those of the design have ended.

    Returns
    -------
    float
    """
    rows = design.subset(design.main)
    rate = float(np.average(rows.y, weights=rows.weight))
    linear, trees = model.linear.raw_of(rows.matrix), model.trees.raw_of(rows.matrix)
    both = [
        (model.linear.raw(later.frame), linear),
        (model.raw(later.frame), (1.0 - model.share) * linear + model.share * trees),
    ]
    one, other = (
        expected_slice_rate(raw, later.y, later.accounts, trained, rate, rows.weight) for raw, trained in both
    )
    return halfway(one, other)


def level_move(model: Blend, rows: TargetRows, parts: TimeSplit, through: datetime) -> float:
    """Estimate how far the level changes until the prediction, as a standard deviation in log-odds.

    See `training.estimators.level_shift.estimate_level_move`.

    Parameters
    ----------
    model : the blend, fitted and calibrated on ``parts``.
    rows : labelled snapshots of one target.
    parts : the split of the model that ships; nothing later than its calibration slice is used.
    through : the instant up to which outcomes were known and from which the model predicts.

    Returns
    -------
    float
    """
    dates = [t for t in parts.labelled if t <= parts.calibration[-1]][::-DATE_STEP]
    frame, y = rows.prepared.frame, rows.prepared.labels[rows.target].to_numpy(dtype=np.float64)
    some = frame["as_of"].isin(pd.DatetimeIndex(dates)).to_numpy(dtype=bool) & np.isfinite(y)
    history, latest = frame[some].reset_index(drop=True), rows.slice(parts, "calibration")
    slope = nonnegative_slope(model.raw(latest.frame), latest.y, latest.accounts)
    middle = parts.calibration[0] + (parts.calibration[-1] - parts.calibration[0]) / 2
    accounts = history["account_id"].to_numpy(dtype=object)
    return estimate_level_move(
        slope * model.raw(history), y[some], accounts, history["as_of"], (through - middle) / timedelta(days=1)
    )


def base_rate_probabilities(rate: float, rows: int) -> Floats:
    """Return the same probability for each row.

    Parameters
    ----------
    rate : the probability.
    rows : the number of rows.

    Returns
    -------
    array of shape (rows,)
    """
    return np.full(rows, rate)


def calibrated_probabilities(
    raw: Floats,
    y: Floats,
    accounts: Sequence[str] | npt.NDArray[np.object_],
    as_of: pd.Series[pd.Timestamp],
    later: Floats,
    expected_rate: float | None = None,
    scaled: bool = True,
) -> Floats:
    """Calibrate raw log-odds on some rows and apply the result to later ones.

    Rows without a raw value (NaN) get the mean probability of the calibrated rows. If the rows with a value have one
    class only, or there are none (a health score without data), every row gets the overall rate.

    Parameters
    ----------
    raw, y, accounts, as_of : log-odds, labels, accounts and dates of the calibration rows.
    later : log-odds of the later rows, shape (m,).
    expected_rate : sets the level (see `expected_rate`); by default the rate of the calibration rows does.
    scaled : as in `training.estimators.calibration.calibrate`: False for a score.

    Returns
    -------
    array of shape (m,)
        The probabilities.
    """
    scored = np.isfinite(raw)
    if not 0 < y[scored].sum() < scored.sum():
        return np.full(len(later), y.mean())
    fitted = calibrate(
        raw[scored], y[scored], np.asarray(accounts)[scored], as_of[scored], expected_rate, 0, scaled=scaled
    )
    on_slice = apply_calibrator(fitted, raw[scored])
    p = np.full(len(later), on_slice.mean())
    p[np.isfinite(later)] = apply_calibrator(fitted, later[np.isfinite(later)])
    return p


def health_log_odds(score: npt.ArrayLike, target: Target) -> Floats:
    """Return the health score on a scale that rises with the target.

    Poor health has the highest values for churn, good health for expansion.

    Parameters
    ----------
    score : the scores, 0 to 100; NaN is unknown.
    target : the target.

    Returns
    -------
    array of shape (n,)
    """
    points = (np.asarray(score, dtype=np.float64) - 50) / _POINTS
    return np.asarray(-points if target == "churn" else points, dtype=np.float64)


@dataclass(frozen=True)
class HealthPrior:
    """Calibrated log-odds of the health score: ``slope * health_raw + constant``, and ``unknown`` where there is no
    score."""

    target: Target
    slope: float
    constant: float
    unknown: float

    def raw(self, score: npt.ArrayLike) -> Floats:
        """Return the log-odds of health scores (n,), NaN for unknown; shape (n,), always finite."""
        raw = health_log_odds(score, self.target)
        return np.where(np.isfinite(raw), self.slope * np.nan_to_num(raw) + self.constant, self.unknown)


def health_prior(score: Floats, design: Design, target: Target) -> HealthPrior:
    """Calibrate the health score on training rows, so that trees can start from it.

    Parameters
    ----------
    score : score of each training row, 0 to 100, NaN for unknown, shape (m,).
    design : the training rows.
    target : the target.

    Returns
    -------
    HealthPrior
    """
    raw = health_log_odds(score, target)
    scored = np.isfinite(raw)
    prior, strength = np.zeros(2), np.array([1.0, 0.0])

    def rate(rows: Bools) -> float:
        happened, weight = design.y[rows], design.weight[rows]
        # Half an outcome of each class keeps it finite.
        share = (float(weight @ happened) + 0.5) / (float(weight.sum()) + 1.0)
        return float(scipy.special.logit(share))

    if not 0 < design.y[scored].sum() < scored.sum():
        return HealthPrior(target, 0.0, rate(np.ones(len(scored), dtype=bool)), rate(~scored))
    columns = np.column_stack([raw[scored], np.ones(scored.sum())])
    slope, constant = newton_logistic.fit(columns, design.y[scored], design.weight[scored][None], prior, strength)[0]
    return HealthPrior(target, float(slope), float(constant), rate(~scored))
