"""Level of a model's probabilities: how far the newest rows are above it, and how far levels change over time.

The change of a level is estimated from the history: quarterly windows, each predicted by the rule that sets the level
(halfway between the window and all before it), as far ahead as the prediction. With few windows, a weak prior adds the
missing information.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.special

from features.utils.arrays import Floats
from training.estimators.calibration import HALFWAY
from training.statistics import newton_logistic

WINDOW_DAYS = 91
#: Prior of the change of a level, in log-odds: half Cauchy with this scale, truncated at the end of the grid. It
#: dominates if the history has one or two windows, and has little weight if it has ten.
USUAL_MOVE = 0.5
_GRID = np.linspace(0.0, 1.5, 61)
# Precision of a normal prior around the level of all rows, which keeps the level of a window without outcomes finite.
_PRECISION = 1.0
_NONE = np.zeros(1)


def recent_shift(expected: Floats, y: Floats, weight: Floats) -> float:
    """Return how far the level of some rows is above the expected one, in log-odds.

    A normal prior of precision 1 keeps it finite and shrinks it where there are few independent rows.

    Parameters
    ----------
    expected : calibrated log-odds of the rows, shape (n,).
    y, weight : label and weight of each row, shape (n,).
    """
    ones = np.ones((len(y), 1))
    return float(newton_logistic.fit(ones, y, weight[None], _NONE, np.array([_PRECISION]), expected)[0, 0])


def estimate_level_move(
    offset: Floats,
    y: Floats,
    accounts: Sequence[str] | npt.NDArray[np.object_],
    as_of: pd.Series[pd.Timestamp],
    ahead_days: float,
) -> float:
    """Estimate how far the level changes until the prediction, as a standard deviation in log-odds.

    Parameters
    ----------
    offset : the model's log-odds of each row, with the right slope, shape (n,); their level does not matter.
    y, accounts, as_of : label, account and date of each row, from the first to the last date with a known outcome.
    ahead_days : days from the middle of the newest quarter to the prediction.

    Returns
    -------
    float
    """
    window = ((as_of.max() - as_of) / pd.Timedelta(days=WINDOW_DAYS)).astype(int).to_numpy()
    window = window.max() - window
    constant = _constant(offset, float(np.clip(y.mean(), 1e-6, 1 - 1e-6)), np.ones_like(y))
    levels, errors = _levels(offset + constant, y, np.asarray(accounts, dtype=object), window)
    steps = max(1, round(ahead_days / WINDOW_DAYS))
    misses, variances = [], []
    for k in range(1, len(levels) - steps):
        predicted = HALFWAY * levels[k] + (1 - HALFWAY) * levels[:k].mean()
        misses.append(levels[k + steps] - predicted)
        variances.append(errors[k + steps] + HALFWAY**2 * errors[k] + (1 - HALFWAY) ** 2 * errors[:k].mean() / k)
    return _spread(np.array(misses), np.array(variances), steps)


def _levels(
    offset: Floats, y: Floats, accounts: npt.NDArray[np.object_], window_of: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return how far the level of each window is above the expected one, in log-odds, and its variance, assuming
    independent accounts."""
    levels, errors = [], []
    for window in range(window_of.max() + 1):
        rows = window_of == window
        if not rows.any():
            continue
        z, happened = offset[rows], y[rows]
        ones = np.ones((int(rows.sum()), 1))
        level = float(newton_logistic.fit(ones, happened, ones.T, _NONE, np.array([_PRECISION]), z)[0, 0])
        p = scipy.special.expit(z + level)
        codes, _ = pd.factorize(accounts[rows])
        # Residual per account; the prior counts as one more account.
        squares = (np.bincount(codes, happened - p) ** 2).sum() + _PRECISION
        levels.append(level)
        errors.append(float(squares / ((p * (1 - p)).sum() + _PRECISION) ** 2))
    return np.array(levels), np.array(errors)


def _spread(misses: Floats, variances: Floats, steps: int) -> float:
    """Return the root of the posterior mean of the squared change, from the misses and the variances of their errors.

    Overlapping misses together count as one.
    """
    variance = _GRID[:, None] ** 2 + variances
    likelihood = -0.5 * (np.log(variance) + misses**2 / variance).sum(axis=1) / min(steps, max(len(misses), 1))
    weight = scipy.special.softmax(likelihood - np.log1p((_GRID / USUAL_MOVE) ** 2))
    return float(np.sqrt(weight @ _GRID**2))


def _constant(offset: Floats, rate: float, weight: Floats) -> float:
    """Return what must be added to these log-odds so that their mean probability is ``rate``."""
    rates = np.full(len(offset), rate)
    constant = newton_logistic.fit(np.ones((len(offset), 1)), rates, weight[None], _NONE, _NONE, offset)
    return float(constant[0, 0])
