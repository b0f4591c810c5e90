"""The renewal forecast: a small portfolio calculated manually, and properties of any portfolio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from models.renewals.forecast import DueRenewals, forecast_due_renewals
from models.renewals.forecast_bias import BiasDistribution, bias_distribution
from models.renewals.historical_rates import HistoricalRates, SegmentRates
from models.renewals.past_forecasts import FIGURES

#: 20 renewals: a quarter grew by half, a fifth shrank to half, the others did not change.
RATES = HistoricalRates(
    segments={"all": SegmentRates(renewals=20, grew=5, shrank=4, grown=(1.5,) * 5, shrunk=(0.5,) * 4, level=(1.0,) * 11)}
)
NO_CHANGE = HistoricalRates.none()
#: Every probability is exact.
NO_BIAS = BiasDistribution(np.zeros(1), np.ones(1))
WIDE = BiasDistribution(np.array([1.5]), np.ones(1))


def due(arr: list[float], leaves: list[float], grows: list[float] | None = None) -> DueRenewals:
    n = len(arr)
    return DueRenewals(
        np.array(arr),
        np.array(leaves),
        np.full(n, 0.9),
        None if grows is None else np.array(grows),
        np.full(n, 0.9),
        np.full(n, "SMB", dtype=object),
    )


def test_a_small_portfolio_equals_a_manual_calculation() -> None:
    # a: 100 leaves with 0.2; b: 1000 never. Of those that stay, a grows with 0.4 / 0.8, b with 0.25.
    result = forecast_due_renewals(due([100.0, 1000.0], [0.2, 0.0], [0.4, 0.25]), RATES, NO_BIAS, NO_BIAS, {})["all", None]
    shrinks = 4.5 / 21
    assert (result.accounts, result.arr) == (2, 1100.0)
    assert result.renewed_accounts.value == pytest.approx(1.8)
    assert result.lost_arr.value == pytest.approx(20.0)
    assert result.renewed_arr.value == pytest.approx(1080.0)
    assert result.expanded_arr.value == pytest.approx(80 * 0.5 * 0.5 + 1000 * 0.25 * 0.5)
    assert result.contracted_arr.value == pytest.approx((80 + 1000) * shrinks * 0.5)
    assert result.grr is not None
    assert result.nrr is not None
    assert result.grr.value == pytest.approx((1080 - result.contracted_arr.value) / 1100)
    assert result.nrr.value == pytest.approx(result.grr.value + result.expanded_arr.value / 1100)


def test_certain_outcomes_give_intervals_of_zero_width() -> None:
    result = forecast_due_renewals(due([100.0, 50.0, 7.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]), NO_CHANGE, WIDE, WIDE, {})["all", None]
    for name in FIGURES:
        figure = getattr(result, name)
        assert figure.low == pytest.approx(figure.value) == pytest.approx(figure.high)
    assert result.renewed_arr.value == 107.0


def test_without_bias_the_interval_is_binomial() -> None:
    result = forecast_due_renewals(due([1.0] * 60, [0.1] * 60, [0.0] * 60), NO_CHANGE, NO_BIAS, NO_BIAS, {})["all", None]
    low, high = binom.ppf([0.1, 0.9], 60, 0.9)
    assert (result.renewed_accounts.low, result.renewed_accounts.high) == (low, high)


def test_a_shared_error_widens_the_interval_and_an_individual_error_does_not() -> None:
    accounts = due([1.0] * 400, [0.1] * 400, [0.0] * 400)
    chance, prior, wide = (
        forecast_due_renewals(accounts, NO_CHANGE, level, NO_BIAS, {})["all", None].renewed_arr for level in (NO_BIAS, bias_distribution([]), WIDE)
    )
    widths = [each.high - each.low for each in (chance, prior, wide)]
    assert widths == sorted(widths)
    assert widths[2] > 3 * widths[0]
    without_spread = replace(accounts, leaves_spread=np.zeros(400))
    alone = forecast_due_renewals(without_spread, NO_CHANGE, WIDE, NO_BIAS, {})["all", None].renewed_arr
    assert alone.high - alone.low == pytest.approx(widths[0], rel=0.1)


ROW = st.tuples(st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["a", "b", None]))


@given(st.lists(ROW, max_size=12))
@settings(max_examples=25)
def test_groups_add_up_and_every_figure_lies_in_its_interval(rows: list[tuple[float, float, float, str | None]]) -> None:
    accounts = due([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    groups = {"csm": np.array([r[3] for r in rows], dtype=object)}
    forecasts = forecast_due_renewals(accounts, RATES, bias_distribution([]), bias_distribution([]), groups)
    whole = forecasts["all", None]
    parts = [result for (division, _), result in forecasts.items() if division == "csm"]
    assert sum(p.accounts for p in parts) == whole.accounts == len(rows)
    for name in ("renewed_accounts", "renewed_arr", "lost_arr", "contracted_arr", "expanded_arr"):
        assert sum(getattr(p, name).value for p in parts) == pytest.approx(getattr(whole, name).value, abs=1e-6)
    for result in forecasts.values():
        for name in FIGURES:
            figure = getattr(result, name)
            assert figure is None or figure.low <= figure.value <= figure.high
        assert result.renewed_arr.value + result.lost_arr.value == pytest.approx(result.arr)


@given(st.lists(ROW, min_size=1, max_size=8), ROW)
@settings(max_examples=15)
def test_an_additional_account_never_lowers_expected_values(rows: list[tuple[float, ...]], more: tuple[float, ...]) -> None:
    few, many = (
        forecast_due_renewals(due([r[0] for r in n], [r[1] for r in n], [r[2] for r in n]), RATES, NO_BIAS, NO_BIAS, {})["all", None]
        for n in (rows, [*rows, more])
    )
    for name in ("renewed_accounts", "renewed_arr", "lost_arr", "contracted_arr", "expanded_arr"):
        assert getattr(many, name).value >= getattr(few, name).value - 1e-9
    assert many.arr >= few.arr


def test_no_account_due_gives_zero_and_no_rate() -> None:
    result = forecast_due_renewals(due([], [], []), RATES, NO_BIAS, NO_BIAS, {"segment": np.zeros(0, dtype=object)})
    assert set(result) == {("all", None)}
    assert (result["all", None].arr, result["all", None].grr, result["all", None].nrr) == (0.0, None, None)


def test_without_an_expansion_model_historical_rates_are_used() -> None:
    result = forecast_due_renewals(due([100.0], [0.0]), RATES, NO_BIAS, NO_BIAS, {})["all", None]
    assert result.expanded_arr.value == pytest.approx(100 * 5.5 / 21 * 0.5)
