"""Columns of landed tables are read as their declared types, however a loader stored them."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pytest

from features.packs.schema import ColumnType, Epoch
from features.packs.typed_columns import far_instant_sql, nested_text_sql, typed_sql
from features.utils.sql_text import sql_literal

NOON = datetime(2024, 3, 1, 12)
CASES = [
    ("DATE '2024-03-01'", "DATE", "instant", "s", datetime(2024, 3, 1)),
    ("TIMESTAMPTZ '2024-03-01 13:00:00+01'", "TIMESTAMP WITH TIME ZONE", "instant", "s", NOON),
    ("TIMESTAMP_NS '2024-03-01 12:00:00'", "TIMESTAMP_NS", "instant", "s", NOON),
    ("1709294400", "BIGINT", "instant", "s", NOON),
    ("1709294400000", "BIGINT", "instant", "ms", NOON),
    ("1709294400000000.0", "DOUBLE", "instant", "us", NOON),
    ("'1709294400'", "VARCHAR", "instant", "s", NOON),
    ("'1709294400.0'", "VARCHAR", "instant", "s", NOON),
    ("' 2024-03-01T12:00:00.000Z '", "VARCHAR", "instant", "s", NOON),
    ("'2024-03-01 12:00:00 UTC'", "VARCHAR", "instant", "s", NOON),
    ("'2024-03-01T14:00:00+0200'", "VARCHAR", "instant", "s", NOON),
    ("'2024-03-01 12:00:00.000000'", "VARCHAR", "instant", "s", NOON),
    ("'2024-03-01'", "VARCHAR", "instant", "s", datetime(2024, 3, 1)),
    ("'9999-12-31 00:00:00'", "VARCHAR", "instant", "s", None),
    ("TIMESTAMP '9999-12-31'", "TIMESTAMP", "instant", "s", None),
    ("253402214400", "BIGINT", "instant", "s", None),
    ("'0001-01-01'", "VARCHAR", "instant", "s", None),
    ("'soon'", "VARCHAR", "instant", "s", None),
    # No number since 1970: a day without its separators.
    ("'20240301'", "VARCHAR", "instant", "s", None),
    ("'infinity'", "VARCHAR", "instant", "s", None),
    ("1e300", "DOUBLE", "instant", "s", None),
    ("CAST('nan' AS DOUBLE)", "DOUBLE", "instant", "s", None),
    ("''", "VARCHAR", "text", "s", None),
    ("' a b '", "VARCHAR", "text", "s", "a b"),
    ("123", "BIGINT", "text", "s", "123"),
    ("123.0", "DOUBLE", "text", "s", "123"),
    ("CAST(123 AS DECIMAL(18,0))", "DECIMAL(18,0)", "text", "s", "123"),
    ("JSON '\"cus_1\"'", "JSON", "text", "s", "cus_1"),
    ("'12.5'", "VARCHAR", "number", "s", 12.5),
    ("'1e3'", "VARCHAR", "number", "s", 1000.0),
    ("'1,000'", "VARCHAR", "number", "s", None),
    ("'nan'", "VARCHAR", "number", "s", None),
    ("CAST('inf' AS DOUBLE)", "DOUBLE", "number", "s", None),
    ("CAST(12.5 AS DECIMAL(9,2))", "DECIMAL(9,2)", "number", "s", 12.5),
    ("'4'", "VARCHAR", "integer", "s", 4),
    ("'TRUE'", "VARCHAR", "boolean", "s", True),
    ("'f'", "VARCHAR", "boolean", "s", False),
    ("0", "BIGINT", "boolean", "s", False),
    ("'maybe'", "VARCHAR", "boolean", "s", None),
    ("'{\"a\": 1}'", "VARCHAR", "json", "s", '{"a": 1}'),
    ("'{broken'", "VARCHAR", "json", "s", None),
    ("{'a': 1}", "STRUCT(a INTEGER)", "json", "s", '{"a":1}'),
]


def _value(sql: str) -> object:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(f"SELECT {sql}").fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(("value", "given", "wanted", "epoch", "expected"), CASES)
def test_a_value_is_read_as_its_declared_type(value: str, given: str, wanted: ColumnType, epoch: Epoch, expected: object) -> None:
    assert _value(typed_sql(value, given, wanted, epoch)) == expected


@pytest.mark.parametrize(("value", "given"), [("'{\"a\": {\"b\": 7}}'", "VARCHAR"), ("{'a': {'b': 7}}", "STRUCT(a STRUCT(b INTEGER))")])
def test_a_value_inside_a_nested_column_is_read(value: str, given: str) -> None:
    assert _value(nested_text_sql(value, given, "a.b")) == "7"
    assert _value(nested_text_sql(value, given, "a.c")) is None


@pytest.mark.parametrize(
    ("text", "epoch", "far"),
    [
        ("9999-12-31", "s", True), (" 9999-12-31T00:00:00Z ", "s", True), ("2200/01/01", "s", True), ("253402214400", "s", True),
        ("253402214400000", "ms", True), ("2199-12-31", "s", False), ("1700000000", "s", False), ("1700000000000", "ms", False),
        ("0001-01-01", "s", False), ("soon", "s", False), ("9999", "s", False), ("12/31/9999", "s", False),
    ],
)  # fmt: skip
def test_instants_from_the_year_2200_on_mean_no_date(text: str, epoch: Epoch, far: bool) -> None:
    assert duckdb.execute("SELECT " + far_instant_sql(sql_literal(text), epoch)).fetchone() == (far,)
