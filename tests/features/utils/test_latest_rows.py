"""The latest version of each key does not depend on the order of rows, and rows without a key are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.utils.latest_rows import latest_rows

#: Columns of the names that the SQL itself might use are among them.
TYPES = {"id": "VARCHAR", "part": "VARCHAR", "version": "VARCHAR", "rows": "INTEGER", "hash": "VARCHAR"}
SCHEMA = pa.schema([(name, pa.int32() if kind == "INTEGER" else pa.string()) for name, kind in TYPES.items()])
ROW = st.tuples(
    st.sampled_from(["a", "b", None]),
    st.sampled_from(["x", "y", None]),
    st.sampled_from(["9", "10", "2026-01-02", "2026-01-02T00:00:00Z", "draft", None]),
    st.sampled_from([1, 2, None]),
    st.sampled_from(["1", "2", None]),
)
ROWS = st.lists(ROW, max_size=12)


def _latest(rows: Sequence[tuple[Any, ...]], key: Sequence[str], may_be_null: Sequence[str] = ()) -> Counter[tuple[Any, ...]]:
    table = pa.Table.from_pylist([dict(zip(TYPES, row, strict=True)) for row in rows], schema=SCHEMA)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("given", table)
        return Counter(connection.execute(latest_rows("given", TYPES, key, ["version"], may_be_null)).fetchall())


@pytest.mark.slow
@given(ROWS.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_order_of_rows_does_not_matter(both: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]) -> None:
    rows, shuffled = both
    for key, may_be_null in ((["id"], []), (["id", "part"], []), (["id", "part"], ["part"])):
        assert _latest(rows, key, may_be_null) == _latest(shuffled, key, may_be_null)


@given(ROWS)
def test_each_key_has_one_row_and_rows_without_a_key_are_all_kept(rows: list[tuple[Any, ...]]) -> None:
    latest = _latest(rows, ["id", "part"], ["part"])
    keyed = {row[:2] for row in rows if row[0] is not None}
    assert Counter(row[:2] for row in latest.elements() if row[0] is not None) == Counter(keyed)
    assert Counter(row for row in latest.elements() if row[0] is None) == Counter(row for row in rows if row[0] is None)
    strict = _latest(rows, ["id", "part"])
    assert strict.total() == len({key for key in keyed if key[1] is not None}) + sum(None in row[:2] for row in rows)


@pytest.mark.parametrize(
    ("versions", "newest"),
    [
        (["9", "10"], "10"),
        (["2026-01-10", "2026-01-9"], "2026-01-10"),
        (["2026-01-02T09:00:00+02:00", "2026-01-02T08:00:00Z"], "2026-01-02T08:00:00Z"),
        (["a", "b"], "b"),
        ([None, "a"], "a"),
    ],
)
def test_text_counts_as_an_instant_or_a_number(versions: list[str | None], newest: str) -> None:
    for given_versions in (versions, versions[::-1]):
        rows = [("a", "x", version, 1, "1") for version in given_versions]
        assert [row[2] for row in _latest(rows, ["id"])] == [newest]
