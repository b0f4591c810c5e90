"""The report on a source: hand-computed figures of a small portfolio."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from features.contract.settings import PAUSED_ARR_VARIABLE, TRIALS_VARIABLE
from features.sources.base import from_tables
from models.health.scored_accounts import other_rubrics, scored_accounts
from training.source_report.dropped_rows import NOT_ARRIVED, REPEATED, TRIALS, DroppedRows, paused_reason
from training.source_report.report import SourceReport, report_on_source
from training.source_report.seat_use import SEATS_USED, seat_findings
from training.source_report.timeline import feed_timelines

END = datetime(2026, 6, 29, tzinfo=UTC)
"""A Monday."""
ACCOUNTS = [{"account_id": name, "created_at": "2026-01-05"} for name in "abcd"]
SUBSCRIPTIONS = [
    {"account_id": "a", "started_at": "2026-06-01", "arr": 100.0, "renewal_at": "2026-07-30"},
    {"account_id": "b", "started_at": "2026-06-01", "ended_at": "2026-06-10", "arr": 50.0},
    {"account_id": "c", "started_at": "2026-06-16", "arr": 20.0},
    {"account_id": "d", "started_at": "2026-08-01", "arr": 7.0},
]
USAGE = [
    {"account_id": "a", "occurred_at": "2026-06-02", "user_id": "u"},
    {"account_id": "a", "occurred_at": "2026-06-02", "user_id": "u"},
    {"account_id": "a", "occurred_at": "2026-06-25", "user_id": "u"},
    {"account_id": "b", "occurred_at": "2026-06-03", "user_id": None},
    {"account_id": "c", "occurred_at": "2026-06-20", "user_id": "v", "loaded_at": "2026-07-05"},
    {"account_id": "a", "occurred_at": "2026-07-01", "user_id": "u"},
]


@pytest.fixture(scope="module")
def report(to_arrow: Any) -> SourceReport:
    tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": USAGE}
    arrow = {name: to_arrow(name, rows) for name, rows in tables.items()}
    arrow["accounts"] = arrow["accounts"].append_column("tier", pa.array(["gold"] * 4))
    return report_on_source(from_tables(arrow, "a test"), END)


def test_what_was_read_names_used_missing_and_other_columns(report: SourceReport) -> None:
    accounts, _, usage = report.readings
    assert (accounts.table, accounts.rows, accounts.used, accounts.ignored) == ("accounts", 4, ("account_id", "created_at"), "tier")
    assert "csm" in accounts.absent
    assert usage.used == ("account_id", "occurred_at", "user_id", "loaded_at")
    assert usage.ignored == ""


def test_rows_that_do_not_count_are_listed_with_the_reason(report: SourceReport) -> None:
    after = f"dated after the end of the data, {END:%Y-%m-%d}"
    assert set(report.dropped) == {
        DroppedRows("subscriptions", 1, after),
        DroppedRows("usage", 1, after),
        DroppedRows("usage", 1, NOT_ARRIVED),
        DroppedRows("usage", 1, REPEATED),
    }


def test_trials_and_paused_subscriptions_are_counted_on_their_own(to_arrow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("trial", "trial", "paused", "active", "trial", "paused")
    at = (*["2026-06-01"] * 4, "2026-07-01", "2026-07-01")
    rows = [{"account_id": "a", "started_at": day, "arr": 1.0, "status": status} for day, status in zip(at, given, strict=True)]

    def left_out() -> dict[str, int]:
        arrow = {"accounts": to_arrow("accounts", ACCOUNTS), "subscriptions": to_arrow("subscriptions", rows)}
        report = report_on_source(from_tables(arrow, "a test"), END)
        assert report.feeds.tables["subscriptions"].repeated_share == 0
        return {each.reason: each.rows for each in report.dropped if "end of the data" not in each.reason}

    assert left_out() == {TRIALS: 2, paused_reason(): 1}
    assert paused_reason() == "in ARR only: paused, which counts at 0% (RENEWCAST_PAUSED_ARR)"
    monkeypatch.setenv(TRIALS_VARIABLE, "active")
    monkeypatch.setenv(PAUSED_ARR_VARIABLE, "0.25")
    assert left_out() == {paused_reason(): 1}
    monkeypatch.setenv(PAUSED_ARR_VARIABLE, "1")
    assert left_out() == {}


def test_accounts_of_a_feed_are_counted_among_all_and_among_the_active_ones(report: SourceReport) -> None:
    (usage,) = report.coverage
    # The row of c has not arrived, and b has left.
    assert (usage.table, usage.accounts, usage.active) == ("usage", 2, 1)
    assert report.portfolio is not None
    assert report.portfolio.line == "2 active accounts, ARR 120, 1 due next quarter"


def test_the_history_has_active_accounts_and_arr_by_week(report: SourceReport) -> None:
    weeks = [(week.as_of.date(), week.accounts, week.arr) for week in report.history]
    # A contract that begins at a date is known after it; the one that ended on the 10th runs until then.
    assert weeks == [
        (date(2026, 6, 8), 2, 150.0),
        (date(2026, 6, 15), 1, 100.0),
        (date(2026, 6, 22), 2, 120.0),
        (date(2026, 6, 29), 2, 120.0),
    ]


def test_the_timeline_has_the_rows_of_each_week_of_one_axis(report: SourceReport) -> None:
    by_table = {each.table: each for each in feed_timelines(report.feeds, 2)}
    assert set(by_table) == {"subscriptions", "usage"}
    assert by_table["usage"].start == by_table["subscriptions"].start == date(2026, 6, 1)
    # The weeks of 1, 8, 15, 22 and 29 June. The row of the 20th is drawn, although it arrives later.
    assert by_table["usage"].weeks == (3, 0, 1, 1, 0)
    assert by_table["subscriptions"].weeks == (2, 0, 1, 0, 0)
    assert by_table["usage"].cells == (1.5, pytest.approx(2 / 3))


def test_the_verdict_offers_a_health_score_only_if_it_scores_an_account(report: SourceReport) -> None:
    # With usage of one user alone, no rubric has data for half of its weight.
    assert report.verdict.todo[-1].startswith("add signals: there is neither a model nor a health score yet, because no account")


def test_a_rubric_that_scores_is_named_with_the_number_of_accounts() -> None:
    share = pd.DataFrame({"account_id": ["a", "b"], "as_of": END, "usage.seats_used_share": [0.9, None]})
    rubrics = {"five-dimensions": 0, "small": 1}
    assert scored_accounts(share)["five-dimensions"] == 0
    assert other_rubrics(rubrics, "five-dimensions") == "--rubric small scores 1 account"
    assert other_rubrics(rubrics, "small") == ""


def test_many_more_users_than_seats_are_a_finding() -> None:
    frame = pd.DataFrame({SEATS_USED: [8.0, 1.4, 0.5, float("nan")]})
    (found,) = seat_findings(frame)
    assert str(found).startswith(
        "usage.user_id: 1 of 3 accounts with seats had more than twice as many users in the last 28 days as seats, up to 8 times"
    )
    assert seat_findings(frame.iloc[1:]) == ()


def test_everything_is_plain_data(report: SourceReport) -> None:
    payload = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert payload["portfolio"]["line"] == "2 active accounts, ARR 120, 1 due next quarter"
    assert payload["timeline"]["usage"][0] == {"week": "2026-06-01", "rows": 3}
    assert payload["tables"][0]["ignored"] == "tier"
    assert payload["coverage"] == [{"table": "usage", "accounts": 2, "active": 1}]


def test_a_broken_source_has_readings_and_feeds_but_no_portfolio(to_arrow: Any) -> None:
    broken = [{"account_id": "a", "occurred_at": "2026-06-02", "minutes": -1.0}]
    tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": broken}
    report = report_on_source(from_tables({n: to_arrow(n, rows) for n, rows in tables.items()}, "a test"), END)
    assert not report.report.ok
    assert [each.table for each in report.readings] == ["accounts", "subscriptions", "usage"]
    assert (report.portfolio, report.history, report.coverage) == (None, (), ())
