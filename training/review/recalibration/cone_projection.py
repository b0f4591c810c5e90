"""Constrained slopes: weights within bounds times a common slope form a cone, and a quadratic form has one minimum on
it."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.optimize

from features.utils.arrays import Floats


def share_cone(low: Floats, high: Floats) -> Floats:
    """Build the cone of slopes with shares within bounds, as rows g with g @ slopes >= 0.

    Parameters
    ----------
    low, high : smallest and largest share of each dimension, 0 to 1, shape (k,).

    Returns
    -------
    Shape (at most 2 k + 1, k). One row requires that the sum of the slopes is not below 0.
    """
    ones = np.ones(len(low))
    rows = [np.eye(len(low)) - np.outer(low, ones), ones[None]]
    if (high < 1.0).any():
        rows.append(np.outer(high, ones) - np.eye(len(low)))
    return np.concatenate(rows)


def project_on_cone(slopes: Floats, information: Floats, cone: Floats) -> Floats:
    """Find the point of the cone that is closest to ``slopes`` in the metric of ``information``.

    After a change of coordinates this is a Euclidean projection on a cone. It equals the point minus its projection on
    the polar cone (Moreau), which is a non-negative least squares problem (Lawson and Hanson 1974, chapter 23).

    Parameters
    ----------
    slopes : shape (k,). information : positive definite, shape (k, k). cone : shape (m, k), from `share_cone`.
    """
    root = scipy.linalg.cholesky(information, lower=True)
    sides = scipy.linalg.solve_triangular(root, cone.T, lower=True)
    goal = root.T @ slopes
    size = np.linalg.norm(goal)
    if size == 0.0:
        return slopes
    pull, _ = scipy.optimize.nnls(sides, -goal / size)
    projection: Floats = scipy.linalg.solve_triangular(root.T, goal + size * (sides @ pull), lower=False)
    return projection


def constrained_minimum(theta: Floats, gradient: Floats, hessian: Floats, cone: Floats) -> Floats:
    """Find the minimum of a quadratic form on the cone, with a free intercept.

    Parameters
    ----------
    theta : the point of expansion: intercept, then slopes; shape (1 + k,).
    gradient, hessian : at that point, in the same order.
    cone : of the slopes, shape (m, k).
    """
    a, b = hessian[0, 0], hessian[0, 1:]
    information = hessian[1:, 1:] - np.outer(b, b) / a
    information += np.eye(len(b)) * max(1e-10 * float(np.trace(information)), 1e-12)
    free = theta[1:] - np.linalg.solve(information, gradient[1:] - gradient[0] * b / a)
    slopes = project_on_cone(free, information, cone)
    intercept = theta[0] - (gradient[0] + b @ (slopes - theta[1:])) / a
    return np.concatenate([[intercept], slopes])
