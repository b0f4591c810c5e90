"""Probabilities by any date: they equal the model's at its horizons, never decrease, and jump at the renewal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.renewals.hazard_interpolation import probability_by

NO = np.nan


def by(horizons: dict[int, float], days: float, renewal: float = NO) -> float:
    result = {h: np.array([p]) for h, p in horizons.items()}
    return float(probability_by(result, np.array([days]), np.array([renewal]))[0])


HORIZONS = {30: 0.01, 60: 0.02, 90: 0.10, 180: 0.15}


def test_it_equals_the_model_at_its_horizons() -> None:
    for renewal in (NO, 0.0, 10.0, 75.0, 120.0, 300.0):
        for days, p in HORIZONS.items():
            assert by(HORIZONS, days, renewal) == pytest.approx(p)


def test_the_jump_lies_at_the_renewal() -> None:
    # The hazard per day from 30 to 60 is the constant rate; the excess in the interval to 90 occurs on day 75.
    rate = (np.log(0.99) - np.log(0.98)) / 30
    before, after = by(HORIZONS, 75.0, 75.0), by(HORIZONS, 75.001, 75.0)
    assert -np.log1p(-before) == pytest.approx(-np.log(0.98) + 15 * rate)
    assert -np.log1p(-after) == pytest.approx(-np.log(0.90) - 15 * rate, rel=1e-3)


def test_the_jump_of_a_renewal_near_a_horizon_is_complete_after_the_grace_period() -> None:
    # Renewal on day 100, evaluated for day 130: a straight line from 90 to 180 would omit more than half of it.
    assert by({90: 0.01, 180: 0.30}, 130.0, 100.0) > 0.29
    assert by({90: 0.01, 180: 0.30}, 130.0) == pytest.approx(1 - np.exp(np.log(0.99) + (np.log(0.7) - np.log(0.99)) * 4 / 9))


def test_a_single_horizon_gives_a_constant_hazard() -> None:
    assert by({90: 0.19}, 45.0) == pytest.approx(1 - 0.81**0.5)
    assert by({90: 0.19}, 0.0) == 0.0
    assert by({90: 0.19}, 120.0, 60.0) == pytest.approx(0.19), "no hazard is known after the renewal"


def test_probabilities_beyond_the_horizons_are_unknown() -> None:
    assert np.isnan(by(HORIZONS, 181.0, 200.0)), "the renewal is beyond its horizons"
    assert np.isnan(by(HORIZONS, 200.0))
    assert np.isnan(by({90: NO}, 30.0, 10.0))
    assert by(HORIZONS, 120.0, 400.0) == pytest.approx(by(HORIZONS, 120.0)), "a distant renewal does not affect earlier dates"


CHANCE = st.floats(0.0, 0.999)


@given(
    st.lists(CHANCE, min_size=4, max_size=4),
    st.floats(0, 179.9) | st.just(NO),
    st.lists(st.floats(0, 180), min_size=2, max_size=2),
)
def test_it_never_decreases_and_is_a_probability(ps: list[float], renewal: float, days: list[float]) -> None:
    result = dict(zip((30, 60, 90, 180), sorted(ps), strict=True))
    first, second = (by(result, d, renewal) for d in sorted(days))
    assert 0.0 <= first <= second + 1e-12 <= 1.0 + 1e-12
    if not np.isnan(renewal):
        assert by(result, 230.0, renewal) >= by(result, 180.0, renewal) - 1e-12
