"""Minor units of currencies are those of ISO 4217."""

from __future__ import annotations

import duckdb
import pytest

from features.utils.currencies import MINOR_UNITS, minor_units_sql, minor_units_table

#: ISO 4217: no minor unit, thousandths, ten-thousandths, and the usual hundredths.
CASES = [("JPY", 1), ("krw", 1), ("ISK", 1), ("KWD", 1000), ("BHD", 1000), ("CLF", 10_000), ("USD", 100), (" eur ", 100), ("???", 100)]


@pytest.mark.parametrize(("currency", "units"), CASES)
def test_minor_units_are_those_of_iso_4217(currency: str, units: int) -> None:
    row = duckdb.execute(f"SELECT {minor_units_sql('given')} FROM (SELECT ? AS given)", [currency]).fetchone()
    assert row == (units,)


def test_an_unknown_currency_has_the_usual_units() -> None:
    assert duckdb.execute(f"SELECT {minor_units_sql('CAST(NULL AS VARCHAR)')}").fetchone() == (100,)


def test_the_table_lists_what_differs_from_a_hundred() -> None:
    assert dict(duckdb.execute(minor_units_table()).fetchall()) == MINOR_UNITS
    assert 100 not in MINOR_UNITS.values()
