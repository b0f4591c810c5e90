"""Shapley values of a leaf: the contribution of each of its m conditions, satisfied by a row or not.

In the game, a coalition is a set of columns. The conditions on its columns count 1 or 0, as the row satisfies them or
not; the other conditions count the share of training rows that satisfy them. The value of a coalition is the leaf's
value times the product. Averaged over the orders in which columns can join, the contribution of column i is

    value (o_i - z_i) times the integral from 0 to 1 over t of the product over j != i of t o_j + (1 - t) z_j

where o_j is 1 if the condition is satisfied and 0 if not, and z_j is its share: path-dependent TreeSHAP (Lundberg et
al. 2020), written as an integral as in Quadrature-TreeSHAP (Wettenstein, Mitchell and Yu 2026). The integrand is a
polynomial of degree m - 1, so that Gauss-Legendre quadrature with m / 2 points is exact. There is no cancellation,
since every factor is positive.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.utils.arrays import Floats


class LeafFactors(NamedTuple):
    """Factors of l leaves with m conditions, not satisfied and satisfied, at k points: arrays of shape (l, m, 2, k).

    ``whole`` is the factor t o + (1 - t) z; ``own`` is value (o - z) weight / whole. The product of all whole factors,
    times ``own`` and summed over the points, is the contribution.
    """

    whole: Floats
    own: Floats


def leaf_factors(shares: Floats, values: Floats) -> LeafFactors:
    """Compute the factors of leaves with shares (l, m), each above 0, and values (l,)."""
    points, weights = np.polynomial.legendre.leggauss(max((shares.shape[1] + 1) // 2, 1))
    t, satisfied = (points + 1) / 2, np.array([0.0, 1.0])[:, None]
    share = shares[:, :, None, None]
    whole = t * satisfied + (1 - t) * share
    return LeafFactors(whole, values[:, None, None, None] * (satisfied - share) * (weights / 2) / whole)


def leaf_tables(shares: Floats, values: Floats) -> Floats:
    """Compute all possible contributions of l leaves with m conditions: shape (l, m, 2^m).

    The last axis is the pattern of satisfied conditions, condition i as bit i.
    """
    (leaves, conditions), (whole, own) = shares.shape, leaf_factors(shares, values)
    product = np.ones((leaves, 1, whole.shape[3]))
    for i in range(conditions):
        product = np.concatenate([product * whole[:, i, None, 0], product * whole[:, i, None, 1]], axis=1)
    answer = np.empty((leaves, conditions, 2**conditions))
    for i in range(conditions):
        by_bit = product.reshape(leaves, -1, 2, 2**i, product.shape[2])
        answer[:, i] = np.einsum("lhbok,lbk->lhbo", by_bit, own[:, i]).reshape(leaves, -1)
    return answer
