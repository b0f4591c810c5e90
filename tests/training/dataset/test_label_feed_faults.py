"""Faults of the label feed during training are reported; faults of other feeds are not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.feed_health.feed_health import Feeds, feed_health
from features.sources.base import from_tables
from training.dataset.label_feed_faults import label_feed_faults

BEGAN, DAY = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=1)
DAYS = 500
FIRST = BEGAN + 100 * DAY
Row = dict[str, Any]
Change = Callable[[int, Row], Row | None]


def _same(_day: int, row: Row) -> Row:
    return row


def _stopped(day: int, row: Row) -> Row | None:
    return row if day < DAYS - 120 else None


def _sixtyfold(name: str, since: int = 300) -> Change:
    return lambda day, row: row | ({name: row[name] * 60.0} if day >= since else {})


def _jumped_at(since: int) -> Change:
    return lambda day, row: row | ({"arr": row["arr"] * 1000.0} if day >= since else {})


@pytest.fixture
def feeds_of(to_arrow: Any) -> Callable[..., Feeds]:
    """The feeds of a portfolio with a contract and a session a day, each changed in its own way."""

    def make(subscriptions: Change = _same, usage: Change = _same, table: str = "subscriptions") -> Feeds:
        rows: dict[str, list[Row]] = {"accounts": [], table: [], "usage": []}
        for day in range(DAYS):
            account, at = f"a{day}", (BEGAN + day * DAY + timedelta(hours=9)).isoformat()
            rows["accounts"].append({"account_id": account, "created_at": BEGAN.isoformat()})
            term = {"account_id": account, "started_at": at, "arr": 100.0 + day % 7}
            order = {"account_id": account, "occurred_at": at, "amount": 100.0 + day % 7}
            session = {"account_id": account, "occurred_at": at, "user_id": "u", "minutes": 20.0 + day % 5}
            tables_of_rows = ((table, term if table == "subscriptions" else order, subscriptions), ("usage", session, usage))
            for name, row, change in tables_of_rows:
                if (changed := change(day, row)) is not None:
                    rows[name].append(changed)
        source = from_tables({name: to_arrow(name, some) for name, some in rows.items()}, "a test")
        return feed_health(source, BEGAN + DAYS * DAY)

    return make


def test_sound_feeds_have_no_faults(feeds_of: Callable[..., Feeds]) -> None:
    assert label_feed_faults(feeds_of(), True, FIRST) == []


def test_stale_subscriptions_with_current_usage_are_reported(feeds_of: Callable[..., Feeds]) -> None:
    (result,) = label_feed_faults(feeds_of(subscriptions=_stopped), True, FIRST) or []
    assert result.startswith("subscriptions: no rows since 2026-01-15, 121 days before the end of the data")


def test_a_unit_jump_in_contracts_is_reported(feeds_of: Callable[..., Feeds]) -> None:
    (result,) = label_feed_faults(feeds_of(subscriptions=_jumped_at(300)), True, FIRST) or []
    assert result.startswith("subscriptions.arr rose")


def test_jumps_long_before_the_first_snapshot_do_not_count(feeds_of: Callable[..., Feeds]) -> None:
    feeds = feeds_of(subscriptions=_jumped_at(40))
    assert label_feed_faults(feeds, True, BEGAN + 300 * DAY) != []
    assert label_feed_faults(feeds, True, BEGAN + 460 * DAY) == []


@pytest.mark.parametrize("usage", [_stopped, _sixtyfold("minutes")])
def test_faults_of_other_feeds_are_no_label_feed_faults(feeds_of: Callable[..., Feeds], usage: Change) -> None:
    feeds = feeds_of(usage=usage)
    assert any(line.startswith("usage") for line in feeds.troubles())
    assert label_feed_faults(feeds, True, FIRST) == []


def test_orders_are_the_label_feed_without_contracts(feeds_of: Callable[..., Feeds]) -> None:
    feeds = feeds_of(subscriptions=_stopped, table="orders")
    (result,) = label_feed_faults(feeds, False, FIRST) or []
    assert result.startswith("orders: no rows since")


def test_a_feed_that_was_not_checked_is_not_sound(feeds_of: Callable[..., Feeds]) -> None:
    assert label_feed_faults(feeds_of(), False, FIRST) is None
