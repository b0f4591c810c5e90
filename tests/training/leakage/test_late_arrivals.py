"""Rows that arrive only after churn are reported; a feed that is always late is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.signals.signals import OpenSignals, read_signals
from features.sources.base import from_tables
from training.leakage.late_arrivals import MINIMUM_ROWS, Arrivals, arrivals

CHURN, DAY = datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=1)


@pytest.fixture
def billing_feed(to_arrow: Any) -> Any:
    def make(delay_of: Any, **more: Any) -> OpenSignals:
        """Ten accounts, of which a0 to a4 churned; a payment a day, with ``delay_of(account, day)`` days of delay."""
        rows: dict[str, list[dict[str, Any]]] = {"accounts": [], "subscriptions": [], "billing": []}
        for i in range(10):
            rows["accounts"].append({"account_id": f"a{i}", "created_at": "2025-01-01"})
            terms = {"account_id": f"a{i}", "started_at": "2025-01-01", "arr": 1.0}
            rows["subscriptions"].append(terms | ({"ended_at": CHURN.isoformat()} if i < 5 else {}))
            for day in range(-120, 0 if i < 5 else 60):
                at = CHURN + day * DAY
                row = {"account_id": f"a{i}", "occurred_at": at.isoformat(), "kind": "payment_failed"}
                rows["billing"].append(row | {"loaded_at": (at + delay_of(i, day) * DAY).isoformat()})
        return read_signals(from_tables({n: to_arrow(n, r) for n, r in rows.items()}, "a test"), **more)

    return make


def billing(signals: OpenSignals, accounts: Any = None) -> Arrivals:
    by_table = {a.table: a for a in arrivals(signals, 90, 30, accounts)}
    assert by_table.keys() == {"billing"}
    return by_table["billing"]


def test_timely_rows_are_no_finding(billing_feed: Any) -> None:
    report = billing(billing_feed(lambda i, day: 0))
    assert (report.rows, report.late_share, report.before, report.after) == (5 * 120 + 5 * 180, 0.0, 5 * 90, 0)
    assert not report.backdated


def test_a_feed_with_constant_delays_is_no_finding(billing_feed: Any) -> None:
    report = billing(billing_feed(lambda i, day: 14))
    assert report.late_share == 1.0
    assert report.after == 5 * 14
    assert report.expected == pytest.approx(report.after, rel=0.1)
    assert not report.backdated


def test_rows_loaded_after_churn_are_a_finding(billing_feed: Any) -> None:
    report = billing(billing_feed(lambda i, day: 10 - day if i < 5 and day >= -30 else 0))
    assert report.after == 5 * 30 > MINIMUM_ROWS
    assert report.expected == 0
    assert report.backdated
    assert report.finding(90).words.startswith("billing: 150 rows are dated in the 90 days before their account's churn")
    assert report.finding(90).severity == "note"


def test_a_few_late_rows_are_no_finding(billing_feed: Any) -> None:
    assert not billing(billing_feed(lambda i, day: 10 - day if i < 5 and day >= -3 else 0)).backdated


def test_churn_within_the_grace_does_not_count(billing_feed: Any) -> None:
    late = billing_feed(lambda i, day: 10 - day if i < 5 else 0, data_through=CHURN + 20 * DAY)
    assert (billing(late).before, billing(late).after) == (0, 0)


def test_large_tables_are_limited_to_the_sampled_accounts(billing_feed: Any) -> None:
    assert billing(billing_feed(lambda i, day: 0, copied_up_to=10), ["a0", "a7"]).rows == 120 + 180
    assert billing(billing_feed(lambda i, day: 0), ["a0", "a7"]).rows == 5 * 120 + 5 * 180
