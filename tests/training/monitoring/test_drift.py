"""PSI: nothing where nothing changed, the textbook's sum where something did, and blind to order and scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.monitoring.drift import SHIFT_LIMIT, expected_psi, psi

VALUES = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, allow_subnormal=False)), min_size=1, max_size=60)


@given(VALUES)
def test_equal_values_have_no_drift(values: list[float | None]) -> None:
    column = pd.Series(values, dtype="float64")
    assert psi(column, column.sample(frac=1, random_state=0)) == pytest.approx(0.0, abs=1e-12)


@given(VALUES, VALUES, st.floats(0.01, 100))
def test_psi_is_not_negative_and_ignores_the_unit(
    then: list[float | None], now: list[float | None], unit: float
) -> None:
    one, other = (pd.Series(v, dtype="float64") for v in (then, now))
    assert psi(one, other) >= 0
    # Powers of two scale without rounding, so that bins stay the same, as long as no number becomes subnormal.
    power = 2.0 ** abs(round(np.log2(unit)))
    assert psi(one * power, other * power) == pytest.approx(psi(one, other))


def test_psi_equals_the_textbook_value() -> None:
    """Half the rows in each of two bins, then three quarters and a quarter."""
    then, now = pd.Series(["a"] * 50 + ["b"] * 50), pd.Series(["a"] * 75 + ["b"] * 25)
    assert psi(then, now) == pytest.approx(0.25 * np.log(0.75 / 0.5) - 0.25 * np.log(0.25 / 0.5))


def test_a_unit_change_and_a_silent_feed_are_detected() -> None:
    then = pd.Series(np.random.default_rng(0).lognormal(size=500))
    assert psi(then, then * 60) > SHIFT_LIMIT
    assert psi(then, then.mask(np.arange(500) % 2 == 0)) > SHIFT_LIMIT


def test_expected_psi_matches_simulation() -> None:
    rng = np.random.default_rng(1)
    values = [psi(pd.Series(rng.normal(size=300)), pd.Series(rng.normal(size=200))) for _ in range(200)]
    assert np.mean(values) == pytest.approx(expected_psi(300, 200), rel=0.2)


def test_psi_of_no_rows_is_undefined() -> None:
    assert np.isnan(psi(pd.Series([], dtype="float64"), pd.Series([1.0])))
