"""Drift: how far a feature or a score has moved since training, by the population stability index (PSI).

PSI = sum over bins of (now - then) log(now / then), the bins being tenths of the training portfolio and one for
unknown; categories are bins of their own (Siddiqi 2006, chapter 8). By custom below 0.1 is stable, above 0.25 another
population. It says that something has changed, never that the model is worse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from features.utils.arrays import Floats

BINS = 10
SHIFT_LIMIT = 0.25
# Half a row in an empty bin keeps the logarithm finite; with few rows that is what chance would do as well.
_HALF = 0.5


def psi(then: pd.Series[Any], now: pd.Series[Any]) -> float:
    """The index of one column, 0 or more; NaN where either side has no row.

    Parameters
    ----------
    then, now : values at training and at present, of one kind: numbers (NaN unknown) or categories.
    """
    if not len(then) or not len(now):
        return float("nan")
    if pd.api.types.is_numeric_dtype(then) or pd.api.types.is_bool_dtype(then):
        known = then.to_numpy(dtype=np.float64)
        known = known[np.isfinite(known)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.array([])
        counts = [_binned(side.to_numpy(dtype=np.float64), edges) for side in (then, now)]
    else:
        levels = pd.Index(pd.concat([then, now]).dropna().unique())
        counts = [
            np.bincount(levels.get_indexer(side) + 1, minlength=len(levels) + 1).astype(np.float64)
            for side in (then, now)
        ]
    there = (counts[0] + counts[1]) > 0
    shares = [np.maximum(c[there], _HALF) / np.maximum(c[there], _HALF).sum() for c in counts]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def expected_psi(then: int, now: int, bins: int = BINS) -> float:
    """What PSI comes to on average where nothing has changed, for so many rows on either side: (bins - 1)(1/then +
    1/now) (Yurdakul 2018)."""
    return (bins - 1) * (1 / max(then, 1) + 1 / max(now, 1))


def _binned(values: Floats, edges: Floats) -> Floats:
    place = np.where(np.isfinite(values), np.searchsorted(edges, values, side="left") + 1, 0)
    return np.bincount(place, minlength=len(edges) + 2).astype(np.float64)
