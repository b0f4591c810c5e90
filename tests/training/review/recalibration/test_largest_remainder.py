"""Rounded changes are whole steps, sum to 0, and stay within their bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.review.recalibration.largest_remainder import round_to_steps


def test_rounding() -> None:
    cap = np.full(3, 5.0)
    assert round_to_steps(np.array([3.4, -1.7, -1.7]), 1.0, -cap, cap).tolist() == [4, -2, -2]
    assert round_to_steps(np.array([0.3, -0.1, -0.2]), 1.0, -cap, cap).tolist() == [0, 0, 0]
    assert round_to_steps(np.array([5.0, -2.5, -2.5]), 0.5, -cap, cap).tolist() == [5, -2.5, -2.5]


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.sampled_from([0.5, 1.0]))
@settings(max_examples=40)
def test_bounds_and_sum(values: list[float], step: float) -> None:
    change = np.array(values) - np.mean(values)
    low, high = np.minimum(np.full(len(change), -5.0), change), np.maximum(np.full(len(change), 5.0), change)
    rounded = round_to_steps(change, step, low, high)
    assert rounded.sum() == 0
    assert ((rounded >= low - 1e-9) & (rounded <= high + 1e-9)).all()
    assert np.abs(rounded - change).max() <= step * len(change)
    assert rounded / step == pytest.approx(np.round(rounded / step))
