"""Drift of a feature or a score since training, measured by the population stability index (PSI).

PSI = sum over bins of (now - then) log(now / then). The bins are deciles of the training portfolio, plus one for
unknown values; each category is a bin (Siddiqi 2006, chapter 8). By convention, a PSI below 0.1 is stable, and a PSI
above 0.25 is a shift. Drift means that the data has changed, not that the model is worse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from features.utils.arrays import Floats

BINS = 10
SHIFT_LIMIT = 0.25
# Half a row in an empty bin keeps the logarithm finite; with few rows, chance has a similar effect.
_HALF = 0.5


def psi(then: pd.Series[Any], now: pd.Series[Any]) -> float:
    """Return the PSI of one column, 0 or more; NaN if either side has no rows.

    Parameters
    ----------
    then, now : values at training and now, both numbers (NaN unknown) or both categories.
    """
    if not len(then) or not len(now):
        return float("nan")
    if pd.api.types.is_numeric_dtype(then) or pd.api.types.is_bool_dtype(then):
        values = then.to_numpy(dtype=np.float64)
        values = values[np.isfinite(values)]
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])) if len(values) else np.array([])
        counts = [_binned(side.to_numpy(dtype=np.float64), edges) for side in (then, now)]
    else:
        levels = pd.Index(pd.concat([then, now]).dropna().unique())
        counts = [
            np.bincount(levels.get_indexer(side) + 1, minlength=len(levels) + 1).astype(np.float64)
            for side in (then, now)
        ]
    filled = (counts[0] + counts[1]) > 0
    shares = [np.maximum(c[filled], _HALF) / np.maximum(c[filled], _HALF).sum() for c in counts]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def expected_psi(then: int, now: int, bins: int = BINS) -> float:
    """Return the mean PSI without any change: (bins - 1)(1/then + 1/now) (Yurdakul 2018).

    Parameters
    ----------
    then, now : the number of rows on each side.
    bins : the number of bins.
    """
    return (bins - 1) * (1 / max(then, 1) + 1 / max(now, 1))


def _binned(values: Floats, edges: Floats) -> Floats:
    place = np.where(np.isfinite(values), np.searchsorted(edges, values, side="left") + 1, 0)
    return np.bincount(place, minlength=len(edges) + 2).astype(np.float64)
