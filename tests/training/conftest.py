"""Tiny signals for the tests of training: tables written as frames or as text, on one DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import ibis
import pyarrow as pa
import pytest

from features.signals import Signals

_INSTANT = pa.timestamp("us")
SCHEMAS = {
    "subscriptions": pa.schema(
        {
            "account_id": pa.string(),
            "started_at": _INSTANT,
            "ended_at": _INSTANT,
            "arr": pa.float64(),
            "seats": pa.int64(),
            "plan": pa.string(),
            "end_reason": pa.string(),
        }
    ),
    "orders": pa.schema({"account_id": pa.string(), "occurred_at": _INSTANT, "amount": pa.float64()}),
    "usage": pa.schema({"account_id": pa.string(), "occurred_at": _INSTANT}),
}


@pytest.fixture
def make_signals() -> Iterator[Callable[..., Signals]]:
    """Signals out of lists of rows: ``make_signals(through, subscriptions=[{...}, ...])``; absent columns are null."""
    opened = []

    def make(through: datetime, **tables: list[dict[str, object]]) -> Signals:
        connection = ibis.duckdb.connect()
        made = {
            name: connection.create_table(name, pa.Table.from_pylist(rows, SCHEMAS[name]), temp=True)
            for name, rows in tables.items()
        }
        opened.append(Signals(connection, made, through.replace(tzinfo=UTC), "a test"))
        return opened[-1]

    yield make
    for signals in opened:
        signals.close()
