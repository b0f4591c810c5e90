"""Later events, arrivals and updates never change a snapshot of an earlier date, for any table.

Rows are drawn from the data contract, so a new table or column is covered automatically.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.contract.extra_tables import parse_extra_tables
from features.contract.schema import TABLES, Column, TableSchema
from features.custom.current_catalogue import current_catalogue
from features.signals.signals import read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.sources.memory.engine import MemoryEngine
from features.utils.dates import Grid

Row = dict[str, Any]
Rows = dict[str, list[Row]]

DAY = timedelta(days=1)
GRID = Grid(datetime(2024, 2, 15, 6, tzinfo=UTC), 14, 4)
"""Four dates around a leap day, not at midnight."""
BEGINNING, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
"""The period that every source of these tests covers, so that only the rows differ."""
ACCOUNTS = ("a", "b", "c", "d")

BY_CONTRACTS = {
    "accounts": [{"account_id": a, "created_at": "2021-01-01"} for a in ACCOUNTS],
    "subscriptions": [
        {"account_id": a, "started_at": "2021-01-01", "arr": 900.0, "seats": 3, "renewal_at": "2024-06-01"} for a in ACCOUNTS[:2]
    ],
}
BY_CONTRACTS["fx_rates"] = [{"currency": c, "occurred_at": "2020-01-01", "rate": 1.25} for c in ("EUR", "JPY")]
BY_ORDERS = {
    "accounts": BY_CONTRACTS["accounts"],
    "fx_rates": BY_CONTRACTS["fx_rates"],
    "orders": [{"account_id": a, "occurred_at": "2024-02-14", "amount": 10.0} for a in ACCOUNTS[:2]],
}
DECLARED = """
[[tables]]
name = "own_posts"
time = "posted_at"
identity = "post_id"
[tables.columns]
topic = { kind = "string", required = true, values = ["question", "idea", "bug"] }
author = "string"
votes = { kind = "int", min = 0, max = 9 }
score = { kind = "float", known_from = "answered_at" }
answered_at = "instant"
internal = "bool"
""" + "".join(
    f"""
[[features]]
name = "own.{measure}"
table = "own_posts"
dimension = "engagement"
unit = "posts"
measure = "{measure}"
{more}
"""
    for measure, more in {
        "count": "words = '{w}'",
        "sum": "value = 'score'\nwords = '{w}'",
        "distinct": "key = 'author'\nwords = '{w}'\nwhere = { internal = false }",
        "newest": "words = 'x'",
        "oldest": "words = 'x'\nwhere = { answered_at = { known = true } }",
        "latest": "value = 'votes'\nwords = 'x'",
        "holding": "key = 'author'\nholds = { topic = 'bug' }\nwords = 'x'",
    }.items()
)
"""An extra table, and a feature of each measure of it."""
ENTRIES = tomllib.loads(DECLARED)
CONTRACT = TABLES | {t.name: t for t in parse_extra_tables(ENTRIES["tables"], "declared")}
DRAWN = tuple(name for name in CONTRACT if name != "accounts")
"""The drawn tables: all except accounts, which have no history."""

READS = {name: [c for c in t.names if c not in ("account_id", "loaded_at")] for name, t in CONTRACT.items() if t.of_accounts}
FUNCTIONS = f"""
import pandas as pd
import renewcast

for entry in {ENTRIES["tables"]!r}:
    renewcast.table(**entry)
for entry in {ENTRIES["features"]!r}:
    renewcast.measure(**entry)

for table, columns in {READS!r}.items():
    days = None if table in ("accounts", "subscriptions") else 91
    about = {{"reads": {{table: columns}}, "days": days, "unit": "x", "words": "x", "dimension": "usage"}}

    @renewcast.feature(name=f"own.rows_of_{{table}}", **about)
    def rows_of(rows, as_of, table=table):
        frame = rows[table]
        return (pd.util.hash_pandas_object(frame, index=False) % 1_000_003).astype(float).groupby(frame["account_id"]).sum()
