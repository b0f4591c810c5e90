"""Probabilities by a date of one's own: they meet the model's, never fall, and jump at the renewal."""

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


def test_it_meets_the_model_at_its_horizons() -> None:
    for renewal in (NO, 0.0, 10.0, 75.0, 120.0, 300.0):
        for days, p in HORIZONS.items():
            assert by(HORIZONS, days, renewal) == pytest.approx(p)


def test_the_jump_lies_at_the_renewal() -> None:
    # Hazard per day from 30 to 60 is the even rise; what the stretch to 90 has above it comes with day 75.
    rate = (np.log(0.99) - np.log(0.98)) / 30
    before, after = by(HORIZONS, 75.0, 75.0), by(HORIZONS, 75.001, 75.0)
    assert -np.log1p(-before) == pytest.approx(-np.log(0.98) + 15 * rate)
    assert -np.log1p(-after) == pytest.approx(-np.log(0.90) - 15 * rate, rel=1e-3)


def test_a_renewal_near_its_horizon_is_all_there_a_grace_later() -> None:
    # Due on day 100, asked for day 130: a straight line from 90 to 180 would leave more than half of it out.
    assert by({90: 0.01, 180: 0.30}, 130.0, 100.0) > 0.29
    assert by({90: 0.01, 180: 0.30}, 130.0) == pytest.approx(1 - np.exp(np.log(0.99) + (np.log(0.7) - np.log(0.99)) * 4 / 9))


def test_one_horizon_is_a_line_of_hazard() -> None:
    assert by({90: 0.19}, 45.0) == pytest.approx(1 - 0.81**0.5)
    assert by({90: 0.19}, 0.0) == 0.0
    assert by({90: 0.19}, 120.0, 60.0) == pytest.approx(0.19), "after the renewal nothing is known to come"


def test_what_the_model_was_never_asked_is_not_known() -> None:
    assert np.isnan(by(HORIZONS, 181.0, 200.0)), "that renewal is in none of its horizons"
    assert np.isnan(by(HORIZONS, 200.0))
    assert np.isnan(by({90: NO}, 30.0, 10.0))
    assert by(HORIZONS, 120.0, 400.0) == pytest.approx(by(HORIZONS, 120.0)), "a far renewal matters to no near date"


CHANCE = st.floats(0.0, 0.999)


@given(
    st.lists(CHANCE, min_size=4, max_size=4),
    st.floats(0, 179.9) | st.just(NO),
    st.lists(st.floats(0, 180), min_size=2, max_size=2),
)
def test_it_never_falls_and_stays_a_probability(ps: list[float], renewal: float, days: list[float]) -> None:
    result = dict(zip((30, 60, 90, 180), sorted(ps), strict=True))
    first, second = (by(result, d, renewal) for d in sorted(days))
    assert 0.0 <= first <= second + 1e-12 <= 1.0 + 1e-12
    if not np.isnan(renewal):
        assert by(result, 230.0, renewal) >= by(result, 180.0, renewal) - 1e-12
