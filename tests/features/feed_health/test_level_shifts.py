"""Changes of level that last are found; spikes, slopes and noise are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.feed_health.level_shifts import LEAST_PERIODS, Floats, level_changes


def _levels(*runs: tuple[int, float]) -> Floats:
    """Runs of (periods, level) as logarithms."""
    return np.log(np.concatenate([np.full(n, level) for n, level in runs]))


@pytest.mark.parametrize("factor", [5.5, 60, 1 / 60, 1000])
@pytest.mark.parametrize("at", [3, 10, 17])
def test_a_change_is_found_where_it_is(factor: float, at: int) -> None:
    (change,) = level_changes(_levels((at, 2.0), (20 - at, 2.0 * factor)), 5)
    assert change.position == at
    assert change.factor == pytest.approx(factor)


def test_a_change_back_is_another_change() -> None:
    found = level_changes(_levels((20, 1), (10, 60), (20, 1)), 5)
    assert [(c.position, round(c.factor, 3)) for c in found] == [(20, 60.0), (30, 0.017)]


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 20])
def test_a_spike_is_none(length: int, after: int) -> None:
    assert level_changes(_levels((20, 1), (length, 60), (after, 1)), 5) == ()


def test_a_slope_is_none() -> None:
    assert level_changes(np.linspace(0, math.log(1000), 60), 5) == ()


def test_a_change_below_the_least_is_none() -> None:
    assert level_changes(_levels((20, 1), (20, 4.9)), 5) == ()


def test_levels_that_swing_by_more_have_none() -> None:
    assert level_changes(np.tile(np.log([1, 50]), 20), 5) == ()


@pytest.mark.parametrize("length", range(6))
def test_a_short_series_is_let_be(length: int) -> None:
    assert len(level_changes(_levels((length // 2, 1), (length - length // 2, 60)), 5)) == 0


@given(st.data())
def test_a_change_of_unit_is_always_found(data: st.DataObject) -> None:
    """Sixtyfold, from any period on, in any noise of up to 40% (e^0.35) either way."""
    n = data.draw(st.integers(2 * LEAST_PERIODS, 80))
    at = data.draw(st.integers(LEAST_PERIODS, n - LEAST_PERIODS))
    noise = data.draw(st.lists(st.floats(-0.35, 0.35), min_size=n, max_size=n))
    levels = np.array(noise) + np.where(np.arange(n) < at, 0.0, math.log(60))
    (change,) = level_changes(levels, 5)
    assert change.position == at
    assert 60 / math.exp(0.7) <= change.factor <= 60 * math.exp(0.7)


@given(st.lists(st.floats(-0.75, 0.75), max_size=100), st.floats(-20, 20))
def test_noise_below_the_least_is_never_a_change(noise: list[float], level: float) -> None:
    assert level_changes(np.array(noise) + level, 5) == ()
