"""The start of a state, confirmation of noisy signs, and usage anomalies of an account."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from models.peer_groups.rule_files import read_rules
from models.rules.conditions import FALSE, TRUE, UNKNOWN
from models.rules.early_warnings import WarningsFile
from models.rules.history import PortfolioHistory, confirmed, holding_since
from models.rules.usage_anomalies import find_usage_anomalies

DATES = pd.date_range("2026-03-02", periods=13, freq="7D", tz="UTC")
RULE = read_rules("warnings", WarningsFile).unusual


@given(st.lists(st.sampled_from([TRUE, FALSE, UNKNOWN]), min_size=1, max_size=8))
def test_a_state_holds_since_the_start_of_its_last_unbroken_run(states: list[np.int8]) -> None:
    row = np.array([states])
    start = int(holding_since(row)[0])
    if states[-1] != TRUE:
        assert start == -1
    else:
        assert all(s == TRUE for s in states[start:])
        assert start == 0 or states[start - 1] != TRUE


def test_a_state_is_confirmed_only_if_it_also_held_at_the_previous_date() -> None:
    states = np.array([[TRUE, TRUE], [FALSE, TRUE], [UNKNOWN, TRUE], [TRUE, FALSE]], dtype=np.int8)
    assert confirmed(states).tolist() == [TRUE, FALSE, UNKNOWN, FALSE]
    assert confirmed(states[:, -1:]).tolist() == [UNKNOWN] * 3 + [FALSE]


def _weekly(values: list[list[float]]) -> PortfolioHistory:
    rows = [
        {"account_id": f"a{i}", "as_of": date, RULE.feature: value}
        for i, series in enumerate(values)
        for date, value in zip(DATES[-len(series) :], series, strict=True)
    ]
    return PortfolioHistory(pd.DataFrame(rows))


@given(st.lists(st.floats(90, 110), min_size=12, max_size=12), st.permutations(range(12)))
def test_ordinary_weeks_in_any_order_are_no_anomaly(values: list[float], order: list[int]) -> None:
    one = find_usage_anomalies(_weekly([[*values, 100.0]]), RULE)
    two = find_usage_anomalies(_weekly([[*[values[i] for i in order], 100.0]]), RULE)
    assert not one.now[0]
    assert one.usual[0] == two.usual[0]


def test_falls_and_surges_are_distinguished_and_few_events_are_ignored() -> None:
    calm = [100.0] * 12
    anomalies = find_usage_anomalies(_weekly([[*calm, 40.0], [*calm, 160.0], [*([2.0] * 12), 0.0], [*calm, np.nan]]), RULE)
    assert anomalies.now.tolist() == [True, True, False, False]
    assert (anomalies.value[0], anomalies.usual[0]) == (40.0, 100.0)


def test_an_account_without_earlier_dates_has_unknown_earlier_values() -> None:
    history = _weekly([[1.0, 2.0, 3.0], [5.0]])
    assert history.accounts.tolist() == ["a0", "a1"]
    np.testing.assert_array_equal(history.numbers(RULE.feature), [[1.0, 2.0, 3.0], [np.nan, np.nan, 5.0]])
