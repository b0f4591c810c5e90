"""Shapley values of a leaf: what its m conditions contribute, each satisfied by a row or not.

A row "plays" a set of columns: on those its own conditions count, 1 or 0; on the others the training rows' share.
The game is worth the leaf's value times the product. Over the order in which columns join, column i's average
contribution is

    value (o_i - z_i) times the integral from 0 to 1 over t of the product over j != i of t o_j + (1 - t) z_j

with o_j 1 where the condition is satisfied and else 0, and z_j its share: path-dependent TreeSHAP (Lundberg et al.
2020), written with an integral as in Quadrature-TreeSHAP (Wettenstein, Mitchell and Yu 2026). The integrand is a
polynomial of degree m - 1, so that Gauss-Legendre's rule with m / 2 points is exact; nothing cancels, for every factor
is positive.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Factors(NamedTuple):
    """For l leaves, m conditions, not satisfied and satisfied, at k points: arrays of shape (l, m, 2, k).

    ``whole`` is the factor t o + (1 - t) z; ``own`` is value (o - z) weight / whole, which makes of the product of all
    factors what is summed over the points.
    """

    whole: Floats
    own: Floats


def factors(shares: Floats, values: Floats) -> Factors:
    """Of leaves with shares (l, m), each above 0, and values (l,)."""
    points, weights = np.polynomial.legendre.leggauss(max((shares.shape[1] + 1) // 2, 1))
    t, satisfied = (points + 1) / 2, np.array([0.0, 1.0])[:, None]
    share = shares[:, :, None, None]
    whole = t * satisfied + (1 - t) * share
    return Factors(whole, values[:, None, None, None] * (satisfied - share) * (weights / 2) / whole)


def leaf_tables(shares: Floats, values: Floats) -> Floats:
    """All that l leaves of m conditions can contribute: shape (l, m, 2^m).

    The last axis is the pattern of satisfied conditions, condition i as bit i.
    """
    (leaves, conditions), (whole, own) = shares.shape, factors(shares, values)
    product = np.ones((leaves, 1, whole.shape[3]))
    for i in range(conditions):
        product = np.concatenate([product * whole[:, i, None, 0], product * whole[:, i, None, 1]], axis=1)
    answer = np.empty((leaves, conditions, 2**conditions))
    for i in range(conditions):
        by_bit = product.reshape(leaves, -1, 2, 2**i, product.shape[2])
        answer[:, i] = np.einsum("lhbok,lbk->lhbo", by_bit, own[:, i]).reshape(leaves, -1)
    return answer
