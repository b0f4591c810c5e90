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
    known = ~np.isnan(points)
    filled = np.where(known, points, 0.0)
    there, count = known @ weights, known.sum(axis=1)
    found = np.divide(filled @ weights, there, out=np.full(len(points), np.nan), where=there > 0)
    plain = np.divide(filled.sum(axis=1), count, out=np.full(len(points), np.nan), where=count > 0)
    return np.asarray(np.where(there > 0, found, plain), dtype=np.float64)


def linearized_score(points: Floats, known: Bools, slopes: Floats, own: Floats) -> LinearizedScore:
    """Compute slope times score and its derivatives, as a sum over dimensions.

    Parameters
    ----------
    points : NaN if missing, with at least one value per row, shape (n, dimensions).
    known : mask of the available points, shape (n, dimensions).
    slopes : log-odds per point of each dimension, 0 or more, shape (dimensions,). Their sum is the slope of the
        score.
    own : shares of weight to use if all slopes are 0, shape (dimensions,).
    """
    slope = slopes.sum()
    share = slopes / slope if slope > 0 else own
    out = np.where(known, points, 0.0)
    part = ~known.all(axis=1)
    if part.any():
        mixed = (share + _MIXED_SHARE * own) / (1 + _MIXED_SHARE)
        there = (known[part] @ mixed)[:, None]
        score = (out[part] @ mixed)[:, None] / there
        by_share = known[part] * (out[part] - score) / there / (1 + _MIXED_SHARE)
        out[part] = score + by_share - (by_share @ share)[:, None]
    return LinearizedScore(out @ slopes, out)
