"""How much of the stretch that a slice of outcomes asks for is to be believed.

A calibrator multiplies a model's log-odds by a slope. A few dozen accounts with the outcome know that slope to a fifth
or a third only, and a model fitted with care is mostly right as it is: the slope's own luck then does more harm than
the model's error. So the slope is drawn towards 1 as far as its error tells (empirical Bayes). The prior has two parts:
most models are right to within a fifth, a tenth of them is anything, so that a slope which is clearly off is believed.

The error counts accounts, not rows, for an account's rows of several weeks share one fate (the sandwich of White 1982,
clustered as in Liang and Zeger 1986).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.special

from features.utils.arrays import Floats
from training.statistics import newton_logistic

#: The prior of the slope: the standard deviation around 1, and the share of models of which it is true.
USUAL, USUAL_SHARE = 0.2, 0.9
RARE, RARE_SHARE = 0.8, 0.1
# In rows: keeps the slope finite where the outcomes all rank on top.
_PRIOR_ROWS = 0.1


def retained_share(raw: Floats, y: Floats, accounts: Sequence[str] | npt.NDArray[np.object_]) -> float:
    """The share of the slope's distance from 1 that is kept, 0 to 1: near 1 with many outcomes.

    Parameters
    ----------
    raw : a model's log-odds, shape (n,), finite.
    y : the labels, 0 or 1, both among them, shape (n,).
    accounts : of each row.
    """
    slope, error = slope_and_error(raw, y, accounts)
    shares, spreads = np.array([USUAL_SHARE, RARE_SHARE]), np.array([USUAL, RARE])
    variance = spreads**2 + error**2
    odds = np.log(shares) - 0.5 * np.log(variance) - 0.5 * (slope - 1) ** 2 / variance
    return float(scipy.special.softmax(odds) @ (spreads**2 / variance))


def slope_and_error(raw: Floats, y: Floats, accounts: Sequence[str] | npt.NDArray[np.object_]) -> tuple[float, float]:
    """The slope of the outcomes on the log-odds, and its standard error, accounts being independent."""
    middle, spread = float(raw.mean()), float(raw.std()) or 1.0
    design = np.column_stack([(raw - middle) / spread, np.ones_like(raw)])
    prior, strength = np.array([spread, 0.0]), np.array([_PRIOR_ROWS, 0.0])
    found = newton_logistic.fit(design, y, np.ones((1, len(y))), prior, strength)[0]
    p = scipy.special.expit(design @ found)
    bread = np.linalg.inv((design * (p * (1 - p))[:, None]).T @ design + np.diag(strength + 1e-9))
    codes, _ = pd.factorize(np.asarray(accounts, dtype=object))
    scores = np.column_stack([np.bincount(codes, each) for each in ((y - p)[:, None] * design).T])
    return float(found[0]) / spread, float(np.sqrt((bread @ (scores.T @ scores) @ bread)[0, 0])) / spread
