"""Amounts with an interval, a quantity or a term become amounts per year, or the draft asks for which period they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from features.connect.annual_amounts import annual_amounts
from features.connect.snapshot_tables import snapshots_column
from features.connect.table_guesses import guess_columns
from features.contract.schema import TABLES
from features.sources.mapping.file_schema import TableMapping
from features.sources.mapping.table_rules import converted_columns
from features.utils.sql_text import sql_identifier

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


def _annual(engine: Backend, head: str, rows: list[str]) -> tuple[list[float | None], str, str]:
    """Return the amounts per year of contracts, the notes and the gaps; all columns are text, as in a CSV file."""
    names = ["id", "customer_id", "start_date", *head.split(",")]
    values = ", ".join(
        "(" + ", ".join(f"'{cell}'" for cell in (f"s{i}", f"c{i}", "2025-01-01", *row.split(","))) + ")"
        for i, row in enumerate(rows)
    )
    engine.con.execute(
        f"CREATE OR REPLACE TEMP TABLE given AS SELECT * FROM (VALUES {values}) AS t({', '.join(map(sql_identifier, names))})"
    )
    types = dict.fromkeys(names, "VARCHAR")
    guess = guess_columns("subscriptions", "given", types)
    found = annual_amounts(engine, "given", guess, types)
    own = found.guess.matched["arr"]
    column = found.expression or f"try_cast({sql_identifier(own)} AS DOUBLE)"
    units = TableMapping(units={"arr": found.guess.units["arr"]} if "arr" in found.guess.units else {})
    relation = f"(SELECT CAST({column} AS DOUBLE) AS arr FROM given AS q)"
    sql = converted_columns(relation, {"arr": "DOUBLE"}, units, TABLES["subscriptions"])
    amounts = [arr for (arr,) in engine.con.execute(sql).fetchall()]
    return amounts, "\n".join(found.notes), "\n".join(found.gaps)


@pytest.mark.parametrize(
    ("head", "rows", "expected"),
    [
        # An amount at an interval: four quarters, twelve months, one year, two half years; 52 weeks as units do.
        ("amount,billing_interval", ["300,quarterly", "100,Month", "1200,annual", "600,semi-annual", "10,week"],
         [1200, 1200, 1200, 1200, 520]),
        ("fee,billing_frequency", ["100,P1M", "300,P3M", "1200,P1Y"], [1200, 1200, 1200]),
        # 50 every three months is 200 a year; 2,400 every second year is 1,200.
        ("total,interval,interval_count", ["50,month,3", "2400,year,2"], [200, 1200]),
        ("total,billing_period,billing_period_unit", ["50,3,month", "2400,2,year"], [200, 1200]),
        ("amount,interval_months", ["300,3", "3600,36"], [1200, 1200]),
        ("revenue_cents,billing_interval", ["30000,quarter"], [1200]),
        # The price of one unit.
        ("unit_price,quantity,interval", ["30,3,month", "30,1,month"], [1080, 360]),
        ("price_per_seat,seats,billing_cycle", ["120,10,annual"], [1200]),
        ("LicensePrice,licenses,billing_cycle", ["120,10,annual"], [1200]),
        ("price_per_user_per_month,users", ["10,5"], [600]),
        # An amount next to the price of one unit is that of all of them.
        ("unit_price,amount,quantity,interval", ["30,90,3,month"], [1080]),
        # The amount of a term.
        ("tcv,term_months", ["36000,36", "6000,6"], [12000, 12000]),
        ("total_contract_value,term", ["36000,3 years", "12000,12 months"], [12000, 12000]),
        ("tcv,term", ["36000,36", "24000,24"], [12000, 12000]),
        ("tcv,contract_term", ["36000,3", "24000,2"], [12000, 12000]),
        ("tcv,end_date", ["36000,2027-12-31", "12000,2026-01-01"], [12000, 12000]),
        ("contract_value,term_months", ["1200,12", "900,12"], [1200, 900]),
        # The name says the period, whatever else there is.
        ("mrr,billing_interval,quantity", ["100,year,2"], [1200]),
        ("arr,seats,term_months", ["1200,5,36"], [1200]),
        ("acv,term_months", ["12000,36"], [12000]),
        ("annual_amount,billing_frequency", ["1200,monthly"], [1200]),
        ("quarterly_fee,qty", ["300,4"], [1200]),
        ("weekly_amount", ["10"], [520]),
    ],
)  # fmt: skip
def test_amounts_per_year(engine: Backend, head: str, rows: list[str], expected: list[float]) -> None:
    amounts, _, gaps = _annual(engine, head, rows)
    assert amounts == pytest.approx(expected)
    assert gaps == ""


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # The same price for one and for ten of a plan: it is for one. Ten times the price for ten: for all.
        (["20,1,pro", "20,10,pro", "9,1,basic", "9,4,basic"], [240, 2400, 108, 432]),
        (["20,1,pro", "200,10,pro"], [240, 2400]),
        (["20,1,pro", "20,1,pro"], [240, 240]),
    ],
)
def test_rows_show_whether_a_price_is_for_one(engine: Backend, rows: list[str], expected: list[float]) -> None:
    amounts, _, gaps = _annual(engine, "price,quantity,plan,interval", [f"{row},month" for row in rows])
    assert amounts == pytest.approx(expected)
    assert gaps == ""


@pytest.mark.parametrize(
    ("head", "rows", "question"),
    [
        ("amount,quantity,interval", ["20,2,month", "70,3,month"], "may be for one of quantity or for all of them (2 rows"),
        # The same price for one and for ten seats may also be a flat one.
        ("monthly_price,seats", ["20,10", "20,1"], "may be for one of seats or for all of them (1 row"),
        ("monthly_price,seats", ["20,10"], "may be for one of seats or for all of them (1 row"),
        ("price_per_seat,interval", ["20,month"], "is for one unit, and no column has their number"),
        ("contract_value,term_months", ["36000,36", "12000,12"], "may be the amount of the whole term or of one period, and 1 row"),
        ("amount,term_months", ["36000,36"], "may be the amount of the whole term or of one period"),
        ("tcv,currency", ["36000,USD"], "is for the whole term, and no column has its length"),
        ("tcv,term", ["36000,3", "12000,24"], "some of its values may be years"),
        ("amount,billing_interval", ["300,3"], "none of its values is clear"),
        # Only lost contracts have an end, which says nothing about the term of the others.
        ("amount,end_date", ["300,", "300,", "300,2025-04-01"], "whether amount is for a month, a quarter, a year"),
        ("amount,interval", ["300,month", "300,once", "300,"], "2 rows with amount whose interval is empty or not clear"),
    ],
)  # fmt: skip
def test_what_nothing_shows_is_asked(engine: Backend, head: str, rows: list[str], question: str) -> None:
    _, _, gaps = _annual(engine, head, rows)
    assert question in gaps


def test_an_interval_is_listed_with_counts(engine: Backend) -> None:
    _, notes, _ = _annual(engine, "amount,interval,interval_count", ["300,month,3", "90,month,1", "1000,year,1"])
    assert (
        "interval is the interval at which amount is due (month 2, year 1): times the intervals of a year, divided by "
        "interval_count." in notes
    )
    assert "annual_amount is computed from amount." in notes


def test_rows_with_an_interval_are_contracts_and_no_snapshots() -> None:
    assert snapshots_column(dict.fromkeys(("customer_id", "month", "amount", "interval"), "VARCHAR")) is None


def test_other_amounts_are_not_revenue() -> None:
    columns = ("id", "customer_id", "start_date", "discount_amount", "setup_fee", "tax_amount", "interval")
    assert "arr" in guess_columns("subscriptions", "", dict.fromkeys(columns, "VARCHAR")).missing
