"""Rounding of weight changes to whole steps that still sum to 0."""

from __future__ import annotations

import numpy as np

from features.utils.arrays import Floats


def round_to_steps(change: Floats, step: float, low: Floats, high: Floats) -> Floats:
    """Round changes to multiples of ``step`` that sum to 0 and stay within bounds.

    Each change is rounded down; the remaining steps go to the changes with the largest remainders (Hamilton's method).

    Parameters
    ----------
    change : the exact changes, with a sum of 0, shape (k,).
    step : the step.
    low, high : bounds of each change, with 0 between them, shape (k,).

    Returns
    -------
    The rounded changes, shape (k,).
    """
    least, most = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    exact = np.clip(change / step, least, most)
    rounded = np.clip(np.floor(exact + 1e-9), least, most)
    while rounded.sum() != 0:
        up = rounded.sum() < 0
        adjustable = rounded < most if up else rounded > least
        remainder = np.where(adjustable, exact - rounded if up else rounded - exact, -np.inf)
        rounded[int(np.argmax(remainder))] += 1.0 if up else -1.0
    return np.asarray(rounded * step, dtype=np.float64)
