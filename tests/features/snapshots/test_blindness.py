"""Whatever happens, arrives or is filled in later, a snapshot stays as it was, bit for bit, whatever the table.

The rows are drawn from the data contract itself, so a table or a column added to it is covered without a word here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.contract.schema import TABLES, Column, TableSchema
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid

Row = dict[str, Any]
Rows = dict[str, list[Row]]

DAY = timedelta(days=1)
GRID = Grid(datetime(2024, 2, 15, 6, tzinfo=UTC), 14, 4)
"""Four dates around a leap day, not at midnight."""
BEGINNING, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
"""What every source of these tests spans, so that only the rows differ."""
ACCOUNTS = ("a", "b", "c", "d")

AT_HOME = {
    "accounts": [{"account_id": a, "created_at": "2021-01-01"} for a in ACCOUNTS],
    "subscriptions": [
        {"account_id": a, "started_at": "2021-01-01", "arr": 900.0, "seats": 3, "renewal_at": "2024-06-01"} for a in ACCOUNTS[:2]
    ],
}
BY_ORDERS = {
    "accounts": AT_HOME["accounts"],
    "orders": [{"account_id": a, "occurred_at": "2024-02-14", "amount": 10.0} for a in ACCOUNTS[:2]],
}
DRAWN = tuple(name for name in TABLES if name != "accounts")
"""Accounts are facts without a history; everything else is drawn."""

# At the dates and at the edges of their windows, to the microsecond, and somewhere between.
_edges = st.builds(
    lambda as_of, days, shift: as_of + timedelta(days=days) + shift,
    st.sampled_from(GRID.as_ofs),
    st.sampled_from([0, 0, 0, -1, 1, -3, 3, -7, -14, -28, -91, -182, -274, -364, -365]),
    st.sampled_from([timedelta(0), timedelta(microseconds=-1), timedelta(microseconds=1), timedelta(hours=7)]),
)
_between = st.datetimes(datetime(2023, 1, 1), datetime(2024, 6, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
_instants = _edges | _between
_delays = st.sampled_from([timedelta(0), timedelta(hours=5), DAY, 6 * DAY, 20 * DAY, 200 * DAY])
_early_and_late = _delays | st.just(-DAY)
_words = st.sampled_from(["x", "y", "competitor"])


def _value(table: TableSchema, column: Column, row: Row) -> st.SearchStrategy[Any]:
    """Any value that the contract allows in ``column``, given the columns drawn before it."""
    if column.name == "account_id":
        return st.sampled_from(ACCOUNTS)
    if column.name == "subscription_id":
        # Periods of one subscription may not overlap.
        return st.none()
    if column.values:
        values: st.SearchStrategy[Any] = st.sampled_from(column.values)
    elif column.kind == "bool":
        values = st.booleans()
    elif column.kind == "string":
        values = _words
    elif column.kind == "instant":
        if column.name == "term_started_at":
            # A term begins with the subscription or later, and before its renewal.
            renewal = row.get("renewal_at")
            within = [row[table.at]] if renewal is None else [row[table.at], row[table.at] + (renewal - row[table.at]) / 2]
            return st.none() | st.sampled_from(within)
        start = next((s for s, end in table.intervals if end == column.name), table.at)
        values = (_early_and_late if column.name == "loaded_at" else _delays).map(lambda delay: row[start] + delay)
    else:
        low, high = next(
            ((low, high) for kind, name, low, high in table.ranges if (row["kind"], column.name) == (kind, name)),
            (column.minimum, column.maximum),
        )
        low, high = -9 if low is None else low, 9 if high is None else high
        values = st.integers(int(low), int(high)) if column.kind == "int" else st.floats(low, high, width=32)
    return values if column.required else st.none() | values


@st.composite
def _row(draw: Callable[..., Any], table: TableSchema) -> Row:
    row = {table.at: draw(_instants)}
    # Instants first: the ends that follow them look back at them.
    for column in sorted(table.columns, key=lambda c: (c.kind != "instant", c.name == "term_started_at")):
        if column.name != table.at:
            row[column.name] = draw(_value(table, column, row))
    return row


def _identity(table: TableSchema, row: Row) -> tuple[Any, ...]:
    return tuple(row[c.name] for c in table.columns if c.known_from is None and c.name != "loaded_at")


def _version(table: TableSchema, row: Row) -> tuple[Any, ...]:
    """Of what it is a version, and since when."""
    return (row[table.identity], _known_at(table, row)) if row[table.identity] else _identity(table, row)


@st.composite
def _rows(draw: Callable[..., Any]) -> Rows:
    """Some rows of every table.

    No two of a table differ in nothing but what is filled in later, and no two versions of one event arrive at once:
    which of them counts is a question of its own (``tests/spec/20_versions.md``).
    """
    found = {}
    for name in DRAWN:
        table = TABLES[name]
        apart = (lambda row, table=table: _identity(table, row), lambda row, table=table: _version(table, row))
        found[name] = draw(st.lists(_row(table), min_size=3, max_size=12, unique_by=apart))
    return found


def _known_at(table: TableSchema, row: Row) -> datetime:
    """When a row was known; of a version, that it was put off is known from its arrival on."""
    arrival: datetime = row.get("loaded_at") or row[table.at]
    return arrival if table.event and row[table.identity] else max(row[table.at], arrival)


@st.composite
def _two_futures(draw: Callable[..., Any]) -> tuple[datetime, Rows, Rows]:
    """A date, and two worlds that are the same in everything known before it, and in nothing else."""
    as_of = draw(st.sampled_from(GRID.as_ofs))
    one, other = draw(_rows()), draw(_rows())
    changed = {}
    for name in DRAWN:
        table = TABLES[name]
        before = [r for r in one[name] if _known_at(table, r) < as_of]
        there = {_identity(table, r) for r in before}
        after = [r for r in other[name] if _known_at(table, r) >= as_of and _identity(table, r) not in there]
        changed[name] = [draw(_filled_in_again(table, r, as_of)) for r in before] + after
    return as_of, one, changed


@st.composite
def _filled_in_again(draw: Callable[..., Any], table: TableSchema, row: Row, as_of: datetime) -> Row:
    """The row with another later course: what is filled in at or after ``as_of`` is drawn again."""
    open_still = {
        end for end in {c.known_from for c in table.columns} - {None} if row[end] is None or row[end] >= as_of
    }
    changed = dict(row)
    for column in table.columns:
        if column.name in open_still:
            changed[column.name] = draw(st.none() | _delays.map(lambda delay: as_of + delay))
        elif column.known_from in open_still:
            changed[column.name] = draw(_value(table, column, changed))
    return changed


def _snapshot(make_signals: Any, home: Rows, rows: Rows) -> pd.DataFrame:
    tables = {name: home.get(name, []) + _as_text(rows.get(name, [])) for name in TABLES if name in home or name in rows}
    return snapshot(make_signals(tables, END.isoformat(), history_from=BEGINNING), GRID)


def _as_text(rows: list[Row]) -> list[Row]:
    return [{c: v.isoformat() if isinstance(v, datetime) else v for c, v in row.items()} for row in rows]


def _of(home: Rows, rows: Rows) -> Rows:
    """Without contracts at home, there are none at all: orders then say who is active."""
    return {name: r for name, r in rows.items() if name != "subscriptions" or "subscriptions" in home}


_quiet = settings(
    # Few, for a snapshot of every table takes a second; each holds many rows.
    max_examples=4,
    deadline=None,
    # As in test_snapshot.py, a failing example is shown as found rather than shrunk for minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
_businesses = pytest.mark.parametrize("home", [AT_HOME, BY_ORDERS], ids=["contracts", "orders"])


@_businesses
@_quiet
@given(futures=_two_futures())
def test_no_later_row_arrival_or_entry_changes_a_snapshot(make_signals: Any, home: Rows, futures: tuple[datetime, Rows, Rows]) -> None:
    as_of, one, other = futures
    frames = [_snapshot(make_signals, home, _of(home, rows)) for rows in (one, other)]
    kept = [frame[frame["as_of"] <= pd.Timestamp(as_of)].reset_index(drop=True) for frame in frames]
    pd.testing.assert_frame_equal(*kept, check_exact=True)


@_businesses
@_quiet
@given(rows=_rows(), rng=st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_their_repetition_changes_a_snapshot(
    make_signals: Any, home: Rows, rows: Rows, rng: random.Random
) -> None:
    again = {n: [*some, *rng.choices(some, k=3)] if some and n != "subscriptions" else some for n, some in rows.items()}
    for some in again.values():
        rng.shuffle(some)
    plain, mixed = (_snapshot(make_signals, home, _of(home, drawn)) for drawn in (rows, again))
    pd.testing.assert_frame_equal(plain, mixed, check_exact=True)


def test_every_table_and_column_of_the_contract_is_drawn() -> None:
    for name in DRAWN:
        table = TABLES[name]
        assert all(c.kind in ("string", "instant", "float", "int", "bool") for c in table.columns)
        assert {c.known_from for c in table.columns} - {None} <= set(table.names)
        assert table.identity in table.names
