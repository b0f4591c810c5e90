"""Distinct counts for one date and for many dates agree with each other and with sets."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from features.aggregation.account_date_grid import BucketCalendar, Panel
from features.aggregation.distinct_keys import distinct_counts, distinct_counts_on_one_date, merge_keys, sort_rows
from features.definitions.aggregations import Distinct, column_name
from features.utils.dates import Grid

FIRST, DATES, ACCOUNTS = datetime(2026, 3, 2, tzinfo=UTC), 5, 3
NEEDS = [(Distinct("usage", "users", ago=ago), days) for ago in (0, 7, 28) for days in (7, 28, 91, 0)]
ROWS = st.lists(st.tuples(st.integers(0, ACCOUNTS - 1), st.integers(0, 3), st.integers(-20, 6), st.integers(0, 4)))


def _panel(grid: Grid) -> Panel:
    return Panel(pa.array(list("abc")), grid, np.arange(ACCOUNTS * grid.n))


@given(ROWS)
def test_counts_for_one_date_and_many_equal_set_sizes(rows: list[tuple[int, int, int, int]]) -> None:
    grid = Grid(FIRST, 7, DATES)
    base = BucketCalendar(grid, 7).first
    account, key, happened, lag = (np.array(c, dtype=np.int64) for c in zip(*rows, strict=True)) if rows else [np.zeros(0, np.int64)] * 4
    happened = happened + base
    loaded_at = happened + lag
    spells = merge_keys(account, key, loaded_at, happened)
    for i, date in enumerate(grid.as_ofs):
        single = Grid.single(date)
        at_once = distinct_counts_on_one_date(account, key, loaded_at, happened, NEEDS, BucketCalendar(single, 7), _panel(single))
        for measure, days in NEEDS:
            end = base + i - measure.ago // 7
            among = [
                {k for a, k, o, s in zip(account, key, happened, loaded_at, strict=True) if a == who and s <= end and (not days or o > end - days // 7)}
                for who in range(ACCOUNTS)
            ]
            many = distinct_counts(spells, BucketCalendar(grid, 7), days, measure.ago, _panel(grid)).reshape(ACCOUNTS, DATES)[:, i]
            assert at_once[column_name(measure, days)].tolist() == many.tolist() == [len(s) for s in among]


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(-5, 5), st.sampled_from([0, 2**62]))))
def test_rows_are_sorted_by_all_columns_of_any_width(rows: list[tuple[int, int, int]]) -> None:
    columns = [np.array(c, dtype=np.int64) for c in zip(*rows, strict=True)] if rows else [np.zeros(0, np.int64)] * 3
    assert list(zip(*(c.tolist() for c in sort_rows(*columns)), strict=True)) == sorted(rows)
    narrow = [c % 7 for c in columns]
    assert list(zip(*(c.tolist() for c in sort_rows(*narrow)), strict=True)) == sorted(zip(*(c.tolist() for c in narrow), strict=True))
