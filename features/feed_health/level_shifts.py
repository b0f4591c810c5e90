"""Detection of lasting level shifts in a short series, as opposed to spikes, slopes and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Floats

# Periods that a level must last before and after a change.
MIN_PERIODS = 3
# Periods on each side that are compared. Their median is robust to a spike.
LASTING_PERIODS = 8
# A change must exceed the noise between periods by this factor; four makes chance very unlikely.
NOISE_FACTOR = 4.0
# The median absolute deviation of a normal variable, as a share of its standard deviation.
_MAD = 0.6745


@dataclass(frozen=True)
class Change:
    """A change of level: the position of the first period on the new one, and new over old level."""

    position: int
    factor: float


def level_changes(levels: Floats, least: float) -> tuple[Change, ...]:
    """Return the lasting level changes by a factor of ``least`` or more, up or down, in order.

    Parameters
    ----------
    levels : natural logarithms of the level per period, finite, in the order of time.
    least : the smallest factor (above 1) that counts as a change.

    Notes
    -----
    A change must be visible in the medians of three periods on each side (abrupt, not a slope) and of eight (lasting;
    fewer near the ends), and clearly exceed the noise of the series.
    """
    noise = _noise(levels)
    runs: list[list[tuple[int, float]]] = []
    for i in range(MIN_PERIODS, len(levels) - MIN_PERIODS + 1):
        step = _step(levels, i, math.log(least), noise)
        if step == 0:
            continue
        if runs and i - runs[-1][-1][0] <= MIN_PERIODS and (step > 0) == (runs[-1][-1][1] > 0):
            runs[-1].append((i, step))
        else:
            runs.append([(i, step)])
    return tuple(_sharpest(levels, run) for run in runs)


def _sides(levels: Floats, i: int, width: int) -> tuple[Floats, Floats]:
    return levels[max(i - width, 0) : i], levels[i : i + width]


def _step(levels: Floats, i: int, least: float, noise: float) -> float:
    """Return the change of level at position ``i``; 0 if it is not lasting."""
    near, far = (tuple(map(np.median, _sides(levels, i, width))) for width in (MIN_PERIODS, LASTING_PERIODS))
    abrupt, lasting = float(near[1] - near[0]), float(far[1] - far[0])
    if abrupt * lasting <= 0 or min(abs(abrupt), abs(lasting)) < max(least, NOISE_FACTOR * noise):
        return 0.0
    # Two high periods among the newest three may also be a spike.
    halfway = (far[0] + far[1]) / 2
    stable = np.sign(levels[i : i + MIN_PERIODS] - halfway) == np.sign(lasting)
    return lasting if stable.all() else 0.0


def _noise(levels: Floats) -> float:
    """Return the standard deviation of a period around its level, which is robust to the changes themselves."""
    steps = np.abs(np.diff(levels))
    return float(np.median(steps)) / _MAD / math.sqrt(2) if len(steps) else 0.0


def _sharpest(levels: Floats, run: list[tuple[int, float]]) -> Change:
    """Return the neighboring candidate whose two levels fit best."""
    low, high = max(run[0][0] - LASTING_PERIODS, 0), run[-1][0] + LASTING_PERIODS

    def residual(candidate: tuple[int, float]) -> float:
        sides = levels[low : candidate[0]], levels[candidate[0] : high]
        return float(sum(np.abs(side - np.median(side)).sum() for side in sides))

    position, step = min(run, key=residual)
    return Change(position, math.exp(step))
