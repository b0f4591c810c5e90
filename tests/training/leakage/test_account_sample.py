"""The sample is fixed by its seed, includes churned accounts, and does not grow with the data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.contract.schema import TABLES
from training.leakage.account_sample import MAXIMUM_DATES, sampled_accounts, sampled_tables, spread_dates

IDS = [f"a{i:03}" for i in range(500)]
LAST = datetime(2026, 9, 30, 12, tzinfo=UTC)


def test_a_seed_chooses_the_same_accounts_in_any_order() -> None:
    one = sampled_accounts(IDS, IDS[:20], seed=3)
    assert one == sampled_accounts(IDS[::-1], IDS[:20][::-1], seed=3) == sorted(one)
    assert one != sampled_accounts(IDS, IDS[:20], seed=4)
    assert len(set(one)) == 200


@pytest.mark.parametrize(("churned", "expected"), [(0, 0), (20, 20), (100, 50), (480, 80), (500, 100)])
def test_half_of_the_sample_has_churned_if_possible(churned: int, expected: int) -> None:
    sample = sampled_accounts(IDS, IDS[:churned], seed=0, at_most=100)
    assert len(sample) == 100
    assert len({*sample} & {*IDS[:churned]}) == expected


def test_few_accounts_are_all_taken() -> None:
    assert sampled_accounts(IDS[:30], IDS[:25], seed=0) == IDS[:30]


def test_large_tables_are_sampled_and_duplicates_stay_together(make_arrow_signals: Any) -> None:
    whole = sampled_tables(make_arrow_signals, ["a", "b"])
    thin = sampled_tables(make_arrow_signals, ["a", "b"], rows=100)
    assert set(whole["usage"]["account_id"].to_pylist()) == {"a", "b"}
    assert len(whole["usage"]) == 600
    assert 50 < len(thin["usage"]) < 150
    assert thin["usage"].column_names == list(TABLES["usage"].names)
    assert thin["accounts"] == whole["accounts"]
    assert len(whole["accounts"]) == 2


@pytest.fixture
def make_arrow_signals(to_arrow: Any) -> Any:
    from features.signals.signals import read_signals
    from features.sources.base import from_tables

    begun = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {"account_id": a, "occurred_at": (begun + timedelta(hours=h)).isoformat(), "user_id": "u"}
        for a in "abc"
        for h in range(300)
    ]
    tables = {
        "accounts": [{"account_id": a, "created_at": "2025-01-01"} for a in "abc"],
        "subscriptions": [{"account_id": a, "started_at": "2025-01-01", "arr": 1.0} for a in "abc"],
        "usage": rows,
    }
    return read_signals(from_tables({n: to_arrow(n, r) for n, r in tables.items()}, "a test"))


@pytest.mark.parametrize("days", [0, 3, 20, 36, 69, 76, 400, 1100])
def test_dates_end_at_the_last_one_and_are_whole_weeks_apart(days: int) -> None:
    grid = spread_dates(LAST - timedelta(days=days), LAST)
    assert grid.last == datetime(2026, 9, 30, tzinfo=UTC)
    assert grid.every_days % 7 == 0
    assert 1 <= grid.n <= MAXIMUM_DATES
    assert grid.first >= LAST - timedelta(days=days + 1)
    assert days < 200 or grid.n == MAXIMUM_DATES
    assert (LAST - grid.first).days <= max(days, 1)
    assert (LAST - grid.first).days >= min(0.8 * days - 7, days)
