"""Lasting level shifts are detected; spikes, slopes and noise are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.feed_health.level_shifts import MIN_PERIODS, level_changes
from features.utils.arrays import Floats


def _levels(*runs: tuple[int, float]) -> Floats:
    """Return the logarithms of runs of (periods, level)."""
    return np.log(np.concatenate([np.full(n, level) for n, level in runs]))


@pytest.mark.parametrize("factor", [5.5, 60, 1 / 60, 1000])
@pytest.mark.parametrize("at", [3, 10, 17])
def test_a_change_is_found_at_its_position(factor: float, at: int) -> None:
    (change,) = level_changes(_levels((at, 2.0), (20 - at, 2.0 * factor)), 5)
    assert change.position == at
    assert change.factor == pytest.approx(factor)


def test_a_change_back_is_another_change() -> None:
    changes = level_changes(_levels((20, 1), (10, 60), (20, 1)), 5)
    assert [(c.position, round(c.factor, 3)) for c in changes] == [(20, 60.0), (30, 0.017)]


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 20])
def test_a_spike_is_not_a_change(length: int, after: int) -> None:
    assert level_changes(_levels((20, 1), (length, 60), (after, 1)), 5) == ()


def test_a_slope_is_not_a_change() -> None:
    assert level_changes(np.linspace(0, math.log(1000), 60), 5) == ()


def test_a_change_below_the_minimum_is_ignored() -> None:
    assert level_changes(_levels((20, 1), (20, 4.9)), 5) == ()


def test_noisy_levels_have_no_change() -> None:
    assert level_changes(np.tile(np.log([1, 50]), 20), 5) == ()


@pytest.mark.parametrize("length", range(6))
def test_a_short_series_has_no_change(length: int) -> None:
    assert len(level_changes(_levels((length // 2, 1), (length - length // 2, 60)), 5)) == 0


@given(st.data())
def test_a_change_of_unit_is_always_found(data: st.DataObject) -> None:
    """A factor of 60 from any period on, with noise of up to 40% (e^0.35)."""
    n = data.draw(st.integers(2 * MIN_PERIODS, 80))
    at = data.draw(st.integers(MIN_PERIODS, n - MIN_PERIODS))
    noise = data.draw(st.lists(st.floats(-0.35, 0.35), min_size=n, max_size=n))
    levels = np.array(noise) + np.where(np.arange(n) < at, 0.0, math.log(60))
    (change,) = level_changes(levels, 5)
    assert change.position == at
    assert 60 / math.exp(0.7) <= change.factor <= 60 * math.exp(0.7)


@given(st.lists(st.floats(-0.75, 0.75), max_size=100), st.floats(-20, 20))
def test_noise_below_the_minimum_is_never_a_change(noise: list[float], level: float) -> None:
    assert level_changes(np.array(noise) + level, 5) == ()
