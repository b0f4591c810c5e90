"""How far the rows of a source reach: future rows do not count, and no feed limits another."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import renewcast
from features.errors import SignalsError
from features.feed_health.feed_health import feed_health
from features.signals.data_through import completeness
from features.signals.signals import read_signals
from features.signals.validation import check_source
from features.sources.base import Source, from_tables

NOW = datetime(2026, 7, 1, tzinfo=UTC)
ACCOUNTS = [{"account_id": a, "created_at": "2015-01-01"} for a in "ab"]
SUBSCRIPTIONS = [{"account_id": a, "started_at": "2015-01-01", "arr": 1.0} for a in "ab"]

Rows = list[dict[str, Any]]


def _source(to_arrow: Any, **tables: Rows) -> Source:
    signal_tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS} | tables
    return from_tables({n: to_arrow(n, r) for n, r in signal_tables.items()}, "a test")


def _at(*days: str, **more: Any) -> Rows:
    return [{"account_id": "a", "occurred_at": day, **more} for day in days]


def _ticket(**more: Any) -> dict[str, Any]:
    return {"account_id": "a", "ticket_id": "t", "occurred_at": "2026-05-01", "severity": "low", **more}


def _term(start: str, end: str, **more: Any) -> dict[str, Any]:
    return {"account_id": "b", "started_at": start, "ended_at": end, "arr": 1.0, **more}


REACHES: list[tuple[dict[str, Rows], str, str]] = [
    ({"usage": _at("2026-06-28"), "engagement": _at("2026-06-01", "2027-06-30", kind="meeting")}, "2026-06-28", "usage"),
    ({"usage": _at("2026-06-28"), "support": [_ticket(resolved_at="9999-12-31")]}, "2026-06-28", "usage"),
    ({"usage": _at("2026-06-01"), "support": [_ticket(resolved_at="2026-06-20")]}, "2026-06-20", "support"),
    # A row of June that was loaded in May is planned; one day of difference is a clock, or a date without a time.
    ({"usage": _at("2026-05-01"), "engagement": _at("2026-06-20", kind="meeting", loaded_at="2026-05-10")}, "2026-05-01", "usage"),
    ({"usage": _at("2026-05-01T14:00", loaded_at="2026-05-01")}, "2026-05-01T14:00", "usage"),
    # A feed that stopped does not limit contracts that continue, and contracts entered in advance do not extend the data.
    ({"usage": _at("2016-03-01"), "subscriptions": [*SUBSCRIPTIONS, *({"account_id": "b", "started_at": f"{y}-02-01", "arr": 1.0} for y in (2017, 2018, 2019))]}, "2019-02-01", "subscriptions"),
    ({"usage": _at("2026-03-01"), "subscriptions": [*SUBSCRIPTIONS, {"account_id": "b", "started_at": "2026-05-01", "arr": 1.0}]}, "2026-03-01", "usage"),
    ({"usage": _at("2016-03-01"), "billing": _at("2026-06-30", kind="invoice_paid")}, "2026-06-30", "billing"),
    # Without events, contracts decide: their starts, and ends that were recorded when they came.
    ({"subscriptions": [*SUBSCRIPTIONS, _term("2016-01-01", "2026-05-10")]}, "2026-05-10", "subscriptions"),
    # Ends that are known in advance show nothing when their date has passed.
    ({"subscriptions": [*SUBSCRIPTIONS, _term("2016-01-01", "2026-05-10"), _term("2016-01-01", "2026-12-31")]}, "2016-01-01", "subscriptions"),
    ({"subscriptions": [_term("2024-03-01", "2025-03-01"), _term("2025-03-01", "2026-03-01")]}, "2025-03-01", "subscriptions"),
    # With a reason, an end has come, unless reasons are written in advance too.
    ({"subscriptions": [_term("2016-01-01", "2026-05-10", end_reason="cancelled"), _term("2016-01-01", "2026-12-31")]}, "2026-05-10", "subscriptions"),
    ({"subscriptions": [_term("2016-01-01", "2026-05-10", end_reason="cancelled"), _term("2016-01-01", "2026-12-31", end_reason="cancelled")]}, "2016-01-01", "subscriptions"),
    # The same holds where contracts continue after the last event.
    ({"usage": _at("2016-03-01"), "subscriptions": [_term(f"{y}-02-01", f"{y + 1}-02-01") for y in range(2015, 2020)]}, "2019-02-01", "subscriptions"),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "through", "by"), REACHES, ids=[f"{by} {t}" for _, t, by in REACHES])
def test_how_far_the_data_reach(to_arrow: Any, tables: dict[str, Rows], through: str, by: str) -> None:
    expected = datetime.fromisoformat(through).replace(tzinfo=UTC)
    source = _source(to_arrow, **tables)
    reach = completeness(source, NOW)
    assert (reach.through, reach.decided_by) == (expected, by)
    assert max(reach.ends.values()) <= NOW
    feeds = feed_health(source, now=NOW)
    assert (feeds.end, feeds.decided_by) == (expected, by)
    assert all(feed.last is None or feed.last <= NOW for feed in feeds.tables.values())
    assert read_signals(source, now=NOW).data_through == expected


@pytest.mark.parametrize(("synced", "through"), [("2026-06-30", "2026-06-30"), ("2026-06-01", "2026-06-28")])
def test_an_export_reaches_through_its_last_sync(to_arrow: Any, synced: str, through: str) -> None:
    source = replace(_source(to_arrow, usage=_at("2026-06-28")), synced_through=datetime.fromisoformat(synced).replace(tzinfo=UTC))
    expected = datetime.fromisoformat(through).replace(tzinfo=UTC)
    assert completeness(source, NOW).through == feed_health(source, now=NOW).end == read_signals(source, now=NOW).data_through == expected
    given = replace(source, data_through=datetime(2026, 6, 15, tzinfo=UTC))
    assert completeness(given, NOW).through == given.data_through


def test_an_event_table_without_rows_is_read_with_columns_outside_the_contract(to_arrow: Any) -> None:
    tables = {n: to_arrow(n, r) for n, r in {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "billing": []}.items()}
    tables["billing"] = tables["billing"].append_column("currency", pa.array([], pa.string()))
    signals = read_signals(from_tables(tables, "a test"), now=NOW)
    assert signals.connection.table("signals_billing").count().execute() == 0


def test_rows_after_the_end_are_counted_and_reported(to_arrow: Any) -> None:
    source = _source(
        to_arrow,
        usage=_at("2026-06-01", "2026-06-28"),
        engagement=_at("2027-06-30", "2026-06-01", "2027-07-30", kind="meeting"),
        support=[_ticket(resolved_at="2030-01-01")],
    )
    findings = {(f.table, f.column): f for f in check_source(source, now=NOW).findings}
    assert set(findings) == {("engagement", "occurred_at"), ("support", "resolved_at")}
    meetings = findings["engagement", "occurred_at"]
    assert (meetings.rows, meetings.positions) == (2, (1, 3))
    assert str(meetings).startswith("engagement.occurred_at: 2 rows (rows 1, 3) dated in the future")
    (late,) = [f for f in check_source(source, datetime(2026, 6, 15, tzinfo=UTC), now=NOW).findings if f.table == "usage"]
    assert (late.rows, late.positions) == (1, (2,))
    assert "2026-06-15" in late.what


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("2026-06-29", ""),
        # Before the newest row, and a quarter without a row, as a yearly feed may have.
        ("2026-06-15", ""),
        ("2026-07-01", ""),
        ("2026-07-20", "2026-07-20, is in the future and 22 days after the newest row of all tables, 2026-06-28"),
        ("2035-01-01", "is in the future and 3,109 days after the newest row"),
    ],
)
def test_a_given_end_after_all_rows_is_reported(to_arrow: Any, given: str, words: str) -> None:
    source = _source(to_arrow, usage=_at("2026-06-01", "2026-06-28"))
    until = datetime.fromisoformat(given).replace(tzinfo=UTC)
    findings = [f for f in check_source(source, until, now=NOW).findings if "given end" in f.what]
    # The end that a mapping gives is judged in the same way.
    assert findings == [f for f in check_source(replace(source, data_through=until), now=NOW).findings if "given end" in f.what]
    assert [(f.table, f.rows, words in f.what) for f in findings] == ([("usage", 0, True)] if words else [])


def test_a_given_end_long_after_all_rows_is_reported_though_it_is_past(to_arrow: Any) -> None:
    source = _source(to_arrow, usage=_at("2026-01-01"))
    (finding,) = [f for f in check_source(source, datetime(2026, 6, 30, tzinfo=UTC), now=NOW).findings if "given end" in f.what]
    assert "2026-06-30 is 180 days after the newest row of all tables, 2026-01-01" in finding.what


def test_a_given_end_before_all_rows_is_reported(to_arrow: Any) -> None:
    usage, contracts = _at("2026-01-01"), [row | {"started_at": "2025-03-01"} for row in SUBSCRIPTIONS]
    source = _source(to_arrow, usage=usage, subscriptions=contracts)
    (finding,) = [f for f in check_source(source, datetime(2025, 3, 1, tzinfo=UTC), now=NOW).findings if "given end" in f.what]
    assert finding.table == "subscriptions"
    assert "2025-03-01, is not after the oldest row of all tables, 2025-03-01: nothing is known about any account" in finding.what
    later = check_source(source, datetime(2025, 3, 2, tzinfo=UTC), now=NOW).findings
    assert not [f for f in later if "given end" in f.what]


def test_a_source_with_only_future_rows_is_rejected(to_arrow: Any) -> None:
    source = _source(to_arrow)
    with pytest.raises(SignalsError, match="no row dated in the past"):
        read_signals(source, now=datetime(2014, 1, 1, tzinfo=UTC))


def test_the_check_command_reports_findings_and_feeds(tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("account_id,created_at\na,2025-01-01\nb,2025-01-01\n")
    (tmp_path / "subscriptions.csv").write_text(
        "account_id,started_at,ended_at,arr\na,2025-01-01,2025-12-31,10\na,2026-01-01,,10\nb,2025-01-01,,5\nb,2025-01-01,,5\n"
    )
    (tmp_path / "usage.csv").write_text("account_id,occurred_at\na,2026-06-01\nb,2026-06-28\n")
    (tmp_path / "engagement.csv").write_text("account_id,occurred_at,kind\na,2026-06-01,meeting\na,2190-06-30,meeting\n")
    result = CliRunner().invoke(renewcast.app, ["check", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)
    assert output["errors"] == []
    assert output["feeds"]["end"].startswith("2026-06-28")
    assert output["feeds"]["decided_by"] == "usage"
    assert output["feeds"]["tables"]["engagement"]["last"].startswith("2026-06-01")
    findings = {(f["table"], f["column"]): f for f in output["findings"]}
    assert findings["engagement", "occurred_at"]["rows"] == 1
    assert findings["subscriptions", "ended_at"]["rows"] == 1
    assert findings["subscriptions", None]["positions"] == [3, 4]
    text = CliRunner().invoke(renewcast.app, ["check", str(tmp_path), "--data-through", "2026-06-15"]).stdout
    assert "data through 2026-06-15" in " ".join(text.split())
    assert "look" in text
