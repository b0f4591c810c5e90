"""Changes of weights in whole steps, such as people write, that still sum to nought."""

from __future__ import annotations

import numpy as np

from features.utils.arrays import Floats


def round_to_steps(change: Floats, step: float, low: Floats, high: Floats) -> Floats:
    """The changes rounded to multiples of ``step`` that sum to 0 and lie within bounds.

    Each is rounded down; the steps that are then lacking go to those with the largest remainders (Hamilton's method).

    Parameters
    ----------
    change : summing to 0, shape (k,).
    low, high : of each change, with 0 between them, shape (k,).
    """
    least, most = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    exact = np.clip(change / step, least, most)
    found = np.clip(np.floor(exact + 1e-9), least, most)
    while found.sum() != 0:
        up = found.sum() < 0
        room = found < most if up else found > least
        remainder = np.where(room, exact - found if up else found - exact, -np.inf)
        found[int(np.argmax(remainder))] += 1.0 if up else -1.0
    return np.asarray(found * step, dtype=np.float64)
