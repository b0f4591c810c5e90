"""ARR in several currencies, of trials and of paused subscriptions. All amounts are computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from features.contract.settings import PAUSED_ARR_VARIABLE, TRIALS_VARIABLE
from features.errors import BadRequest, SignalsError
from features.revenue.account_history import account_rows
from features.revenue.arr import facts, movements
from features.signals.signals import OpenSignals
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid
from features.utils.formatting import CURRENCY_VARIABLE
from training.dataset.labels import label

RATES = [
    {"currency": "EUR", "occurred_at": "2025-01-01", "rate": 1.1},
    {"currency": "EUR", "occurred_at": "2025-07-01", "rate": 1.2},
    {"currency": "GBP", "occurred_at": "2025-01-01", "rate": 1.25},
]
ACCOUNTS = [{"account_id": a, "created_at": "2025-01-01"} for a in "abcd"]
MIXED = [
    {"account_id": "a", "started_at": "2025-01-01", "arr": 1000.0, "currency": None},
    {"account_id": "b", "started_at": "2025-01-01", "arr": 1000.0, "currency": "eur"},
    {"account_id": "c", "started_at": "2025-01-01", "arr": 800.0, "currency": "GBP"},
    {"account_id": "d", "started_at": "2025-01-01", "arr": 500.0, "currency": "EUR"},
    {"account_id": "d", "started_at": "2025-01-01", "arr": 400.0, "currency": "GBP"},
]


def _on(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def _make(make_signals: Any, rows: list[dict[str, Any]], rates: list[dict[str, Any]] | None = RATES) -> OpenSignals:
    more = {} if rates is None else {"fx_rates": rates}
    signals: OpenSignals = make_signals({"accounts": ACCOUNTS, "subscriptions": rows} | more, "2025-12-01")
    return signals


def _arr(signals: OpenSignals, day: str) -> dict[str, float]:
    ledger = dict(zip(*(facts(signals, _on(day))[c] for c in ("account_id", "arr")), strict=True))
    frame = snapshot(signals, Grid.single(_on(day)))
    assert dict(zip(frame["account_id"], frame["contract.arr"], strict=True)) == ledger
    return ledger


def test_amounts_are_converted_at_the_rate_known_before_the_date(make_signals: Any) -> None:
    signals = _make(make_signals, MIXED)
    before = {"a": 1000.0, "b": 1100.0, "c": 1000.0, "d": 1050.0}
    assert _arr(signals, "2025-06-01") == before
    assert _arr(signals, "2025-07-01") == before
    assert _arr(signals, "2025-07-02") == {"a": 1000.0, "b": 1200.0, "c": 1000.0, "d": 1100.0}


def test_a_movement_of_a_rate_is_no_movement_of_arr(make_signals: Any) -> None:
    signals = _make(make_signals, MIXED)
    moved = movements(signals, _on("2025-06-01"), _on("2025-08-01")).set_index("account_id")
    # Both ends are at the rate known before the end.
    assert moved["arr_start"].to_dict() == moved["arr_end"].to_dict() == {"a": 1000.0, "b": 1200.0, "c": 1000.0, "d": 1100.0}
    assert not moved[["expanded", "contracted", "churned"]].to_numpy().any()
    frame = snapshot(signals, Grid.single(_on("2025-08-01"))).set_index("account_id")
    assert frame["contract.arr_change_182d"].to_dict() == dict.fromkeys("abcd", 1.0)


def test_an_expansion_in_another_currency_is_measured_at_one_rate(make_signals: Any) -> None:
    rates = [{"currency": "EUR", "occurred_at": "2025-01-01", "rate": 1.0837123}, RATES[1]]
    terms = [
        {"account_id": "b", "started_at": "2025-01-01", "ended_at": "2025-06-15", "arr": 1000.0, "currency": "EUR", "end_reason": "upgraded"},
        {"account_id": "b", "started_at": "2025-06-15", "arr": 1050.0, "currency": "EUR"},
    ]
    signals = _make(make_signals, terms, rates)
    moved = movements(signals, _on("2025-06-01"), _on("2025-08-01")).set_index("account_id").loc["b"]
    assert (moved["arr_start"], moved["arr_end"], moved["expanded"]) == (1200.0, 1260.0, 60.0)
    # Growth by exactly 5% is an expansion, whatever the rate.
    keys = pd.DataFrame({"account_id": ["b"], "as_of": [_on("2025-06-01")]})
    assert label(signals, keys)["expansion"].to_list() == [1.0]
    frame = snapshot(signals, Grid.single(_on("2025-08-01")))
    assert frame["contract.arr_change_182d"].to_list() == pytest.approx([1.05])


def test_a_missing_rate_is_one_error(make_signals: Any) -> None:
    late = [{"currency": "EUR", "occurred_at": "2025-01-02", "rate": 1.1}, RATES[2]]
    with pytest.raises(SignalsError, match=r"subscriptions.currency: a currency without a rate .* in 2 rows \(rows 2, 4\)"):
        _make(make_signals, MIXED, late)
    with pytest.raises(SignalsError, match=r"in 4 rows \(rows 2, 3, 4, 5\); expected a row of fx_rates for each currency"):
        _make(make_signals, MIXED, None)


def test_one_currency_needs_no_rate_and_the_base_currency_may_be_set(make_signals: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [row for row in MIXED if row["account_id"] == "c"]
    assert _arr(_make(make_signals, alone, None), "2025-06-01") == {"c": 800.0}
    euros = [row for row in MIXED if row["currency"] != "GBP"]
    with pytest.raises(SignalsError, match="rows 2, 3"):
        _make(make_signals, euros, [RATES[2]])
    monkeypatch.setenv(CURRENCY_VARIABLE, "eur")
    assert _arr(_make(make_signals, euros, [RATES[2]]), "2025-06-01") == {"a": 1000.0, "b": 1000.0, "d": 500.0}


def test_the_base_currency_has_the_rate_1(make_signals: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dollars = {"currency": "USD", "occurred_at": "2025-01-01", "rate": 1.0}
    rates = [RATES[0] | {"currency": " eur"}, dollars, RATES[1]]
    alone = [row for row in MIXED if row["account_id"] == "b"]
    assert _arr(_make(make_signals, alone, rates), "2025-06-01") == {"b": 1100.0}
    monkeypatch.setenv(CURRENCY_VARIABLE, "USD")
    assert _arr(_make(make_signals, alone, rates), "2025-06-01") == {"b": 1100.0}
    monkeypatch.setenv(CURRENCY_VARIABLE, "EUR")
    expected = r"fx_rates.rate: the base currency, RENEWCAST_CURRENCY=EUR, has a rate other than 1 in 2 rows \(rows 1, 3\); expected rates in"
    with pytest.raises(SignalsError, match=expected):
        _make(make_signals, alone, rates)
    # Rates after the end of the data are not read.
    late = [RATES[0] | {"rate": 1.0}, dollars, RATES[1] | {"occurred_at": "2025-12-01"}]
    assert _arr(_make(make_signals, alone, late), "2025-06-01") == {"b": 1000.0}


def test_a_code_in_another_case_is_the_same_currency(make_signals: Any) -> None:
    alone = [row for row in MIXED if row["account_id"] == "b"]
    again = RATES[0] | {"currency": "eur"}
    assert _arr(_make(make_signals, alone, [RATES[0], again]), "2025-06-01") == {"b": 1100.0}
    with pytest.raises(SignalsError, match=r"different rows with the same key in 2 rows \(rows 1, 3\)"):
        _make(make_signals, alone, [RATES[0], RATES[2], again | {"rate": 1.3}])


@pytest.mark.parametrize("wrong", ["x'; drop", "EURO", "E1R", "ÄÖÜ"])
def test_a_base_currency_is_a_code_of_three_letters(wrong: str, make_signals: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CURRENCY_VARIABLE, wrong)
    with pytest.raises(BadRequest) as error:
        _make(make_signals, MIXED)
    found = "a setting cannot be used: variable RENEWCAST_CURRENCY: Input should be a code of three letters, such as EUR"
    assert str(error.value).startswith(found)
    assert wrong not in str(error.value)


def test_reports_show_amounts_as_in_the_source(make_signals: Any) -> None:
    rows = account_rows(_make(make_signals, MIXED), "b", _on("2025-01-01"), _on("2025-08-01"))["subscriptions"]
    assert [(row["arr"], row["currency"]) for row in rows] == [(1000.0, "EUR")]


STATES = [
    {"account_id": "a", "started_at": "2025-01-01", "ended_at": "2025-03-01", "arr": 0.0, "status": "trial"},
    {"account_id": "a", "started_at": "2025-03-01", "arr": 1200.0, "status": "active"},
    {"account_id": "b", "started_at": "2025-01-01", "ended_at": "2025-04-01", "arr": 1000.0, "status": None},
    {"account_id": "b", "started_at": "2025-04-01", "ended_at": "2025-05-01", "arr": 1000.0, "status": "paused"},
    {"account_id": "b", "started_at": "2025-05-01", "arr": 1000.0, "status": "past_due"},
    {"account_id": "c", "started_at": "2025-01-01", "arr": 500.0, "status": "trial"},
]


def test_trials_are_not_active_and_paused_arr_does_not_count(make_signals: Any) -> None:
    signals = _make(make_signals, STATES, None)
    assert _arr(signals, "2025-02-01") == {"b": 1000.0}
    assert _arr(signals, "2025-04-15") == {"a": 1200.0, "b": 0.0}
    assert _arr(signals, "2025-06-01") == {"a": 1200.0, "b": 1000.0}
    moved = movements(signals, _on("2025-02-01"), _on("2025-04-15")).set_index("account_id")
    assert moved.loc["a", "new"] == 1200.0
    assert moved.loc["b", "contracted"] == 1000.0
    assert not moved.loc["b", "churned"]
    frame = snapshot(signals, Grid.single(_on("2025-04-15"))).set_index("account_id")
    assert frame[["contract.paused", "contract.past_due"]].to_dict("index") == {
        "a": {"contract.paused": 0.0, "contract.past_due": 0.0},
        "b": {"contract.paused": 1.0, "contract.past_due": 0.0},
    }
    assert snapshot(signals, Grid.single(_on("2025-06-01")))["contract.past_due"].to_list() == [0.0, 1.0]


def test_trials_and_paused_arr_count_as_set(make_signals: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRIALS_VARIABLE, "active")
    monkeypatch.setenv(PAUSED_ARR_VARIABLE, "0.25")
    signals = _make(make_signals, STATES, None)
    assert _arr(signals, "2025-02-01") == {"a": 0.0, "b": 1000.0, "c": 500.0}
    assert _arr(signals, "2025-04-15") == {"a": 1200.0, "b": 250.0, "c": 500.0}


@pytest.mark.parametrize(("name", "value"), [(TRIALS_VARIABLE, "maybe"), (PAUSED_ARR_VARIABLE, "1.5"), (CURRENCY_VARIABLE, "EURO")])
def test_a_setting_that_cannot_be_used_is_named(make_signals: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadRequest, match=name) as caught:
        _make(make_signals, STATES, None)
    assert value not in str(caught.value).split("Expected")[0]
