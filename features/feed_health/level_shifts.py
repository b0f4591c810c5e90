"""Lasting changes of level in a short series, told from spikes, slopes and noise. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Periods that a level must have been held for before, and after, a change of it is named.
LEAST_PERIODS = 3
# Periods on each side that a change is judged by. A spike is outvoted by the median of so many.
LASTING_PERIODS = 8
# How many times the noise from one period to the next a change must exceed: past four, chance is out of the question.
NOISES = 4.0
# The median absolute deviation of a normal variable, as a share of its standard deviation.
_MAD = 0.6745


@dataclass(frozen=True)
class Change:
    """A change of level: the position of the first period on the new one, and new over old level."""

    position: int
    factor: float


def level_changes(levels: Floats, least: float) -> tuple[Change, ...]:
    """The lasting changes of level by a factor of `least` or more, up or down, in order.

    Parameters
    ----------
    levels : natural logarithms of the level per period, finite, in the order of time.
    least : the smallest factor (above 1) that is a change.

    A change must hold between the medians of the three periods on each side (so it is abrupt, no slope) and of the
    eight (so it lasts; nearer the ends, of those that there are), and be unmistakable beside the series' own noise.
    """
    noise = _noise(levels)
    runs: list[list[tuple[int, float]]] = []
    for i in range(LEAST_PERIODS, len(levels) - LEAST_PERIODS + 1):
        step = _step(levels, i, math.log(least), noise)
        if step == 0:
            continue
        if runs and i - runs[-1][-1][0] <= LEAST_PERIODS and (step > 0) == (runs[-1][-1][1] > 0):
            runs[-1].append((i, step))
        else:
            runs.append([(i, step)])
    return tuple(_sharpest(levels, run) for run in runs)


def _sides(levels: Floats, i: int, width: int) -> tuple[Floats, Floats]:
    return levels[max(i - width, 0) : i], levels[i : i + width]


def _step(levels: Floats, i: int, least: float, noise: float) -> float:
    """By how much the level changes at position `i`; 0 if it is no lasting change."""
    near, far = (tuple(map(np.median, _sides(levels, i, width))) for width in (LEAST_PERIODS, LASTING_PERIODS))
    abrupt, lasting = float(near[1] - near[0]), float(far[1] - far[0])
    if abrupt * lasting <= 0 or min(abs(abrupt), abs(lasting)) < max(least, NOISES * noise):
        return 0.0
    # Two high periods among the newest three are a spike as likely as a level.
    halfway = (far[0] + far[1]) / 2
    held = np.sign(levels[i : i + LEAST_PERIODS] - halfway) == np.sign(lasting)
    return lasting if held.all() else 0.0


def _noise(levels: Floats) -> float:
    """The standard deviation of a period around its level, which the few changes themselves hardly move."""
    steps = np.abs(np.diff(levels))
    return float(np.median(steps)) / _MAD / math.sqrt(2) if len(steps) else 0.0


def _sharpest(levels: Floats, run: list[tuple[int, float]]) -> Change:
    """Of neighbouring candidates, the one whose two levels leave the least unexplained."""
    low, high = max(run[0][0] - LASTING_PERIODS, 0), run[-1][0] + LASTING_PERIODS

    def unexplained(candidate: tuple[int, float]) -> float:
        sides = levels[low : candidate[0]], levels[candidate[0] : high]
        return float(sum(np.abs(side - np.median(side)).sum() for side in sides))

    position, step = min(run, key=unexplained)
    return Change(position, math.exp(step))
