"""The weight of missing dimensions is distributed over the others, as in the rubric."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.review.recalibration.linearized_score import linearized_score, weighted_score

OWN = np.array([0.5, 0.3, 0.2])
POINTS = np.array([[40.0, 60.0, 80.0], [np.nan, 60.0, 80.0], [np.nan, np.nan, 80.0], [np.nan] * 3])


def test_weighted_scores() -> None:
    assert weighted_score(POINTS, OWN)[:3] == pytest.approx([54.0, (18 + 16) / 0.5, 80.0])
    assert np.isnan(weighted_score(POINTS, OWN)[3])


def test_only_dimensions_without_weight() -> None:
    assert weighted_score(POINTS[1:2], np.array([1.0, 0.0, 0.0])) == pytest.approx([70.0])


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
@settings(max_examples=20)
def test_derivatives_of_slope_times_score(slopes: list[float]) -> None:
    points, available = POINTS[:3], ~np.isnan(POINTS[:3])
    at = np.array(slopes)
    linearized = linearized_score(points, available, at, OWN)
    # A thousandth of the current weights is mixed into the weights that distribute a missing dimension.
    assert linearized.value == pytest.approx(at.sum() * weighted_score(points, at), rel=2e-2)
    assert linearized.value[[0, 2]] == pytest.approx(at.sum() * weighted_score(points, at)[[0, 2]])
    for j in range(3):
        move = np.eye(3)[j] * 1e-6
        up, down = (linearized_score(points, available, at + sign * move, OWN).value for sign in (1, -1))
        assert linearized.slopes[:, j] == pytest.approx((up - down) / 2e-6, rel=1e-3, abs=1e-2)
