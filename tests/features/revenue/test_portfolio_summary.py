"""The line to confirm: hand-computed counts and amounts at the end of the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from features.revenue.portfolio_summary import portfolio_summary
from features.signals.signals import OpenSignals, read_signals
from features.sources.base import from_tables

Make = Callable[..., OpenSignals]


def _accounts(*names: str) -> list[dict[str, Any]]:
    return [{"account_id": name, "created_at": "2024-01-01"} for name in names]


def test_the_line_counts_active_accounts_their_arr_and_renewals(make_signals: Make) -> None:
    rows = [
        {"account_id": "due tomorrow", "started_at": "2025-07-02", "renewal_at": "2026-07-02", "arr": 1_000_000.0},
        {"account_id": "due in 89 days", "started_at": "2025-09-28", "renewal_at": "2026-09-28", "arr": 200_000.0},
        {"account_id": "due in 90 days", "started_at": "2025-09-29", "renewal_at": "2026-09-29", "arr": 30_000.0},
        {"account_id": "overdue", "started_at": "2025-06-01", "renewal_at": "2026-06-01", "arr": 4_000.0},
        {"account_id": "no date", "started_at": "2025-06-01", "arr": 500.0},
        {"account_id": "gone", "started_at": "2025-06-01", "ended_at": "2026-06-01", "arr": 7_000.0},
        {"account_id": "to come", "started_at": "2026-08-01", "arr": 7_000.0},
    ]
    names = [row["account_id"] for row in rows]
    summary = portfolio_summary(make_signals({"accounts": _accounts(*names), "subscriptions": rows}, "2026-07-01"))
    assert summary.line == "5 active accounts, ARR 1.23M, 2 due next quarter, 1 overdue"
    assert (summary.arr, summary.as_dict()["as_of"]) == (1_234_500.0, "2026-07-01")


def test_a_row_at_exactly_the_end_of_the_data_counts(to_arrow: Any) -> None:
    tables = {
        "accounts": to_arrow("accounts", _accounts("a", "b")),
        "subscriptions": to_arrow(
            "subscriptions",
            [
                {"account_id": "a", "started_at": "2025-01-01", "arr": 10.0},
                {"account_id": "b", "started_at": "2025-06-01", "arr": 2.0},
            ],
        ),
    }
    signals = read_signals(from_tables(tables, "a test"))
    assert portfolio_summary(signals).line == "2 active accounts, ARR 12, renewal dates unknown"


def test_without_contracts_the_line_has_the_orders_of_a_year(make_signals: Make) -> None:
    orders = [
        {"account_id": "a", "occurred_at": "2026-06-20", "amount": 1_500.0},
        {"account_id": "a", "occurred_at": "2026-06-21", "amount": -500.0},
        {"account_id": "a", "occurred_at": "2025-01-01", "amount": 90_000.0},
        {"account_id": "quiet", "occurred_at": "2026-02-01", "amount": 90_000.0},
    ]
    summary = portfolio_summary(make_signals({"accounts": _accounts("a", "quiet"), "orders": orders}, "2026-07-01"))
    assert summary.line == "1 active account, 1.00k ordered in the last 365 days"
    assert summary.due is None
