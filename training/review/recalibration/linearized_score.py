"""The weighted score with missing dimensions, and its derivatives by the weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.utils.arrays import Bools, Floats

# Share of the current weights mixed into the weights that distribute the weight of a missing dimension. If the fit
# gives no weight to any available dimension, the current weights decide, and the score stays continuous.
_MIXED_SHARE = 1e-3


class LinearizedScore(NamedTuple):
    """Slope times score of n rows, shape (n,), and its derivatives by the dimensions' slopes, shape (n, dimensions).

    The value is homogeneous: it equals the sum of slopes times derivatives.
    """

    value: Floats
    slopes: Floats


def weighted_score(points: Floats, weights: Floats) -> Floats:
    """Compute the weighted mean of the available points of each row, as ``models/health/rubric.py`` does.

    Parameters
    ----------
    points : NaN if missing, shape (n, dimensions).
    weights : 0 or more, in any unit, shape (dimensions,).

    Returns
    -------
    Shape (n,); the unweighted mean if only dimensions without weight are available, NaN if none is.
    """
    available = ~np.isnan(points)
    filled = np.where(available, points, 0.0)
    available_weight, count = available @ weights, available.sum(axis=1)
    weighted = np.divide(
        filled @ weights, available_weight, out=np.full(len(points), np.nan), where=available_weight > 0
    )
    plain = np.divide(filled.sum(axis=1), count, out=np.full(len(points), np.nan), where=count > 0)
    return np.asarray(np.where(available_weight > 0, weighted, plain), dtype=np.float64)


def linearized_score(points: Floats, available: Bools, slopes: Floats, own: Floats) -> LinearizedScore:
    """Compute slope times score and its derivatives, as a sum over dimensions.

    Parameters
    ----------
    points : NaN if missing, with at least one value per row, shape (n, dimensions).
    available : mask of the available points, shape (n, dimensions).
    slopes : log-odds per point of each dimension, 0 or more, shape (dimensions,). Their sum is the slope of the
        score.
    own : shares of weight to use if all slopes are 0, shape (dimensions,).
    """
    slope = slopes.sum()
    share = slopes / slope if slope > 0 else own
    out = np.where(available, points, 0.0)
    part = ~available.all(axis=1)
    if part.any():
        mixed = (share + _MIXED_SHARE * own) / (1 + _MIXED_SHARE)
        available_weight = (available[part] @ mixed)[:, None]
        score = (out[part] @ mixed)[:, None] / available_weight
        by_share = available[part] * (out[part] - score) / available_weight / (1 + _MIXED_SHARE)
        out[part] = score + by_share - (by_share @ share)[:, None]
    return LinearizedScore(out @ slopes, out)
