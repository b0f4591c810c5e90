"""Baselines as probabilities: the base rate, the renewal date, the health score, and single models of the ensemble.

All take their level by the rule of the ensemble, so that none wins or loses by its scale or by the season.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.special

from features.utils.arrays import Floats, Objects
from models.scorer.base import RENEWAL_FEATURE
from models.targets import Target
from training.dataset.target_rows import TargetRows
from training.estimators.calibration import HALFWAY, apply_calibrator, calibrate
from training.estimators.fitted_model import FittedModel
from training.estimators.population_drift import DUE_GROUPS, due_groups

BASE_RATE = "base_rate"
RENEWAL_DUE = "renewal_due"
HEALTH_SCORE = "health_score"
LOGISTIC_REGRESSION = "logistic_regression"
LIGHTGBM = "lightgbm"
LARGE_LIGHTGBM = "large_lightgbm"
EVEN_BLEND = "even_blend"
DERIVATION = "derivation"
"""Of renewals: the churn and expansion models, interpolated to the renewal."""
RENEWALS_ONLY = "renewals_only"
"""Of renewals: a model of renewals that is not pooled with the derivation."""
BLEND = "blend"
"""The model that ships: the ensemble of logistic regression, small and large trees, weighted in log-odds."""

#: Rows of the overall rate that are added to each group of accounts, so that small groups have a sensible rate.
_PRIOR_ROWS = 5.0
# Before calibration, ten points of health count as 1 in log-odds; the calibrator fits the real slope.
_POINTS = 10.0


def base_rate_probabilities(model: FittedModel, rows: int) -> Floats:
    """Return the same probability for each of `rows` rows: the rate at the level of the model."""
    return np.full(rows, model.rate)


def renewal_due_probabilities(model: FittedModel, rows: TargetRows, later: Floats) -> Floats:
    """Return the past rate among accounts whose renewal was equally far away: what a CRM alone can tell.

    Parameters
    ----------
    model : its training rows give the rates, and its level applies.
    rows : the snapshots.
    later : days to renewal of n later snapshots, NaN for unknown, shape (n,).

    Returns
    -------
    Floats
        Shape (n,).
    """
    held = model.ensemble.out_of_fold
    days = rows.prepared.frame[RENEWAL_FEATURE].to_numpy(dtype=np.float64)[held.row_index]
    groups = due_groups(days)
    overall = float(held.weight @ held.y / held.weight.sum())
    total = np.bincount(groups, held.weight, DUE_GROUPS) + _PRIOR_ROWS
    rates = (np.bincount(groups, held.weight * held.y, DUE_GROUPS) + _PRIOR_ROWS * overall) / total
    z = scipy.special.logit(np.clip(rates, 1e-6, 1 - 1e-6)) + HALFWAY * model.shift
    return np.asarray(scipy.special.expit(z)[due_groups(later)], dtype=np.float64)


def health_probabilities(model: FittedModel, score: Floats, later: Floats, target: Target) -> Floats:
    """Calibrate a health score on the training rows, and apply the result to later scores.

    Parameters
    ----------
    model : its training rows are used, and its level applies.
    score : the score of every snapshot, 0 to 100, NaN for unknown, shape (m,).
    later : the scores of n later snapshots, shape (n,).
    target : the target.

    Returns
    -------
    Floats
        Shape (n,). Rows without a score get the mean probability of those with one. Without any score, with one value
        for all accounts, or without both outcomes among the rows that have one, every row gets the base rate.
    """
    held = model.ensemble.out_of_fold
    raw, raw_later = health_log_odds(score[held.row_index], target), health_log_odds(later, target)
    scored = np.isfinite(raw)
    if not 0 < held.y[scored].sum() < scored.sum() or np.ptp(raw[scored]) == 0:
        return base_rate_probabilities(model, len(later))
    accounts: Objects = held.accounts[scored]
    dates = held.as_of[scored].reset_index(drop=True)
    fitted = calibrate(raw[scored], held.y[scored], accounts, dates, shift=model.shift, resamples=0, scaled=False)
    p = np.full(len(later), apply_calibrator(fitted, raw[scored]).mean())
    known = np.isfinite(raw_later)
    p[known] = apply_calibrator(fitted, raw_later[known])
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
