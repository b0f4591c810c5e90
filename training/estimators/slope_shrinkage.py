"""Shrinkage of the calibration slope toward 1.

A calibrator multiplies a model's log-odds by a slope. A few dozen accounts with the outcome determine the slope only to
a fifth or a third, and a carefully fitted model is usually close to right, so the sampling error of the slope would do
more harm than the model's error. So the slope is shrunk toward 1 according to its error (empirical Bayes). The prior
has two components: most models are right to within a fifth, and a tenth of them may have any slope, so a slope that is
clearly off is retained.

The error is based on accounts, not rows, because the rows of an account over several weeks share one outcome (the
sandwich estimator of White 1982, clustered as in Liang and Zeger 1986).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.special

from features.utils.arrays import Floats
from training.statistics import newton_logistic

#: Prior of the slope: standard deviation around 1, and the share of models to which it applies.
USUAL, USUAL_SHARE = 0.2, 0.9
RARE, RARE_SHARE = 0.8, 0.1
# Weight of the prior in rows: keeps the slope finite if the outcomes all rank on top.
_PRIOR_ROWS = 0.1


def retained_share(raw: Floats, y: Floats, accounts: Sequence[str] | npt.NDArray[np.object_]) -> float:
    """Return the share of the slope's distance from 1 to retain, 0 to 1; near 1 with many outcomes.

    Parameters
    ----------
    raw : a model's log-odds, shape (n,), finite.
    y : the labels, 0 or 1, with both classes, shape (n,).
    accounts : account of each row.

    Returns
    -------
    float
    """
    slope, error = slope_and_error(raw, y, accounts)
    shares, spreads = np.array([USUAL_SHARE, RARE_SHARE]), np.array([USUAL, RARE])
    variance = spreads**2 + error**2
    odds = np.log(shares) - 0.5 * np.log(variance) - 0.5 * (slope - 1) ** 2 / variance
    return float(scipy.special.softmax(odds) @ (spreads**2 / variance))


def slope_and_error(raw: Floats, y: Floats, accounts: Sequence[str] | npt.NDArray[np.object_]) -> tuple[float, float]:
    """Return the slope of the outcomes on the log-odds, and its standard error.

    Parameters
    ----------
    raw : log-odds, shape (n,).
    y : labels, 0 or 1, shape (n,).
    accounts : the account of each row; accounts are assumed to be independent.

    Returns
    -------
    tuple of float
    """
    middle, spread = float(raw.mean()), float(raw.std()) or 1.0
    design = np.column_stack([(raw - middle) / spread, np.ones_like(raw)])
    prior, strength = np.array([spread, 0.0]), np.array([_PRIOR_ROWS, 0.0])
    parameters = newton_logistic.fit(design, y, np.ones((1, len(y))), prior, strength)[0]
    p = scipy.special.expit(design @ parameters)
    bread = np.linalg.inv((design * (p * (1 - p))[:, None]).T @ design + np.diag(strength + 1e-9))
    codes, _ = pd.factorize(np.asarray(accounts, dtype=object))
    scores = np.column_stack([np.bincount(codes, each) for each in ((y - p)[:, None] * design).T])
    return float(parameters[0]) / spread, float(np.sqrt((bread @ (scores.T @ scores) @ bread)[0, 0])) / spread
