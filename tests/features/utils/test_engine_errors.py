"""Errors of the engine name the column whose values could not be read, and never a value."""

from __future__ import annotations

import duckdb
import pytest

from features.utils.engine_errors import describe_error

FAKE = "Ann' to DOUBLE when casting from source column SECRET"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT price::DOUBLE FROM t", "Conversion Error: a string of the column price cannot be converted to DOUBLE"),
        ('SELECT CAST("start date" AS DATE) FROM t', "Conversion Error: a text of the column start date cannot be converted to date"),
        # The engine does not name the column of an expression, and a value that looks like a message names none.
        ("SELECT trim(fake)::DOUBLE FROM t", "Conversion Error: a string cannot be converted to DOUBLE"),
    ],
)
def test_conversions_name_the_column(query: str, text: str) -> None:
    with duckdb.connect() as engine:
        engine.execute('CREATE TABLE t (price VARCHAR, "start date" VARCHAR, fake VARCHAR)')
        engine.execute("INSERT INTO t VALUES ('Ann', 'Ann', ?)", [FAKE])
        with pytest.raises(duckdb.ConversionException) as error:
            engine.execute(query).fetchall()
    assert describe_error(error.value, place=False) == text
