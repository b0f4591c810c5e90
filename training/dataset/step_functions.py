"""Step functions of time, one per account, evaluated for many (account, instant) pairs together.

The running ARR of an account, its number of running subscriptions and its orders so far are step functions: they
change at some instants and are constant in between. Everything is vectorized over numpy arrays. Amounts are integers
(see `to_fixed_point`), so that a sum does not depend on the order or the grouping of its rows.

Units: an instant is microseconds since 1970 in UTC (int64). `NEVER` marks an end that has not happened.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.utils.arrays import Bools, Floats, Ints
from features.utils.timeline import Timeline

NEVER = np.int64(2**62)
DAY_US = 86_400_000_000
FIXED_POINT_SCALE = 10_000


def to_fixed_point(amount: npt.ArrayLike) -> Ints:
    """Return amounts of money as integer ten-thousandths (int64); their sums are exact."""
    return np.rint(np.asarray(amount, dtype=np.float64) * FIXED_POINT_SCALE).astype(np.int64)


def from_fixed_point(parts: Ints) -> Floats:
    """Return amounts in units of currency (float64), the inverse of `to_fixed_point`."""
    return np.asarray(parts / FIXED_POINT_SCALE, dtype=np.float64)


@dataclass(frozen=True)
class Extremes:
    """Lowest and highest value reached in each window (int64), and whether the window has any value."""

    lowest: Ints
    highest: Ints
    has_value: Bools


class StepFunctions:
    """A right-continuous step function per account, zero before its first change.

    Parameters
    ----------
    codes, times, changes : account number, instant and change of the value (int64) of each change, in any order.
        Changes at the same instant add up.
    """

    def __init__(self, codes: Ints, times: Ints, changes: Ints) -> None:
        every = Timeline(codes, times)
        total = np.cumsum(changes[every.order])
        last = np.ones(len(total), dtype=bool)
        last[:-1] = (every.codes[1:] != every.codes[:-1]) | (every.times[1:] != every.times[:-1])
        self.timeline = Timeline(every.codes[last], every.times[last])
        total = total[last]
        first = self.timeline.first(self.timeline.codes)
        self.values: Ints = total - np.where(first > 0, total[first - 1], 0)

    def before(self, codes: Ints, times: Ints) -> Ints:
        """Return the value just before each instant: changes at the instant itself do not count.

        Parameters
        ----------
        codes, times : account number and instant of each query, shape (n,) each.

        Returns
        -------
        array of shape (n,)
        """
        return self._value(codes, self.timeline.count(codes, times, including=False))

    def at(self, codes: Ints, times: Ints) -> Ints:
        """Return the value at each instant, including changes at it.

        Parameters
        ----------
        codes, times : account number and instant of each query, shape (n,) each.

        Returns
        -------
        array of shape (n,)
        """
        return self._value(codes, self.timeline.count(codes, times, including=True))

    def _value(self, codes: Ints, counts: Ints) -> Ints:
        inside = counts > self.timeline.first(codes)
        return np.where(inside, self.values[np.maximum(counts - 1, 0)], 0) if len(self.values) else np.zeros_like(codes)

    def segments(self, codes: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints]:
        """Return which levels occur in each window.

        Parameters
        ----------
        codes : account number of each window, shape (n,).
        start, end : the window ``[start, end)``.

        Returns
        -------
        tuple of arrays
            Positions ``[low, high)`` in `values`.
        """
        first = self.timeline.first(codes)
        low = np.maximum(self.timeline.count(codes, start, including=True) - 1, first)
        return low, np.maximum(self.timeline.count(codes, end, including=False), low)

    def extremes(self, codes: Ints, start: Ints, end: Ints, only: Bools | None = None) -> Extremes:
        """Return the lowest and the highest level in each window.

        Two runs whose length is a power of two (a sparse table) cover the levels of a window, so the cost does not grow
        with the overlap of the windows.

        Parameters
        ----------
        codes : account number of each window, shape (n,).
        start, end : the window ``[start, end)``.
        only : where a level counts, one entry per level, like `values`; None for all.

        Returns
        -------
        Extremes
        """
        low, high = self.segments(codes, start, end)
        length = high - low
        limit = np.iinfo(np.int64)
        least = self.values if only is None else np.where(only, self.values, limit.max)
        most = self.values if only is None else np.where(only, self.values, limit.min)
        lowest = np.full(len(codes), limit.max)
        highest = np.full(len(codes), limit.min)
        run = 1
        while (length >= run).any():
            rows = (length >= run) & (length < 2 * run)
            a, b = low[rows], high[rows] - run
            lowest[rows] = np.minimum(least[a], least[b])
            highest[rows] = np.maximum(most[a], most[b])
            least, most = np.minimum(least[:-run], least[run:]), np.maximum(most[:-run], most[run:])
            run *= 2
        return Extremes(lowest, highest, highest > limit.min)
