"""A mature portfolio without new contracts is no broken feed, and contracts whose next rows are missing are one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from features.feed_health.feed_health import feed_health
from features.feed_health.feed_report import FeedHealth
from features.sources.base import from_tables

END = datetime(2026, 6, 1, tzinfo=UTC)
ACCOUNTS = 60
WON = [date(2019, 1, 7) + timedelta(days=14 * i) for i in range(ACCOUNTS)]
"""A contract every two weeks until 2021."""
Row = dict[str, Any]


@pytest.fixture
def contracts_of(to_arrow: Any) -> Callable[..., FeedHealth]:
    """Return ``contracts_of(change, synced)``: the feed of contracts, each changed, next to usage until the end."""

    def make(change: Callable[[int, Row], list[Row]], synced: datetime | None = None) -> FeedHealth:
        rows = [{"account_id": f"a{i}", "started_at": str(day), "arr": 100.0} for i, day in enumerate(WON)]
        tables = {
            "accounts": [{"account_id": f"a{i}", "created_at": "2019-01-01"} for i in range(ACCOUNTS)],
            "subscriptions": [each for i, row in enumerate(rows) for each in change(i, row)],
            "usage": [{"account_id": "a0", "occurred_at": (END - timedelta(days=d, hours=1)).isoformat()} for d in range(300)],
        }
        source = from_tables({name: to_arrow(name, some) for name, some in tables.items()}, "a test")
        source = replace(source, synced_tables={"subscriptions": synced} if synced else {})
        return feed_health(source, END).tables["subscriptions"]

    return make


def _ends_now_and_then(i: int, row: Row) -> list[Row]:
    return [row | ({"ended_at": str(date(2021, 6, 1) + timedelta(days=92 * i)), "end_reason": "cancelled"} if i < 20 else {})]


def _yearly(until: str) -> Callable[[int, Row], list[Row]]:
    """One row per year that began before ``until``."""

    def terms(i: int, row: Row) -> list[Row]:
        starts = [WON[i].replace(year=year, day=min(WON[i].day, 28)) for year in range(WON[i].year, 2028)]
        ends = starts[1:]
        known = [(s, e) for s, e in zip(starts, ends, strict=False) if str(s) < until]
        past = [(s, e if e < END.date() else None) for s, e in known]
        return [
            row | {"started_at": str(s), "ended_at": e and str(e), "end_reason": "renewed" if e else None} for s, e in past
        ]

    return terms


def _same(_i: int, row: Row) -> list[Row]:
    return [row]


def _renewed_by(year: int) -> Callable[[int, Row], list[Row]]:
    """Renewal dates in the year after ``year``-06-01, a week apart from each other."""
    return lambda i, row: [row | {"renewal_at": str(date(year, 6, 3) + timedelta(days=6 * i))}]


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (_same, True),
        (_ends_now_and_then, False),
        (lambda i, row: [row | {"term_started_at": str(date(2025, 6, 1) + timedelta(days=6 * i))}], False),
        (lambda i, row: [row | {"notice_at": str(date(2025, 6, 1) + timedelta(days=6 * i))}], False),
        # All renewal dates are in the year ahead, so that those of the last years were moved on.
        (_renewed_by(2026), False),
        # They were moved on for the last time three years ago.
        (_renewed_by(2023), True),
        (_yearly("2027"), False),
        # The rows since 2026 are missing: what ended since then was renewed.
        (_yearly("2026"), True),
    ],
)  # fmt: skip
def test_contracts_without_new_ones(contracts_of: Callable[..., FeedHealth], change: Any, stale: bool) -> None:
    feed = contracts_of(change)
    assert feed.stale is stale, feed.stale_words()
    if change is not _same and not stale:
        assert feed.silent_days <= 92


def test_missing_rows_are_counted(contracts_of: Callable[..., FeedHealth]) -> None:
    words = contracts_of(_yearly("2026")).stale_words()
    assert words.startswith("subscriptions: no rows since 2025-12-")
    assert "contracts ended since then without the next row" in words
    without_reasons = contracts_of(lambda i, row: [each | {"end_reason": None} for each in _yearly("2026")(i, row)])
    assert without_reasons.stale
    assert without_reasons.unfollowed > 10


def test_the_last_sign_is_named(contracts_of: Callable[..., FeedHealth]) -> None:
    def ended_in_2023(i: int, row: Row) -> list[Row]:
        return [row | ({"ended_at": "2023-04-01", "end_reason": "cancelled"} if i == 0 else {})]

    words = contracts_of(ended_in_2023).stale_words()
    assert ", and no end, notice or renewal since 2023-04-01, 1157 days before the end of the data" in words


def test_the_last_sync_shows_that_nothing_changed(contracts_of: Callable[..., FeedHealth]) -> None:
    assert contracts_of(_same, synced=END - timedelta(days=400)).stale
    assert not contracts_of(_same, synced=END - timedelta(days=1)).stale
