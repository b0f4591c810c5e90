"""Small logistic regressions under many sets of row weights at once, by Newton's method.

Two or three parameters, tens of thousands of rows and hundreds of resamples: one array operation instead of hundreds
of fits. Used to calibrate, to draw the calibrators' resamples, and to measure a calibration's slope and intercept.
"""

from __future__ import annotations

import numpy as np
import scipy.special

from features.utils.arrays import Floats

_STEPS = 60
# Of the last move; Newton's error after it is about the square.
_TOLERANCE = 1e-6
# The longest move of one parameter in one step; keeps the first steps from overshooting where classes hardly overlap.
_STRIDE = 2.0


def fit(
    design: Floats, y: Floats, weights: Floats, prior: Floats, strength: Floats, offset: Floats | None = None
) -> Floats:
    """Weighted maximum likelihood with a normal prior: for each set of weights, the parameters of the log-odds.

    Parameters
    ----------
    design : (n, k). y : (n,), 0 or 1. weights : (b, n), not negative.
    prior, strength : (k,), the prior's mean and precision (0: none) of each parameter. A little of it keeps the
        parameters finite where a resample happens to separate its classes.
    offset : (n,), added to the log-odds.

    Returns
    -------
    (b, k), one row of parameters per set of weights.
    """
    b, k = len(weights), design.shape[1]
    # Resamples differ little from their average, so its solution is where they begin.
    begin = fit(design, y, weights.mean(axis=0)[None], prior, strength, offset) if b > 1 else prior[None]
    theta = np.tile(begin, (b, 1))
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), k * k)
    active = np.arange(b)
    for step in range(_STEPS):
        w, now = weights[active], theta[active]
        if step == 0:
            # All begin at one place, where a row's part is the same in every resample.
            p = scipy.special.expit(design @ now[0] + (0.0 if offset is None else offset))
            gradient = w @ ((p - y)[:, None] * design)
            hessian = w @ ((p * (1 - p))[:, None] * squares)
        else:
            p = scipy.special.expit(now @ design.T + (0.0 if offset is None else offset))
            gradient = (w * (p - y)) @ design
            hessian = (w * p * (1 - p)) @ squares
        gradient += strength * (now - prior)
        hessian = hessian.reshape(-1, k, k) + np.diag(strength + 1e-9)
        move = np.clip(np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0], -_STRIDE, _STRIDE)
        theta[active] = now - move
        active = active[np.abs(move).max(axis=1) > _TOLERANCE]
        if not len(active):
            break
    return theta


def row_log_loss(log_odds: Floats, y: Floats) -> Floats:
    """The loss of each row in nats, from log-odds: never infinite for finite log-odds."""
    return np.asarray(np.logaddexp(0.0, log_odds) - y * log_odds, dtype=np.float64)
