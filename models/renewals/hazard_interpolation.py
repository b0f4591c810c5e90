"""The probability of an outcome by a date of each account's own, from those within a model's few horizons.

Between two horizons the cumulative hazard, ``-log(1 - p)``, is interpolated. It rises evenly, but for the renewal: most
of what happens, happens when a term ends, so what a horizon that holds the renewal has above the even rise counts from
the renewal on, all of it. The even rise is taken from the neighbouring stretch, the earlier one where there is one, for
it holds no renewal; it never explains more than there is. Beyond the longest horizon the even rise goes on if the
renewal lies within it; otherwise nothing is known, for the model was never asked about that renewal.

So the probability never falls as the date moves away, meets the model's at its horizons, and one asked for just before
a renewal leaves that renewal out (discrete-time hazards: Tutz and Schmid 2016, chapter 3).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Probabilities are kept this far from 1, so that a hazard is finite.
_EDGE = 1e-12


def probability_by(horizons: Mapping[int, Floats], days: Floats, renewal: Floats) -> Floats:
    """The probability that it happens within ``days`` of each account.

    Parameters
    ----------
    horizons : days to the probabilities within them, 0 to 1, shape (n,) each; at least one. They may be NaN.
    days : of each account, 0 or more, shape (n,).
    renewal : days to the renewal that decides, 0 or more, NaN for none, shape (n,).

    Returns
    -------
    Shape (n,). NaN where a probability is not known, and where ``days`` lies beyond the longest horizon and the renewal
    does not lie within it.
    """
    knots = np.array([0, *sorted(horizons)], dtype=np.float64)
    chances = np.column_stack([horizons[int(h)] for h in knots[1:]])
    hazard = np.maximum.accumulate(-np.log1p(-np.clip(chances, 0.0, 1.0 - _EDGE)), axis=1)
    hazard = np.column_stack([np.zeros(len(days)), hazard])
    rate = _even(knots, hazard, renewal)

    at = np.minimum(np.searchsorted(knots, days, side="left"), len(knots) - 1)
    rows, start = np.arange(len(days)), np.maximum(at - 1, 0)
    low, high = hazard[rows, start], hazard[rows, at]
    begin, end = knots[start], knots[at]
    beyond = days > knots[-1]
    holds = (renewal >= begin) & (renewal < end)
    # Where the stretch holds the renewal: the even rise up to it, and everything that is left counts there.
    before = low + rate[rows, start] * (days - begin)
    after = high - rate[rows, start] * (end - days)
    with np.errstate(invalid="ignore", divide="ignore"):
        straight = np.where(end > begin, low + (high - low) * (days - begin) / np.maximum(end - begin, 1e-9), high)
    value = np.where(holds, np.where(days > renewal, after, before), straight)
    value = np.clip(value, low, high)
    value = np.where(beyond, high + rate[rows, len(knots) - 2] * (days - knots[-1]), value)
    known = ~beyond | (renewal < knots[-1])
    return np.where(known & np.isfinite(hazard).all(axis=1), -np.expm1(-value), np.nan)


def _even(knots: Floats, hazard: Floats, renewal: Floats) -> Floats:
    """The even rise a day in each stretch between knots, shape (n, stretches): its own mean where it holds no renewal,
    else that of the stretch before, or of the one after where there is none before, at most its own mean."""
    own = np.diff(hazard, axis=1) / np.diff(knots)
    holds = (renewal[:, None] >= knots[:-1]) & (renewal[:, None] < knots[1:])
    beside = np.column_stack([own[:, 1] if own.shape[1] > 1 else np.zeros(len(own)), own[:, :-1]])
    return np.where(holds, np.minimum(own, beside), own)
