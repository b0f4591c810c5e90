"""Coordinates of small charts that templates draw as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence


def polylines(values: Sequence[float | None], width: float, height: float, top: float = 100.0) -> list[str]:
    """Return the points of polylines, one for each run without a gap.

    A single value becomes a line one unit wide, so that it is visible.

    Parameters
    ----------
    values : the values from left to right; None and NaN are gaps.
    width, height : the size of the drawing.
    top : the value at the top; the bottom is 0.

    Returns
    -------
    list of str
        The ``points`` attributes of SVG polylines.
    """
    step = width / max(1, len(values) - 1)
    runs: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None or math.isnan(value):
            runs.append([])
        else:
            runs[-1].append(f"{index * step:.1f},{height - height * min(max(value / top, 0.0), 1.0):.1f}")
    return [" ".join(run if len(run) > 1 else [run[0], _next_to(run[0])]) for run in runs if run]


def _next_to(point: str) -> str:
    x, _, y = point.partition(",")
    return f"{float(x) + 1:.1f},{y}"


def axis_maximum(value: float) -> float:
    """Return a round number at or slightly above ``value``, as the maximum of a probability axis."""
    for top in (0.05, 0.1, 0.2, 0.25, 0.5, 0.75):
        if value <= top:
            return top
    return 1.0
