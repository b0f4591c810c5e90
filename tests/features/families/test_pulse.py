"""Judgments count until they expire, and the newest one decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid

NAMES = ("pulse.sentiment", "pulse.renewal_call", "pulse.age_days")
PULSE = [
    {"account_id": "a", "occurred_at": "2026-01-10", "sentiment": 2, "renewal_call": "renew", "by": "x"},
    {"account_id": "a", "occurred_at": "2026-03-01", "sentiment": -1, "renewal_call": "at_risk", "expires_at": "2026-03-11"},
    {"account_id": "b", "occurred_at": "2026-01-10", "sentiment": -2, "renewal_call": "churn", "expires_at": "2026-12-31"},
    {"account_id": "b", "occurred_at": "2026-02-10", "sentiment": 0, "renewal_call": None, "loaded_at": "2026-03-05"},
]


@pytest.fixture(scope="module")
def signals(make_signals: Any) -> Any:
    rows = {
        "accounts": [{"account_id": a, "created_at": "2025-01-01"} for a in "abc"],
        "subscriptions": [{"account_id": a, "started_at": "2025-01-01", "arr": 1.0} for a in "abc"],
    }
    return make_signals(rows | {"pulse": PULSE}, "2026-12-31")


@pytest.mark.parametrize(
    ("day", "account", "values"),
    [
        ("2026-01-10", "a", (np.nan, np.nan, np.nan)),
        ("2026-01-11", "a", (2, 2, 1)),
        ("2026-03-02", "a", (-1, 1, 1)),
        # The newest judgment has expired, and the one before it does not come back.
        ("2026-03-11", "a", (np.nan, np.nan, 10)),
        # The later row arrived late, and says nothing about the renewal.
        ("2026-03-05", "b", (-2, 0, 54)),
        ("2026-03-06", "b", (0, 0, 24)),
        # Without expires_at it expires after 91 days; the call of the earlier row still holds.
        ("2026-05-12", "b", (np.nan, 0, 91)),
        ("2026-03-06", "c", (np.nan, np.nan, np.nan)),
    ],
)
def test_the_newest_judgment_counts_until_it_expires(signals: Any, day: str, account: str, values: tuple[float, ...]) -> None:
    frame = snapshot(signals, Grid.single(datetime.fromisoformat(day).replace(tzinfo=UTC))).set_index("account_id")
    np.testing.assert_array_equal([frame.loc[account, name] for name in NAMES], values)


def test_products_are_counted_where_they_are_known(make_signals: Any) -> None:
    subscriptions = [
        {"account_id": a, "started_at": "2025-01-01", "arr": 1.0, "product": product}
        for a, product in (("a", "core"), ("a", "core"), ("a", "extra"), ("b", "core"), ("b", None), ("c", "core"))
    ]
    usage = [
        {"account_id": a, "occurred_at": at, "product": product}
        for a, at, product in (("a", "2026-01-01", "core"), ("a", "2026-06-20", "core"), ("a", "2026-06-21", "extra"), ("b", "2026-06-21", None))
    ]
    accounts = [{"account_id": a, "created_at": "2025-01-01"} for a in "abc"]
    signals = make_signals({"accounts": accounts, "subscriptions": subscriptions, "usage": usage}, "2026-12-31")
    frame = snapshot(signals, Grid.single(datetime(2026, 7, 1, tzinfo=UTC)))
    np.testing.assert_array_equal(frame["contract.products_held"], [2, np.nan, 1])
    np.testing.assert_array_equal(frame["usage.products_used_28d"], [2, 0, 0])
