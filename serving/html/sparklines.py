"""Coordinates of small charts that templates draw as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime


def polylines(
    values: Sequence[float | None],
    width: float,
    height: float,
    top: float = 100.0,
    positions: Sequence[float] | None = None,
) -> list[str]:
    """Return the points of polylines, one for each run without a gap.

    A single value becomes a line one unit wide, so that it is visible.

    Parameters
    ----------
    values : the values from left to right; None and NaN are gaps.
    width, height : the size of the drawing.
    top : the value at the top; the bottom is 0.
    positions : the place of each value, from 0 (left) to 1; by default at even distances.

    Returns
    -------
    list of str
        The ``points`` attributes of SVG polylines.
    """
    runs = _runs(values, width, height, top, positions)
    return [" ".join(run if len(run) > 1 else [run[0], _next_to(run[0])]) for run in runs]


def sparkline(
    values: Sequence[float | None], width: float = 84, height: float = 24, positions: Sequence[float] | None = None
) -> list[str]:
    """Return the lines of a small chart that reaches from the lowest value to the highest.

    Parameters
    ----------
    values : the values from left to right; None is a gap. A constant is a line through the middle.
    width, height : the size of the drawing.
    positions : as `polylines`.

    Returns
    -------
    list of str
        As `polylines`.
    """
    numbers = [value for value in values if value is not None]
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)
    span, level = (high - low) or 1.0, 0.5 if high == low else 0.0
    return polylines([None if v is None else (v - low) / span + level for v in values], width, height, 1.0, positions)


def interval_areas(
    lows: Sequence[float | None],
    highs: Sequence[float | None],
    width: float,
    height: float,
    top: float = 100.0,
    positions: Sequence[float] | None = None,
) -> list[str]:
    """Return the points of the areas between two lines, one for each run without a gap.

    Parameters
    ----------
    lows, highs : the lower and the upper ends from left to right; None is a gap, in both of them.
    width, height, top, positions : as in `polylines`.

    Returns
    -------
    list of str
        The ``points`` attributes of SVG polygons. Runs of one value have no area and are left out.
    """
    below, above = (_runs(values, width, height, top, positions) for values in (lows, highs))
    return [" ".join([*upper, *reversed(lower)]) for lower, upper in zip(below, above, strict=True) if len(lower) > 1]


def time_positions(instants: Sequence[datetime]) -> list[float]:
    """Return the place of each instant between the first (0) and the last (1); all at 0 if they are the same."""
    if not instants:
        return []
    span = (instants[-1] - instants[0]).total_seconds() or 1.0
    return [(instant - instants[0]).total_seconds() / span for instant in instants]


def _runs(
    values: Sequence[float | None], width: float, height: float, top: float, positions: Sequence[float] | None
) -> list[list[str]]:
    step = 1.0 / max(1, len(values) - 1)
    runs: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None or math.isnan(value):
            runs.append([])
        else:
            x = width * (index * step if positions is None else positions[index])
            runs[-1].append(f"{x:.1f},{height - height * min(max(value / top, 0.0), 1.0):.1f}")
    return [run for run in runs if run]


def _next_to(point: str) -> str:
    x, _, y = point.partition(",")
    return f"{float(x) + 1:.1f},{y}"


def axis_maximum(value: float) -> float:
    """Return a round number at or slightly above ``value``, as the maximum of a probability axis."""
    for top in (0.05, 0.1, 0.2, 0.25, 0.5, 0.75):
        if value <= top:
            return top
    return 1.0
