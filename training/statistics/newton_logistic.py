"""Small logistic regressions under many sets of row weights, fitted together by Newton's method.

Two or three parameters, tens of thousands of rows and hundreds of resamples: one array operation instead of hundreds
of fits. Used to fit calibrators and their resamples, and to measure the slope and intercept of a calibration.
"""

from __future__ import annotations

import numpy as np
import scipy.special

from features.utils.arrays import Floats

_STEPS = 60
# Size of the last step; the error that remains is about its square.
_TOLERANCE = 1e-6
# Largest change of one parameter in one step; keeps the first steps from overshooting where classes hardly overlap.
_STRIDE = 2.0
# A step went too far if the loss rises behind it by more than this share of the rate at which it fell before. Such a
# step is halved; otherwise steps from far away could jump over the minimum forever.
_OVERSHOOT = 0.25


def fit(
    design: Floats, y: Floats, weights: Floats, prior: Floats, strength: Floats, offset: Floats | None = None
) -> Floats:
    """Fit the parameters of the log-odds for each set of weights: weighted maximum likelihood with a normal prior.

    Parameters
    ----------
    design : (n, k). y : (n,), 0 or 1. weights : (b, n), not negative.
    prior, strength : (k,), the prior's mean and precision (0: none) of each parameter. A weak prior keeps the
        parameters finite where a resample separates its classes.
    offset : (n,), added to the log-odds.

    Returns
    -------
    (b, k), one row of parameters per set of weights.
    """
    b, k = len(weights), design.shape[1]
    # Resamples differ little from their average, so its solution is a good start.
    start = fit(design, y, weights.mean(axis=0)[None], prior, strength, offset) if b > 1 else prior[None]
    theta = np.tile(start, (b, 1))
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), k * k)
    active, taken, falls = np.arange(b), np.zeros((b, k)), np.zeros(b)
    for step in range(_STEPS):
        w, now = weights[active], theta[active]
        if step == 0:
            # All start at the same point, so a row contributes the same to every resample.
            p = scipy.special.expit(design @ now[0] + (0.0 if offset is None else offset))
            gradient = w @ ((p - y)[:, None] * design)
            hessian = w @ ((p * (1 - p))[:, None] * squares)
        else:
            p = scipy.special.expit(now @ design.T + (0.0 if offset is None else offset))
            gradient = (w * (p - y)) @ design
            hessian = (w * p * (1 - p)) @ squares
        gradient += strength * (now - prior)
        hessian = hessian.reshape(-1, k, k) + np.diag(strength + 1e-9)
        change = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        change *= _STRIDE / np.maximum(np.abs(change).max(axis=1), _STRIDE)[:, None]
        half, half_fall = 0.5 * taken[active], 0.5 * falls[active]
        too_far = -(gradient * half).sum(axis=1) > _OVERSHOOT * half_fall
        change[too_far] = -half[too_far]
        theta[active] = now - change
        taken[active] = np.where(too_far[:, None], half, change)
        falls[active] = np.where(too_far, half_fall, (gradient * change).sum(axis=1))
        active = active[np.abs(change).max(axis=1) > _TOLERANCE]
        if not len(active):
            break
    return theta


def row_log_loss(log_odds: Floats, y: Floats) -> Floats:
    """Return the log loss of each row, in nats.

    Parameters
    ----------
    log_odds : predictions, shape (n,).
    y : labels, 0 or 1, shape (n,).

    Returns
    -------
    array of shape (n,)
        Finite for finite log-odds.
    """
    return np.asarray(np.logaddexp(0.0, log_odds) - y * log_odds, dtype=np.float64)
