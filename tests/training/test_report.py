"""The table of a training run fits a terminal and says each figure with its interval."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from training.judge import Metric, Row
from training.leakcheck_report import Finding, LeakReport
from training.report import COLUMNS, _table, print_report


def _row(candidate: str, value: float, low: float, high: float) -> Row:
    return Row(candidate, tuple(Metric(name, value, low, high, "") for name in COLUMNS))


def test_it_fits_eighty_columns() -> None:
    nan = float("nan")
    rows = [_row("base_rate", 0.5, 0.5, 0.5), _row("logistic_regression", 0.781, 0.75, 0.82), _row("lightgbm", -0.051, -0.13, 0.15), _row("health_score", nan, nan, nan)]
    candidate: Any = SimpleNamespace(judgement=SimpleNamespace(rows=rows))
    console = Console(file=io.StringIO(), width=76)
    console.print(_table(candidate))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(heading in text for heading in COLUMNS.values())
    assert "0.781" in text
    assert "0.75–0.82" in text
    assert "-0.13–0.15" in text
    assert "nan" not in text
    assert max(map(len, text.splitlines())) <= 76


def test_what_the_leak_check_found_is_said() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    note = Finding("arrival", "billing", "billing: 400 rows are dated before a churn", "note", "churn")
    leaks = LeakReport("a test", at, "0" * 12, 200, (at,), (), (note,), (), 3.0)
    report: Any = SimpleNamespace(facts={}, leaks=leaks)
    console = Console(file=io.StringIO(), width=76)
    print_report(report, console)
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "leak check: no leak found: snapshots of 200 accounts at 1 date stay the same" in text
    assert "note billing: 400 rows" in text
