"""Feed health finds problems in sources that comply with the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pytest

from features.feed_health.feed_health import Feeds, feed_health
from features.feed_health.feed_report import FeedHealth
from features.signals.signals import read_signals
from features.signals.validation import check_source
from features.sources.base import from_tables
from features.sources.open_source import open_source

ACCOUNTS = [{"account_id": a, "created_at": "2024-01-01"} for a in "abcd"]
SUBSCRIPTIONS = [{"account_id": a, "started_at": "2025-01-01", "arr": 10.0} for a in "abcd"]
FIRST = datetime(2025, 1, 1, 12, tzinfo=UTC)


def _daily(days: range, each: int = 4, **more: Any) -> list[dict[str, Any]]:
    """Return rows on the given days after 2025-01-01, at noon and seconds after."""
    return [
        {"account_id": "ab"[k % 2], "occurred_at": (FIRST + timedelta(days=d, seconds=k)).isoformat(), **more}
        for d in days
        for k in range(each)
    ]


def _feeds(to_arrow: Any, until: datetime | None = None, **tables: list[dict[str, Any]]) -> Feeds:
    signal_tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS} | tables
    return feed_health(from_tables({n: to_arrow(n, r) for n, r in signal_tables.items()}, "a test"), until)


def _usage(to_arrow: Any, rows: list[dict[str, Any]]) -> FeedHealth:
    return _feeds(to_arrow, usage=rows).tables["usage"]


def test_span_rows_and_coverage(to_arrow: Any) -> None:
    usage = _usage(to_arrow, _daily(range(10)))
    assert (usage.rows, usage.days_with_rows) == (40, 10)
    assert usage.first == FIRST
    assert usage.last == FIRST + timedelta(days=9, seconds=3)
    assert usage.accounts_share == 0.5
    assert usage.day_late is None
    assert not usage.stale
    assert usage.troubles() == []


def test_silence_is_counted_to_the_newest_event_of_any_feed(to_arrow: Any) -> None:
    feeds = _feeds(to_arrow, usage=_daily(range(100)), orders=_daily(range(130), amount=1.0))
    assert feeds.end == FIRST + timedelta(days=129, seconds=3)
    assert feeds.tables["usage"].silent_days == pytest.approx(30)
    assert any(line.startswith("usage: no rows since 2025-04-10, 30 days before") for line in feeds.troubles())
    assert not feeds.tables["orders"].stale


def test_later_instants_of_a_row_belong_to_the_data(to_arrow: Any) -> None:
    ticket = {"account_id": "a", "ticket_id": "t", "severity": "low", "occurred_at": "2025-01-01", "resolved_at": "2025-02-01"}
    assert _feeds(to_arrow, support=[ticket]).end == datetime(2025, 2, 1, tzinfo=UTC)


def test_accounts_need_no_rhythm(to_arrow: Any) -> None:
    feeds = _feeds(to_arrow, usage=_daily(range(400)))
    assert not feeds.tables["accounts"].stale
    assert feeds.tables["accounts"].patience_days is None


def test_rows_at_or_after_the_given_end_are_ignored(to_arrow: Any) -> None:
    until = datetime(2025, 1, 6, tzinfo=UTC)
    feeds = _feeds(to_arrow, until, usage=_daily(range(100)))
    assert feeds.end == until
    assert feeds.tables["usage"].rows == 20
    assert feeds.tables["usage"].silent_days == pytest.approx(0.5, abs=0.01)


def test_gaps_are_reported_and_only_the_first_few_are_listed(to_arrow: Any) -> None:
    days = [d for d in range(400) if d % 80 < 50]
    lines = _usage(to_arrow, _daily(days)).troubles()  # type: ignore[arg-type]
    assert lines[0] == "usage: no rows from 2025-02-20 to 2025-03-21 (30 days)"
    assert lines[-1] == "usage: 1 more gap of this kind"


def test_late_rows_are_shares_of_rows_with_an_arrival(to_arrow: Any) -> None:
    rows = _daily(range(20))
    for i, row in enumerate(rows):
        lag = timedelta(days=(0, 2, 9)[i % 3])
        row["loaded_at"] = None if i % 2 else (datetime.fromisoformat(row["occurred_at"]) + lag).isoformat()
    usage = _usage(to_arrow, rows)
    assert usage.day_late == pytest.approx(2 / 3, abs=0.03)
    assert usage.week_late == pytest.approx(1 / 3, abs=0.03)
    assert usage.worst_days == pytest.approx(9)
    # All of them have arrived by now; some had not on the day of the newest.
    assert usage.to_come == 0
    tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": rows}
    source = from_tables({n: to_arrow(n, r) for n, r in tables.items()}, "a test")
    assert feed_health(source, now=usage.last).tables["usage"].to_come > 0
    assert usage.notes()[0].endswith("more than a week after they happened (slowest: 9 days)")


def test_repeated_rows_are_separate_from_rows_to_come(to_arrow: Any) -> None:
    rows = _daily(range(20))
    for row in rows:
        row["loaded_at"] = (datetime.fromisoformat(row["occurred_at"]) + timedelta(days=2)).isoformat()
    tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": rows + rows[:20]}
    source = from_tables({n: to_arrow(n, r) for n, r in tables.items()}, "a test")
    last = datetime.fromisoformat(rows[-1]["occurred_at"]).replace(tzinfo=UTC)
    feeds = feed_health(source, now=last)
    result = feeds.with_distinct_rows(read_signals(source, now=last).rows).tables["usage"]
    assert result.to_come > 0
    assert result.repeated_share == pytest.approx(0.2)
    assert "usage: 20% of the rows are repeats; each row is counted once" in result.notes()


def test_a_change_of_unit_is_found_in_the_rows(to_arrow: Any) -> None:
    rows = _daily(range(140), minutes=5.0, quantity=2.0)
    for row in rows[4 * 68 :]:
        row["minutes"] = 300.0
    (jump,) = _usage(to_arrow, rows).jumps
    assert (jump.column, jump.start.isoformat(), jump.ratio) == ("minutes", "2025-03-10", 60)


def test_kinds_are_compared_separately_and_unknown_kinds_are_not_named(to_arrow: Any) -> None:
    rows = _daily(range(70), kind="nps", value=8.0) + _daily(range(70, 140), kind="roi_reported", value=0.1)
    assert _feeds(to_arrow, outcomes=rows).tables["outcomes"].jumps == ()
    foreign = _daily(range(70), kind="SECRET", value=8.0) + _daily(range(70, 140), kind="SECRET", value=0.1)
    feeds = _feeds(to_arrow, outcomes=foreign)
    assert len(feeds.tables["outcomes"].jumps) == 1
    assert "SECRET" not in json.dumps(feeds.as_dict()) + "".join(feeds.troubles() + feeds.notes())


def test_text_is_parsed_to_the_contract_types(tmp_path: Path, to_arrow: Any) -> None:
    rows = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": _daily(range(140), minutes=5.0)}
    for name, inputs in rows.items():
        pc.write_csv(to_arrow(name, inputs), tmp_path / f"{name}.csv")
    typed, text = _feeds(to_arrow, usage=rows["usage"]), feed_health(open_source(tmp_path))
    assert text.tables == typed.tables


def test_an_empty_table_and_one_of_a_wrong_shape(to_arrow: Any) -> None:
    tables = {n: to_arrow(n, r) for n, r in {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "billing": []}.items()}
    tables["usage"] = pa.table({"account_id": ["a"], "occurred_at": [True]})
    tables["support"] = pa.table({"account_id": ["a"]})
    source = from_tables(tables, "a test")
    assert not check_source(source).ok
    feeds = feed_health(source)
    assert set(feeds.unread) == {"usage", "support"}
    assert feeds.tables["billing"].troubles() == ["billing: no rows before the end of the data"]
    assert "orders" in feeds.absent
    assert feeds.end == datetime(2025, 1, 1, tzinfo=UTC)


def test_without_any_row_there_is_no_end(to_arrow: Any) -> None:
    feeds = feed_health(from_tables({"accounts": to_arrow("accounts", [])}, "a test"))
    assert feeds.end is None
    assert feeds.tables["accounts"].accounts_share is None


def test_the_facts_are_plain_json(to_arrow: Any) -> None:
    result = json.loads(json.dumps(_feeds(to_arrow, usage=_daily(range(60), minutes=1.0)).as_dict(), allow_nan=False))
    usage = result["tables"]["usage"]
    assert usage["rows"] == 240
    assert usage["columns"]["minutes"] == {"given": True, "missing_share": 0, "filled_since": None, "dry_since": None}
    assert not usage["columns"]["user_id"]["given"]
    assert usage["stale"] is False


@pytest.mark.parametrize(("starts", "has_rhythm"), [(1, False), (5, False), (6, True)])
def test_few_contracts_have_no_rhythm(to_arrow: Any, starts: int, has_rhythm: bool) -> None:
    begun = [{"account_id": "a", "started_at": f"2025-01-{1 + i:02d}", "arr": 1.0} for i in range(starts)] * 2
    result = _feeds(to_arrow, subscriptions=begun, usage=_daily(range(400))).tables["subscriptions"]
    assert result.silent_days > 300
    assert (result.patience_days is not None, result.stale) == (has_rhythm, has_rhythm)
    assert any("a usual gap is at most" in line for line in result.troubles()) == has_rhythm
