"""Interpolating probabilities between a model's horizons to a date of each account.

Between two horizons, the cumulative hazard ``-log(1 - p)`` is interpolated. It rises at a constant rate, except at the
renewal: most events happen when a term ends, so the excess of a horizon with the renewal over the constant rate counts
from the renewal on. The constant rate comes from the neighboring interval, the earlier one if there is one, since it
does not contain the renewal; it is limited to the interval's own mean. Beyond the longest horizon, the constant rate
continues if the renewal is within that horizon; otherwise the result is unknown, since the model did not cover that
renewal.

So the probability never decreases with the date and equals the model's at its horizons, and a date just before a
renewal does not include that renewal (discrete-time hazards: Tutz and Schmid 2016, chapter 3).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from features.utils.arrays import Floats

#: Probabilities are at least this far from 1, so that hazards are finite.
_EDGE = 1e-12


def probability_by(horizons: Mapping[int, Floats], days: Floats, renewal: Floats) -> Floats:
    """Return the probability that the event happens within ``days`` of each account.

    Parameters
    ----------
    horizons : at least one horizon in days with its probabilities, 0 to 1 or NaN, shape (n,) each.
    days : the days of each account, 0 or more, shape (n,).
    renewal : the days to the relevant renewal, 0 or more, NaN for none, shape (n,).

    Returns
    -------
    Shape (n,). NaN if a probability is unknown, or if ``days`` is beyond the longest horizon and the renewal is not
    within it.
    """
    knots = np.array([0, *sorted(horizons)], dtype=np.float64)
    probabilities = np.column_stack([horizons[int(h)] for h in knots[1:]])
    hazard = np.maximum.accumulate(-np.log1p(-np.clip(probabilities, 0.0, 1.0 - _EDGE)), axis=1)
    hazard = np.column_stack([np.zeros(len(days)), hazard])
    rate = _base_rate(knots, hazard, renewal)

    at = np.minimum(np.searchsorted(knots, days, side="left"), len(knots) - 1)
    rows, start = np.arange(len(days)), np.maximum(at - 1, 0)
    low, high = hazard[rows, start], hazard[rows, at]
    begin, end = knots[start], knots[at]
    beyond = days > knots[-1]
    holds = (renewal >= begin) & (renewal < end)
    # If the interval contains the renewal: the constant rate up to it, and the rest at the renewal.
    before = low + rate[rows, start] * (days - begin)
    after = high - rate[rows, start] * (end - days)
    with np.errstate(invalid="ignore", divide="ignore"):
        straight = np.where(end > begin, low + (high - low) * (days - begin) / np.maximum(end - begin, 1e-9), high)
    value = np.where(holds, np.where(days > renewal, after, before), straight)
    value = np.clip(value, low, high)
    value = np.where(beyond, high + rate[rows, len(knots) - 2] * (days - knots[-1]), value)
    covered = ~beyond | (renewal < knots[-1])
    return np.where(covered & np.isfinite(hazard).all(axis=1), -np.expm1(-value), np.nan)


def _base_rate(knots: Floats, hazard: Floats, renewal: Floats) -> Floats:
    """Return the constant rate per day in each interval between knots, shape (n, intervals).

    It is the interval's own mean if it contains no renewal, else that of the previous interval (or the next one if
    there is none), limited to its own mean.
    """
    own = np.diff(hazard, axis=1) / np.diff(knots)
    holds = (renewal[:, None] >= knots[:-1]) & (renewal[:, None] < knots[1:])
    neighbor = np.column_stack([own[:, 1] if own.shape[1] > 1 else np.zeros(len(own)), own[:, :-1]])
    return np.where(holds, np.minimum(own, neighbor), own)
