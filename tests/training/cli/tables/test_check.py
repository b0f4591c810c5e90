"""A check fits in 80 columns and ends with its verdict."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from features.sources.base import from_tables
from training.cli.tables.check import print_check
from training.dataset.data_verdict import verdict
from training.source_report.report import report_on_source

ACCOUNTS = [{"account_id": f"a{i}", "created_at": "2024-01-01"} for i in range(3)]
SUBSCRIPTIONS = [{"account_id": f"a{i}", "started_at": "2024-01-01", "arr": 10.0} for i in range(3)]
USAGE = [{"account_id": "a0", "occurred_at": f"2024-{m:02}-{d:02}", "minutes": 5.0} for m in range(1, 9) for d in range(1, 29)]
EMAIL = [{"account_id": "a1", "occurred_at": f"2024-0{m}-01", "kind": "email", "outcome": "[bold]"} for m in (1, 2)]


def _printed(to_arrow: Any, width: int, full: bool = True, **tables: list[dict[str, Any]]) -> str:
    signal_tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS} | tables
    source = from_tables({n: to_arrow(n, r) for n, r in signal_tables.items()}, "a test")
    out = StringIO()
    print_check(report_on_source(source), Console(file=out, width=width), full=full)
    return out.getvalue()


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_table_fits_and_ends_with_the_verdict_and_the_line(to_arrow: Any, width: int, full: bool) -> None:
    text = _printed(to_arrow, width, full, usage=USAGE, relationship=[])
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "not enough data to train on churn or expansion at 90 days" in text[text.index("verdict") :]
    assert text.index("90 days") < text.index("verdict")
    assert lines[-1] == "3 active accounts, ARR 30, renewal dates unknown"
    assert ("what was read" in text) is full


def test_overwritten_contracts_are_not_enough_for_any_target(to_arrow: Any) -> None:
    signal_tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": USAGE}
    source = from_tables({n: to_arrow(n, r) for n, r in signal_tables.items()}, "a test")
    report = report_on_source(source)
    assert report.enough is not None
    enough = replace(report.enough, overwritten=True)
    out = StringIO()
    print_check(replace(report, enough=enough, verdict=verdict(enough, report.feeds)), Console(file=out, width=80))
    rows = [line for line in out.getvalue().splitlines() if " days  " in line]
    assert len(rows) == len(enough.horizons)
    assert all(row.count("overwritten") == 2 and "yes" not in row for row in rows)
    assert "not suitable for training" in out.getvalue()


def test_stale_feeds_and_missing_columns_are_named_at_eighty_columns(to_arrow: Any) -> None:
    billing = [{"account_id": "a0", "occurred_at": "2024-01-05", "kind": "invoice_paid"}]
    text = _printed(to_arrow, 80, usage=USAGE, billing=billing)
    feed, picture, reading, missing, covered = (line for line in text.splitlines() if line.startswith("billing"))
    assert "stale" in feed
    assert picture.split()[1].strip("·") == "█", "one week with rows, and none since"
    assert reading.split(": ")[1].strip() == "account_id, occurred_at, kind"
    assert "no amount" in missing
    assert covered.split(None, 1)[1].strip() == "1 of 3 accounts; in the last 90 days 0 of 3 active ones"
    assert "…" not in text
    assert "not in the source, so unknown: orders" in text


def test_a_broken_source_shows_its_errors_and_no_horizon(to_arrow: Any) -> None:
    text = _printed(to_arrow, 140, usage=USAGE, engagement=EMAIL)
    assert "error  engagement.outcome: a value outside the list in 2 rows" in text
    assert "last as_of" not in text
    assert "[bold]" not in text
    assert "not usable: the data contract is violated in one place" in text
