"""Step functions of time, one per account, asked about by many (account, instant) pairs at once.

The running ARR of an account, its number of running subscriptions and its orders so far are all of this shape:
they jump at some instants and are level in between. Everything is vectorised over numpy arrays; amounts are whole
numbers (see `to_fixed_point`), so that a sum does not depend on the order of its rows, nor on how they were grouped.

Units: an instant is microseconds since 1970 in UTC (int64); `NEVER` stands for an end that has not come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.utils.arrays import Bools, Floats, Ints

NEVER = np.int64(2**62)
DAY_US = 86_400_000_000
FIXED_POINT_SCALE = 10_000


def to_fixed_point(amount: npt.ArrayLike) -> Ints:
    """Money as whole ten-thousandths of a unit (int64); sums of it are exact."""
    return np.rint(np.asarray(amount, dtype=np.float64) * FIXED_POINT_SCALE).astype(np.int64)


def from_fixed_point(parts: Ints) -> Floats:
    """The opposite of `to_fixed_point`: float64 in units of currency."""
    return np.asarray(parts / FIXED_POINT_SCALE, dtype=np.float64)


class Timeline:
    """Instants sorted within accounts, and the search for the last one before another instant.

    Parameters
    ----------
    codes, times : one entry per instant, of equal length and in any order: the account's number and when.
        Repeated instants are allowed.

    `order` sorts rows given alongside into the timeline's order.
    """

    def __init__(self, codes: Ints, times: Ints) -> None:
        self.order = np.lexsort((times, codes))
        self.codes, self.times = codes[self.order], times[self.order]
        self._distinct = np.unique(self.times)
        self._stride = len(self._distinct) + 1
        # One number per (account, rank of the instant) orders them as pairs, where microseconds would overflow.
        self._keys = self.codes * self._stride + np.searchsorted(self._distinct, self.times, side="right")

    def count(self, codes: Ints, times: Ints, *, including: bool) -> Ints:
        """How many entries of the whole timeline come up to (account, time); those at `time` too if `including`.

        The entry at position ``count - 1`` is the account's last one so far, if it is the account's at all.
        """
        ranks = np.searchsorted(self._distinct, times, side="right" if including else "left")
        return np.searchsorted(self._keys, codes * self._stride + ranks, side="right")

    def first(self, codes: Ints) -> Ints:
        """The position of each account's first entry (or where it would be)."""
        return np.searchsorted(self.codes, codes, side="left")


@dataclass(frozen=True)
class Extremes:
    """Lowest and highest value reached in each window (int64), and whether it had any value there."""

    lowest: Ints
    highest: Ints
    found: Bools


class StepFunctions:
    """A right-continuous step function per account, zero before its first change.

    Parameters
    ----------
    codes, times, changes : one entry per change, in any order: the account's number, the instant, and by how much
        the value changes there (int64; changes at one instant add up).
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
        """The value just before each instant: changes at the instant itself are not yet counted."""
        return self._value(codes, self.timeline.count(codes, times, including=False))

    def at(self, codes: Ints, times: Ints) -> Ints:
        """The value at each instant, changes at it included."""
        return self._value(codes, self.timeline.count(codes, times, including=True))

    def _value(self, codes: Ints, counts: Ints) -> Ints:
        inside = counts > self.timeline.first(codes)
        return np.where(inside, self.values[np.maximum(counts - 1, 0)], 0) if len(self.values) else np.zeros_like(codes)

    def segments(self, codes: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints]:
        """Positions [low, high) in `values` of the levels held at some instant of [start, end)."""
        first = self.timeline.first(codes)
        low = np.maximum(self.timeline.count(codes, start, including=True) - 1, first)
        return low, np.maximum(self.timeline.count(codes, end, including=False), low)

    def extremes(self, codes: Ints, start: Ints, end: Ints, only: Bools | None = None) -> Extremes:
        """Lowest and highest level held in [start, end), over all the levels or those where `only` is true.

        `only` has one entry per level (as `values`). A window's range of levels is covered by two runs whose
        length is a power of two (a sparse table), so the cost does not grow with the windows' overlap.
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
