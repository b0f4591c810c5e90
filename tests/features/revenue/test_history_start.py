"""Where the history of contracts begins, if the source shows only accounts that were still there then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from features.revenue.history_start import history_start
from features.signals.signals import read_signals
from features.sources.base import from_tables


def _signals(*rows: tuple[str, str, str | None]) -> Any:
    names = ("account_id", "started_at", "term_started_at")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    accounts = {"account_id": columns["account_id"], "created_at": columns["started_at"]}
    tables = {"accounts": pa.table(accounts), "subscriptions": pa.table(columns | {"arr": ["1"] * len(rows)})}
    return read_signals(from_tables(tables, "a test", text=True), datetime(2026, 7, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Two accounts of the first snapshot, and one that came later.
        ([("a", "2020-01-01", "2026-01-31"), ("b", "2026-01-31", None), ("c", "2026-03-31", None)], datetime(2026, 1, 31, tzinfo=UTC)),
        ([("a", "2020-01-01", "2026-01-31"), ("b", "2019-01-01", None)], None),
        ([("a", "2020-01-01", None)], None),
        ([("a", "2020-01-01", "2020-01-01")], None),
    ],
)  # fmt: skip
def test_the_history_begins_with_the_first_known_terms(rows: list[Any], expected: datetime | None) -> None:
    assert history_start(_signals(*rows)) == expected
