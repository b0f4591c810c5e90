"""The small logistic regressions reach the minimum from any start."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from training.statistics import newton_logistic


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    slope=st.floats(-3, 3),
    scale=st.floats(0.1, 30),
    center=st.floats(-3, 3),
    start=st.floats(-3, 3),
    strength=st.sampled_from([0.01, 1.0, 10.0]),
)
def test_the_gradient_is_zero_at_the_solution(
    seed: int, slope: float, scale: float, center: float, start: float, strength: float
) -> None:
    """Also where the prior has the wrong sign and saturates the probabilities, so that plain Newton steps jump over the
    minimum."""
    rng = np.random.default_rng(seed)
    z = rng.normal(center, 1.0, 400)
    y = (rng.random(400) < scipy.special.expit(slope * z)).astype(np.float64)
    design, weights = np.column_stack([scale * z, np.ones(400)]), rng.poisson(1.0, (3, 400)).astype(np.float64)
    prior, precision = np.array([start, 0.0]), np.array([strength * scale**2, 1e-3])
    for parameters, w in zip(newton_logistic.fit(design, y, weights, prior, precision), weights, strict=True):
        residual = w * (scipy.special.expit(design @ parameters) - y)
        gradient = residual @ design + precision * (parameters - prior)
        assert gradient / [scale, 1.0] == pytest.approx(np.zeros(2), abs=1e-4)


def test_an_offset_is_added_to_the_log_odds() -> None:
    rng = np.random.default_rng(0)
    offset = rng.normal(-1, 1, 20_000)
    y = (rng.random(len(offset)) < scipy.special.expit(offset + 0.7)).astype(np.float64)
    ones, none = np.ones((len(y), 1)), np.zeros(1)
    assert newton_logistic.fit(ones, y, ones.T, none, none, offset)[0, 0] == pytest.approx(0.7, abs=0.06)


def test_weighted_fits_agree_with_scikit_learn() -> None:
    """All sets of weights together give the same parameters as one fit for each."""
    rng = np.random.default_rng(3)
    raw = rng.normal(-2, 1.2, 3_000)
    y = (rng.random(3_000) < scipy.special.expit(raw)).astype(float)
    weights = rng.poisson(1.0, (5, len(y))).astype(float)
    result = newton_logistic.fit(np.column_stack([raw, np.ones_like(raw)]), y, weights, np.zeros(2), np.zeros(2))
    for parameters, w in zip(result, weights, strict=True):
        one = LogisticRegression(C=np.inf, tol=1e-10).fit(raw[:, None], y, sample_weight=w)
        assert parameters == pytest.approx([one.coef_[0, 0], one.intercept_[0]], abs=1e-5)
