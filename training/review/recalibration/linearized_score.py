"""A score whose unknown dimensions leave their weight to the others, and how it moves with the weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.utils.arrays import Bools, Floats

# Of the weights in force, mixed into those that spread an unknown dimension's weight: where the fit gives nothing to
# any of the known ones, these decide, and the score does not jump.
_MIXED_SHARE = 1e-3


class LinearizedScore(NamedTuple):
    """Slope times score of n rows, shape (n,), and its derivatives by the dimensions' slopes, shape (n, dimensions).

    It is homogeneous: the value is the sum of slopes times derivatives.
    """

    value: Floats
    slopes: Floats


def weighted_score(points: Floats, weights: Floats) -> Floats:
    """The weighted mean of each row's known points, as ``models/health/rubric.py`` spreads weights.

    Parameters
    ----------
    points : NaN unknown, shape (n, dimensions).
    weights : 0 or more, in any unit, shape (dimensions,).

    Returns
    -------
    Shape (n,); the plain mean where only dimensions without weight are known, NaN where none is.
    """
    known = ~np.isnan(points)
    filled = np.where(known, points, 0.0)
    there, count = known @ weights, known.sum(axis=1)
    found = np.divide(filled @ weights, there, out=np.full(len(points), np.nan), where=there > 0)
    plain = np.divide(filled.sum(axis=1), count, out=np.full(len(points), np.nan), where=count > 0)
    return np.asarray(np.where(there > 0, found, plain), dtype=np.float64)


def linearized_score(points: Floats, known: Bools, slopes: Floats, own: Floats) -> LinearizedScore:
    """Slope times score at these slopes, as a sum over dimensions.

    Parameters
    ----------
    points : shape (n, dimensions), NaN unknown; each row has a known one. known : which are.
    slopes : log-odds per point of each dimension, 0 or more, shape (dimensions,); their sum is the score's.
    own : shares of weight that decide where all the slopes are 0, shape (dimensions,).
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