"""
"""The declarations, and a function for each table whose value changes with anything in the rows that it gets."""

# At the dates and the edges of their windows, to the microsecond, and in between.
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
    allowed = ("EUR", "JPY") if column.name == "currency" else column.values
    if allowed:
        values: st.SearchStrategy[Any] = st.sampled_from(allowed)
    elif column.kind == "bool":
        values = st.booleans()
    elif column.kind == "string":
        values = _words
    elif column.kind == "instant":
        if column.name == "term_started_at":
            # A term starts with the subscription or later, and before its renewal.
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
        low = 0.25 if column.name == "rate" else low
        values = st.integers(int(low), int(high)) if column.kind == "int" else st.floats(low, high, width=32)
    return values if column.required else st.none() | values


@st.composite
def _row(draw: Callable[..., Any], table: TableSchema) -> Row:
    row = {table.at: draw(_instants)}
    # Draw instants first: other columns depend on them.
    for column in sorted(table.columns, key=lambda c: (c.kind != "instant", c.name == "term_started_at")):
        if column.name != table.at:
            row[column.name] = draw(_value(table, column, row))
    return row


def _identity(table: TableSchema, row: Row) -> tuple[Any, ...]:
    return tuple(row[c.name] for c in table.columns if c.known_from is None and c.name != "loaded_at")


def _version(table: TableSchema, row: Row) -> tuple[Any, ...]:
    """The event of which the row is a version, and when it became known."""
    if table.unique:
        return tuple(row[name] for name in table.unique)
    return (row[table.identity], _known_at(table, row)) if row[table.identity] else _identity(table, row)


@st.composite
def _rows(draw: Callable[..., Any]) -> Rows:
    """Some rows of every table.

    Two rows of a table never differ only in columns filled in later, and two versions of one event never arrive at the
    same time. Tests of these cases are in ``tests/spec/20_versions.md``.
    """
    rows = {}
    for name in DRAWN:
        table = CONTRACT[name]
        unique = (lambda row, table=table: _identity(table, row), lambda row, table=table: _version(table, row))
        rows[name] = draw(st.lists(_row(table), min_size=3, max_size=12, unique_by=unique))
    return rows


def _known_at(table: TableSchema, row: Row) -> datetime:
    """When a row became known; a version is known from its arrival, even for a later event."""
    arrival: datetime = row.get("loaded_at") or row[table.at]
    return arrival if table.event and row[table.identity] else max(row[table.at], arrival)


@st.composite
def _two_futures(draw: Callable[..., Any]) -> tuple[datetime, Rows, Rows]:
    """Draw a date and two sets of rows that are equal in everything known before it and differ after it."""
    as_of = draw(st.sampled_from(GRID.as_ofs))
    one, other = draw(_rows()), draw(_rows())
    changed = {}
    for name in DRAWN:
        table = CONTRACT[name]
        before = [r for r in one[name] if _known_at(table, r) < as_of]
        identities = {_identity(table, r) for r in before}
        after = [r for r in other[name] if _known_at(table, r) >= as_of and _identity(table, r) not in identities]
        changed[name] = [draw(_filled_in_again(table, r, as_of)) for r in before] + after
    return as_of, one, changed


@st.composite
def _filled_in_again(draw: Callable[..., Any], table: TableSchema, row: Row, as_of: datetime) -> Row:
    """The row with a different future: columns filled in at or after ``as_of`` are drawn again."""
    open_still = {
        end for end in {c.known_from for c in table.columns} - {None} if row[end] is None or row[end] >= as_of
    }
    changed = dict(row)
    for column in table.columns:
        if column.name in open_still:
            # A row may arrive before its event happens; it cannot end before that.
            start = max(as_of, row[next((s for s, end in table.intervals if end == column.name), table.at)])
            changed[column.name] = draw(st.none() | _delays.map(lambda delay, start=start: start + delay))
        elif column.known_from in open_still:
            changed[column.name] = draw(_value(table, column, changed))
    return changed


@pytest.fixture(autouse=True)
def _declared(declare: Callable[..., Any]) -> None:
    declare(FUNCTIONS, "declared.py")


def _snapshot(make_signals: Any, base: Rows, rows: Rows) -> pd.DataFrame:
    tables = {name: base.get(name, []) + _as_text(rows.get(name, [])) for name in CONTRACT if name in base or name in rows}
    return snapshot(make_signals(tables, END.isoformat(), history_from=BEGINNING), GRID, catalogue=current_catalogue())


def _as_text(rows: list[Row]) -> list[Row]:
    return [{c: v.isoformat() if isinstance(v, datetime) else v for c, v in row.items()} for row in rows]


def _of(base: Rows, rows: Rows) -> Rows:
    """Drop the subscriptions if the base has none; orders then define the active accounts."""
    return {name: r for name, r in rows.items() if name != "subscriptions" or "subscriptions" in base}


_quiet = settings(
    # Few examples, because a snapshot of all tables takes a second; each example has many rows.
    max_examples=4,
    # As in test_snapshot.py, a failing example is not shrunk, which would take minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
_businesses = pytest.mark.parametrize(
    "base", [pytest.param(BY_CONTRACTS, id="contracts"), pytest.param(BY_ORDERS, id="orders", marks=pytest.mark.slow)]
)


@_businesses
@_quiet
@given(futures=_two_futures())
def test_later_rows_arrivals_and_updates_do_not_change_a_snapshot(make_signals: Any, base: Rows, futures: tuple[datetime, Rows, Rows]) -> None:
    as_of, one, other = futures
    frames = [_snapshot(make_signals, base, _of(base, rows)) for rows in (one, other)]
    earlier = [frame[frame["as_of"] <= pd.Timestamp(as_of)].reset_index(drop=True) for frame in frames]
    pd.testing.assert_frame_equal(*earlier, check_exact=True)


@_businesses
@_quiet
@given(rows=_rows(), rng=st.randoms(use_true_random=False))
def test_row_order_and_repeated_rows_do_not_change_a_snapshot(
    make_signals: Any, base: Rows, rows: Rows, rng: random.Random
) -> None:
    again = {n: [*some, *rng.choices(some, k=3)] if some and n != "subscriptions" else some for n, some in rows.items()}
    for some in again.values():
        rng.shuffle(some)
    plain, mixed = (_snapshot(make_signals, base, _of(base, sampled)) for sampled in (rows, again))
    pd.testing.assert_frame_equal(plain, mixed, check_exact=True)


@_businesses
@_quiet
@given(rows=_rows(), rng=st.randoms(use_true_random=False))
def test_the_engine_in_memory_gives_the_same_snapshot(
    declare: Any, to_arrow: Any, base: Rows, rows: Rows, rng: random.Random
) -> None:
    # Python functions read rows of several tables, which only the database selects.
    declare(DECLARED)
    rows = {n: [*some, *rng.choices(some, k=2)] if n != "subscriptions" else some for n, some in _of(base, rows).items()}
    tables = {n: to_arrow(n, base.get(n, []) + _as_text(rows.get(n, []))) for n in CONTRACT if n in base or n in rows}
    frames, history_from = [], rng.choice([None, BEGINNING])
    for connection in (None, MemoryEngine()):
        source = from_tables(tables, "a test", connection=connection)
        # A cut-off between the dates, so that rows after it are left out.
        signals = read_signals(source, GRID.as_ofs[2], history_from)
        frames.append(snapshot(signals, GRID, catalogue=current_catalogue()))
        signals.close()
    assert frames[0].notna().any().sum() > 60
    pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_every_table_and_column_of_the_contract_is_drawn() -> None:
    for name in DRAWN:
        table = CONTRACT[name]
        assert all(c.kind in ("string", "instant", "float", "int", "bool") for c in table.columns)
        assert {c.known_from for c in table.columns} - {None} <= set(table.names)
        assert table.unique or table.identity in table.names
