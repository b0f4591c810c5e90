"""A leak report lists what was checked, found and skipped, and fits eighty columns."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console

from training.cli.tables.leakage import print_leaks
from training.leakage.report import MAXIMUM_NAMED, CheckRun, LeakFinding, LeakReport

AT = datetime(2026, 3, 1, tzinfo=UTC)
CLEAN = LeakReport(
    origin="signals",
    data_through=AT,
    catalogue_version="0" * 12,
    accounts=200,
    dates=(AT,) * 6,
    checks=(
        CheckRun("future added", "rows dated or loaded at or after a date are added and altered", "200 accounts, 6 dates"),
        CheckRun("separation", "no feature alone separates the outcomes", "900 snapshots", "churn"),
        CheckRun("separation", "no feature alone separates the outcomes", "900 snapshots", "expansion"),
        CheckRun("arrival", "rows dated before a churn that arrive after it", "", None, "without contracts, a churn has no exact date"),
    ),
    findings=(),
    arrivals=(),
    seconds=12.3,
)
LEAK = LeakFinding("future added", "usage.events_28d", "usage.events_28d changes with the future", dates=(AT,))
SEPARATING = LeakFinding("separation", "account.industry", "account.industry alone separates churn", target="churn")
NOTE = LeakFinding("arrival", "billing", "billing: 400 rows are dated before a churn", "note", "churn")


def test_leaks_are_reported_per_target() -> None:
    report = replace(CLEAN, findings=(LEAK, SEPARATING, NOTE))
    assert report.leaks("churn") == [LEAK.words, SEPARATING.words]
    assert report.leaks("expansion") == [LEAK.words]
    assert (report.ok, report.failures, report.notes) == (False, (LEAK, SEPARATING), (NOTE,))
    assert report.words().startswith("2 leaks found: usage.events_28d, account.industry")


def test_a_skipped_check_gives_no_verdict() -> None:
    part = replace(CLEAN, checks=(*CLEAN.checks[:2], replace(CLEAN.checks[2], lacking="3 accounts")))
    assert part.leaks("churn") == []
    assert part.leaks("expansion") is None
    assert part.words().endswith("not checked: separation of expansion")
    assert CLEAN.leaks("churn") == []


def test_long_lists_of_leaks_are_shortened() -> None:
    many = replace(CLEAN, findings=tuple(replace(LEAK, subject=f"usage.{i}") for i in range(MAXIMUM_NAMED + 3)))
    assert many.words().split(";")[0].endswith("usage.4 and 3 more")


def test_the_report_is_json() -> None:
    payload = json.loads(json.dumps(replace(CLEAN, findings=(LEAK, NOTE)).as_dict(), allow_nan=False))
    assert payload["ok"] is False
    assert payload["dates"] == ["2026-03-01"] * 6
    assert payload["findings"][0]["dates"] == ["2026-03-01"]
    assert [check["looked_at"] for check in payload["checks"]] == [True, True, True, False]


def test_the_report_fits_eighty_columns_and_ends_with_the_verdict() -> None:
    for report, verdict in ((CLEAN, "no leak found"), (replace(CLEAN, findings=(NOTE, LEAK, SEPARATING)), "2 leaks found")):
        console = Console(file=io.StringIO(), width=80)
        print_leaks(report, console)
        text: str = console.file.getvalue()  # type: ignore[attr-defined]
        assert max(map(len, text.splitlines())) <= 80
        assert verdict in text[text.index("verdict") :]
        assert "not checked" in text
    assert text.index("leak ") < text.index("note ")
