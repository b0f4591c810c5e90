"""Small drawings beside numbers: places of points and bars, which templates write as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence


def lines(values: Sequence[float | None], width: float, height: float, top: float = 100.0) -> list[str]:
    """``values`` over their places from left to right, 0 at the bottom and ``top`` at the top, as points of polylines:
    one for each run without a gap. A value that stands alone is a line too short to see by itself, so it is made a
    point wide."""
    step = width / max(1, len(values) - 1)
    found: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None or math.isnan(value):
            found.append([])
        else:
            found[-1].append(f"{place * step:.1f},{height - height * min(max(value / top, 0.0), 1.0):.1f}")
    runs = [run for run in found if run]
    return [" ".join(run if len(run) > 1 else [run[0], _beside(run[0])]) for run in runs]


def _beside(point: str) -> str:
    x, _, y = point.partition(",")
    return f"{float(x) + 1:.1f},{y}"


def nice_top(value: float) -> float:
    """A round number, ``value`` or a little above, as the end of an axis of probabilities."""
    for top in (0.05, 0.1, 0.2, 0.25, 0.5, 0.75):
        if value <= top:
            return top
    return 1.0
