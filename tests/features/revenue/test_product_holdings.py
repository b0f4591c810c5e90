"""The products of an account add up to its ARR to the cent, use nothing known later, and leave nothing out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.revenue.arr import facts, products
from features.revenue.product_holdings import COLUMNS, product_holdings
from features.signals.signals import OpenSignals

Make = Callable[..., OpenSignals]
AT = datetime(2026, 7, 1, tzinfo=UTC)
FIRST = "2026-01-01"
LATE = "2026-06-20"
EARLIER = "2026-05-20"


def _sold(account: str, product: str | None, arr: float, **more: Any) -> dict[str, Any]:
    return {"account_id": account, "started_at": "2025-02-01", "product": product, "arr": arr, **more}


def _used(account: str, product: str | None, at: str, *users: str | None, **more: Any) -> list[dict[str, Any]]:
    return [{"account_id": account, "occurred_at": at, "product": product, "user_id": user, **more} for user in users]


def _accounts(*names: str) -> list[dict[str, Any]]:
    return [{"account_id": name, "created_at": "2025-01-01"} for name in names]


def _rows(signals: OpenSignals, at: datetime = AT, **more: Any) -> dict[tuple[str, str | None], dict[Any, Any]]:
    frame = product_holdings(signals, at, **more)
    assert tuple(frame.columns) == COLUMNS
    return {(row["account_id"], row["product"]): row for row in frame.to_dict("records")}


SUBSCRIPTIONS = [
    _sold("a", "core", 100.37, seats=3), _sold("a", "core", 20.01, seats=1), _sold("a", "extra", 0.99, currency="EUR"),
    _sold("a", None, 7.7), _sold("a", "", 0.3), _sold("a", "gone", 50.0, ended_at="2026-03-01"),
    _sold("b", None, 12.34), _sold("c", "core", 5.0, started_at="2026-07-01"),
]  # fmt: skip
USAGE = [
    *_used("a", "core", FIRST, "u1"), *_used("b", "extra", FIRST, "u9"),
    *_used("a", "core", EARLIER, "u1", "u2", "u3"), *_used("a", "core", LATE, "u1", "u1", None),
    *_used("a", None, LATE, "u7"), *_used("b", "core", LATE, "u9"), *_used("c", "core", LATE, "u9"),
    # It arrived later.
    *_used("a", "extra", LATE, "u5", loaded_at="2026-07-02"),
]  # fmt: skip
RATES = [{"currency": "EUR", "occurred_at": "2024-01-01", "rate": 1.1713}]


def test_products_have_arr_seats_and_users(make_signals: Make) -> None:
    tables = {"accounts": _accounts("a", "b", "c"), "subscriptions": SUBSCRIPTIONS, "usage": USAGE, "fx_rates": RATES}
    signals = make_signals(tables, "2026-09-01")
    rows = _rows(signals)
    # c is not active yet, and the product "gone" has ended. Those without a product are one unknown product.
    assert list(rows) == [("a", "core"), ("a", "extra"), ("a", None), ("b", "core"), ("b", None)]
    core, extra, unknown = rows["a", "core"], rows["a", "extra"], rows["a", None]
    assert (core["arr"], core["seats"], core["active_users"], core["active_users_before"]) == (120.38, 4.0, 1.0, 3.0)
    assert (extra["arr"], extra["active_users"]) == (round(0.99 * 1.1713, 4), 0.0)
    assert (unknown["arr"], np.isnan(unknown["active_users"])) == (8.0, True)
    assert (rows["b", "core"]["held"], rows["b", "core"]["arr"], rows["b", "core"]["active_users"]) == (False, 0.0, 1.0)
    whole = facts(signals, AT).set_index("account_id")["arr"]
    for account in "ab":
        assert sum(row["arr"] for (name, _), row in rows.items() if name == account) == pytest.approx(whole[account], abs=1e-9)
    assert products(signals) == ["", "core", "extra", "gone"]
    assert facts(signals, AT, product="")["arr"].tolist() == [8.0, 12.34]


def test_users_are_unknown_where_the_feed_does_not_reach_back_or_has_other_products(make_signals: Make) -> None:
    accounts = _accounts("a")
    sold = [_sold("a", "Pro Plan", 1.0), _sold("a", "core", 2.0)]
    late = make_signals({"accounts": accounts, "subscriptions": sold, "usage": _used("a", "core", EARLIER, "u1")}, "2026-07-01")
    rows = _rows(late)
    # The contracts' name of a product that no usage has is not evidence that it is unused.
    assert np.isnan(rows["a", "Pro Plan"]["active_users"])
    assert rows["a", "core"]["active_users"] == 0.0
    assert np.isnan(rows["a", "core"]["active_users_before"])
    without = make_signals({"accounts": accounts, "subscriptions": sold}, "2026-07-01")
    assert all(np.isnan(row["active_users"]) for row in _rows(without).values())
    anonymous = make_signals({"accounts": accounts, "subscriptions": sold, "usage": _used("a", "core", FIRST, None)}, "2026-07-01")
    assert all(np.isnan(row["active_users"]) for row in _rows(anonymous).values())


def test_a_source_that_names_no_product_has_none(make_signals: Make) -> None:
    signals = make_signals({"accounts": _accounts("a"), "subscriptions": [_sold("a", None, 1.0)]}, "2026-07-01")
    assert product_holdings(signals, AT).empty
    assert products(signals) == []


def test_orders_of_products_add_up_with_returns(make_signals: Make) -> None:
    def ordered(account: str, product: str | None, amount: float, at: str = "2026-06-01") -> dict[str, Any]:
        return {"account_id": account, "occurred_at": at, "product": product, "amount": amount}

    orders = [
        ordered("a", "x", 10.1), ordered("a", "y", -3.05), ordered("a", None, 2.0), ordered("a", "x", 99.0, "2025-01-05"),
        ordered("b", "x", 1.0), ordered("b", "y", -5.0), ordered("c", "x", 4.0, "2025-09-01"),
    ]  # fmt: skip
    signals = make_signals({"accounts": _accounts("a", "b", "c"), "orders": orders}, "2026-07-01")
    rows = _rows(signals, active_days=90)
    # c ordered too long ago to be active; b returned more than it ordered, so that its ARR is zero.
    assert {key: row["arr"] for key, row in rows.items()} == {
        ("a", "x"): 10.1, ("a", "y"): -3.05, ("a", None): 2.0, ("b", "x"): 0.0, ("b", "y"): 0.0,
    }  # fmt: skip
    assert facts(signals, AT, 90)["arr"].tolist() == pytest.approx([9.05, 0.0])


def test_what_is_known_later_changes_nothing(make_signals: Make) -> None:
    tables = {"accounts": _accounts("a", "b", "c"), "subscriptions": SUBSCRIPTIONS, "usage": USAGE, "fx_rates": RATES}
    before = product_holdings(make_signals(tables, "2026-09-01"), AT)
    later = {
        "subscriptions": [*SUBSCRIPTIONS, _sold("b", "extra", 9.0, started_at="2026-07-01")],
        "usage": [*USAGE, *_used("a", "extra", "2026-07-01", "u8"), *_used("b", "new", "2026-08-01", "u8")],
        "fx_rates": [*RATES, {"currency": "EUR", "occurred_at": "2026-07-01", "rate": 2.0}],
    }
    after = product_holdings(make_signals(tables | later, "2026-09-01"), AT)
    pd.testing.assert_frame_equal(before, after)
