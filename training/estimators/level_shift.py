"""The level of a model's probabilities: what training would expect of later rows, and how far levels move by the time
of the answer.

Level and slope are estimated apart. A model whose log-odds are too extreme (or too tame) ranks as well as any, and the
calibrator mends its slope; its level must not hang on that. So its log-odds are first stretched by the slope that the
calibration slice asks for, and then moved until their mean over the training rows is the training rate. Whatever factor
they are multiplied by, the rate that is expected of the slice is the same.

How far a level moves is read from the history: windows of a quarter of a year, each forecast by the rule that sets the
level (halfway between the window and all before it), as far ahead as the answer is. A history of a few windows leaves
much unknown; a weak prior stands in for what it does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.special

from features.utils.arrays import Floats
from training.estimators.calibration import HALFWAY
from training.estimators.slope_shrinkage import slope_and_error
from training.statistics import newton_logistic

WINDOW_DAYS = 91
#: The prior of how far a level moves, in log-odds: half Cauchy with this scale, cut off at the end of the grid. It
#: decides where the history has one or two windows, and has little weight where it has ten.
USUAL_MOVE = 0.5
_GRID = np.linspace(0.0, 1.5, 61)
# A window without an outcome has a finite level: a normal prior around that of all rows, of precision 1.
_PRECISION = 1.0
_NONE = np.zeros(1)


def expected_slice_rate(
    raw: Floats,
    y: Floats,
    accounts: Sequence[str] | npt.NDArray[np.object_],
    trained: Floats,
    rate: float,
    weight: Floats | None = None,
) -> float:
    """The rate that training would expect of a later slice, 0 to 1, whatever the scale of the model's log-odds.

    Parameters
    ----------
    raw, y, accounts : the model's log-odds on the slice, the labels and the account of each row, shape (n,).
    trained : its log-odds on the training rows, shape (m,).
    rate : how often the outcome happened among them, 0 to 1 both excluded.
    weight : of the training rows, shape (m,); all alike by default.
    """
    slope = nonnegative_slope(raw, y, accounts)
    weights = np.ones_like(trained) if weight is None else weight
    return float(scipy.special.expit(slope * raw + _constant(slope * trained, rate, weights)).mean())


def nonnegative_slope(raw: Floats, y: Floats, accounts: Sequence[str] | npt.NDArray[np.object_]) -> float:
    """The slope of the outcomes on the log-odds, 0 where it would turn the ranking round."""
    return max(slope_and_error(raw, y, accounts)[0], 0.0)


def estimate_level_move(
    offset: Floats,
    y: Floats,
    accounts: Sequence[str] | npt.NDArray[np.object_],
    as_of: pd.Series[pd.Timestamp],
    ahead_days: float,
) -> float:
    """The standard deviation, in log-odds, of the level at the time of the answer around the one that was set.

    Parameters
    ----------
    offset : what the model expects of each row, in log-odds of the right stretch, shape (n,); its own level is of no
        matter.
    y, accounts, as_of : of each row, from the first to the last date with a known outcome.
    ahead_days : from the middle of the slice that sets the level to the answer.
    """
    place = ((as_of.max() - as_of) / pd.Timedelta(days=WINDOW_DAYS)).astype(int).to_numpy()
    place = place.max() - place
    constant = _constant(offset, float(np.clip(y.mean(), 1e-6, 1 - 1e-6)), np.ones_like(y))
    levels, errors = _levels(offset + constant, y, np.asarray(accounts, dtype=object), place)
    steps = max(1, round(ahead_days / WINDOW_DAYS))
    missed, unknown = [], []
    for k in range(1, len(levels) - steps):
        told = HALFWAY * levels[k] + (1 - HALFWAY) * levels[:k].mean()
        missed.append(levels[k + steps] - told)
        unknown.append(errors[k + steps] + HALFWAY**2 * errors[k] + (1 - HALFWAY) ** 2 * errors[:k].mean() / k)
    return _spread(np.array(missed), np.array(unknown), steps)


def _levels(
    offset: Floats, y: Floats, accounts: npt.NDArray[np.object_], place: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Of each window how far its level lies above what was expected, in log-odds, and the variance of that, accounts
    being independent."""
    levels, errors = [], []
    for window in range(place.max() + 1):
        rows = place == window
        if not rows.any():
            continue
        z, happened = offset[rows], y[rows]
        ones = np.ones((int(rows.sum()), 1))
        level = float(newton_logistic.fit(ones, happened, ones.T, _NONE, np.array([_PRECISION]), z)[0, 0])
        p = scipy.special.expit(z + level)
        codes, _ = pd.factorize(accounts[rows])
        # Account by account what happened less what was expected; the prior stands for one more account.
        told = (np.bincount(codes, happened - p) ** 2).sum() + _PRECISION
        levels.append(level)
        errors.append(float(told / ((p * (1 - p)).sum() + _PRECISION) ** 2))
    return np.array(levels), np.array(errors)


def _spread(missed: Floats, unknown: Floats, steps: int) -> float:
    """The root of the posterior mean of the squared move, from the misses and the variances of their own errors.

    Misses that overlap count as one between them."""
    variance = _GRID[:, None] ** 2 + unknown
    likelihood = -0.5 * (np.log(variance) + missed**2 / variance).sum(axis=1) / min(steps, max(len(missed), 1))
    weight = scipy.special.softmax(likelihood - np.log1p((_GRID / USUAL_MOVE) ** 2))
    return float(np.sqrt(weight @ _GRID**2))


def _constant(offset: Floats, rate: float, weight: Floats) -> float:
    """What has to be added to these log-odds to make ``rate`` their mean probability."""
    happened = np.full(len(offset), rate)
    found = newton_logistic.fit(np.ones((len(offset), 1)), happened, weight[None], _NONE, _NONE, offset)
    return float(found[0, 0])
