"""The KPIs in the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from features.signals.signals import OpenSignals
from features.utils.console import Console
from features.utils.periods import period_ending
from models.health.rubric import load_rubric
from serving.cli.tables.kpi import print_kpis
from serving.portfolio.kpi_report import kpi_report
from serving.schemas.divisions import DIVISIONS


@pytest.mark.parametrize(
    ("ended", "width", "line"),
    [
        ("2024-11-20", 100, "without 1 account, because their contracts ended within 30 days"),
        ("2024-11-20", 150, "without 1 account in the last quarter, because their contracts ended within 30 days"),
        ("2024-08-01", 100, None),
        (None, 100, None),
    ],
)
def test_accounts_that_may_still_be_renewed_are_named_below_the_table(
    make_signals: Callable[..., OpenSignals], ended: str | None, width: int, line: str | None
) -> None:
    contracts: list[dict[str, Any]] = [
        {"account_id": f"a{i}", "started_at": "2023-03-01", "arr": 100.0, "ended_at": None if i else ended} for i in range(5)
    ]
    accounts = [{"account_id": f"a{i}", "created_at": "2023-01-01"} for i in range(5)]
    signals = make_signals({"accounts": accounts, "subscriptions": contracts}, "2024-12-01")
    payload = kpi_report(signals, period_ending(datetime(2024, 12, 1, tzinfo=UTC), "year"), load_rubric(), 90)
    payload |= {"groups": {name: [] for name in DIVISIONS}, "horizon_days": None, "filter": None}
    console = Console(file=io.StringIO(), width=width)
    print_kpis(payload, console)
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    if line is None:
        assert "without" not in text
    else:
        assert line in text
        assert "Logo retention" in text[text.index(line) :]
