"""A projection is in the cone, and no point of the cone is nearer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.review.recalibration.cone_projection import project_on_cone, share_cone

LOW, HIGH = np.array([0.1, 0.2, 0.0]), np.array([0.5, 0.6, 0.3])


@given(st.integers(0, 10_000))
@settings(max_examples=50)
def test_no_point_of_the_cone_is_nearer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(3, 3))
    information, goal = root @ root.T + 0.1 * np.eye(3), rng.normal(size=3)
    projected = project_on_cone(goal, information, share_cone(LOW, HIGH))
    assert (share_cone(LOW, HIGH) @ projected >= -1e-8).all()
    near = (projected - goal) @ information @ (projected - goal)
    for _ in range(30):
        share = LOW + rng.random(3) * (HIGH - LOW)
        share /= share.sum()
        if (share >= LOW).all() and (share <= HIGH).all():
            other = share * rng.random() * 3
            assert (other - goal) @ information @ (other - goal) >= near - 1e-9


def test_a_point_of_the_cone_stays() -> None:
    inside = np.array([0.4, 0.4, 0.2])
    assert project_on_cone(inside, np.eye(3), share_cone(LOW, HIGH)) == pytest.approx(inside)
    assert project_on_cone(np.zeros(3), np.eye(3), share_cone(LOW, HIGH)).tolist() == [0, 0, 0]
