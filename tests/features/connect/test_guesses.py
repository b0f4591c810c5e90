"""What tables that no pack knows look like: by names, values and the way in which instants are written."""

from __future__ import annotations

import pytest

from features.connect.table_guesses import guess_table
from features.connect.values import guess_time, guess_values, left_out_condition, value_gaps
from features.sources.base import connect_duckdb


@pytest.mark.parametrize(
    ("name", "columns", "table", "missing"),
    [
        ("Customers", ("Id", "CreatedDate", "Company Name"), "accounts", ()),
        ("account_data", ("account_id", "signup_date"), "accounts", ()),
        ("contracts", ("customer_id", "start_date", "acv"), "subscriptions", ()),
        ("contracts", ("customer_id", "acv"), "subscriptions", ("started_at",)),
        ("meetings", ("account_id", "date"), "engagement", ()),
        ("nps", ("company_id", "created", "score"), "outcomes", ()),
        ("tickets", ("id", "org_id", "created"), "support", ()),
        ("app_usage", ("who", "customer_no", "when"), "usage", ()),
        ("fx", ("curr", "day", "rate"), "fx_rates", ()),
    ],
)
def test_tables(name: str, columns: tuple[str, ...], table: str, missing: tuple[str, ...]) -> None:
    guess = guess_table(name, dict.fromkeys(columns, "VARCHAR"))
    assert guess is not None
    assert (guess.table, guess.missing) == (table, missing)
    assert len(set(guess.matched.values())) == len(guess.matched)


def test_contracts_have_numbers_and_states() -> None:
    guess = guess_table("contracts", dict.fromkeys(("contract_no", "customer_no", "start", "arr", "state"), "VARCHAR"))
    assert guess is not None
    assert (guess.matched["subscription_id"], guess.matched["status"]) == ("contract_no", "state")


def test_unusual_names_are_not_guessed() -> None:
    assert guess_table("invoice_line_items", {"id": "VARCHAR"}) is None


def test_constants_and_units_follow_from_names() -> None:
    calls = guess_table("calls", {"account_id": "VARCHAR", "date": "DATE"})
    assert calls is not None
    assert calls.constants == {"kind": "call"}
    contracts = guess_table("contracts", {"customer": "VARCHAR", "start": "DATE", "mrr_cents": "BIGINT"})
    assert contracts is not None
    assert contracts.units == {"arr": ("cents", "monthly")}


@pytest.mark.parametrize(
    ("sql_type", "values", "rule"),
    [
        ("BIGINT", ("1735689600", "1767225600"), {"epoch": "s"}),
        ("VARCHAR", ("1735689600000", "1767225600000"), {"epoch": "ms"}),
        ("DOUBLE", ("1735689600000000", "NULL"), {"epoch": "us"}),
        ("VARCHAR", ("'31.01.2025'", "'01.02.2025'"), {"format": "%d.%m.%Y"}),
        ("VARCHAR", ("'01/31/2025'", "'02/01/2025'"), {"format": "%m/%d/%Y"}),
        # The day could be the month in every row, so that nothing is certain.
        ("VARCHAR", ("'01/02/2025'", "'02/01/2025'"), {}),
        ("VARCHAR", ("'2025-01-31'", "'2025-02-01T10:00:00Z'"), {}),
        ("TIMESTAMP", ("'2025-01-31'", "NULL"), {}),
        ("BIGINT", ("20250131", "20250201"), {}),
    ],
)
def test_the_way_in_which_instants_are_written(sql_type: str, values: tuple[str, ...], rule: dict[str, str]) -> None:
    guess = guess_table("customers", {"id": "VARCHAR", "created": sql_type})
    assert guess is not None
    connection = connect_duckdb()
    rows = " UNION ALL ".join(f"SELECT 'a' AS id, CAST({value} AS {sql_type}) AS created" for value in values)
    connection.raw_sql(f"CREATE TEMP TABLE customers AS {rows}")
    found = guess_time(connection, "customers", guess, {"id": "VARCHAR", "created": sql_type})
    assert found == ({"created_at": rule} if rule else {})


def test_values_with_their_probable_meaning() -> None:
    guess = guess_table("tickets", dict.fromkeys(("id", "account_id", "created", "priority"), "VARCHAR"))
    assert guess is not None
    connection = connect_duckdb()
    connection.raw_sql("CREATE TEMP TABLE tickets AS SELECT unnest(['P1', 'p1', 'Low', 'odd', NULL, '']) AS priority")
    assert guess_values(connection, "tickets", guess) == {"severity": {"p1": "urgent", "low": "low", "odd": ""}}


def test_only_short_codes_are_written() -> None:
    guess = guess_table("tickets", dict.fromkeys(("id", "account_id", "created", "priority"), "VARCHAR"))
    assert guess is not None
    connection = connect_duckdb()
    connection.raw_sql(
        "CREATE TEMP TABLE tickets AS SELECT unnest(['P1', 'jo jo@acme.example left', repeat('x', 50000), 'odd']) AS priority"
    )
    values = guess_values(connection, "tickets", guess)
    assert values == {"severity": {"p1": "urgent", "*": ""}}
    (gap,) = value_gaps(connection, "tickets", guess, values)
    assert gap.startswith("support.severity: 3 rows with 3 values whose meaning is not clear")
    # Many values are no list.
    connection.raw_sql("CREATE OR REPLACE TEMP TABLE tickets AS SELECT 'v' || i AS priority FROM range(21) AS t(i)")
    assert guess_values(connection, "tickets", guess) == {"severity": {"*": ""}}


def test_contracts_that_are_over_or_never_began_are_not_active() -> None:
    columns = ("customer_id", "start_date", "end_date", "arr", "status")
    guess = guess_table("contracts", dict.fromkeys(columns, "VARCHAR"))
    assert guess is not None
    connection = connect_duckdb()
    connection.raw_sql(
        "CREATE TEMP TABLE contracts AS SELECT * FROM (VALUES ('a', 'active', ''), ('b', 'Canceled', NULL), "
        "('c', 'canceled', '2025-01-01'), ('d', 'incomplete', '2025-01-01'), ('e', 'Non-renewed', ''), ('f', NULL, NULL), "
        "('g', 'odd', NULL)) AS t(customer_id, status, end_date)"
    )
    where, left_out = left_out_condition(connection, "contracts", guess)
    rows = connection.con.execute(f"SELECT customer_id FROM contracts WHERE {where} ORDER BY 1").fetchall()
    assert [each for (each,) in rows] == ["a", "c", "f", "g"]
    assert left_out == 3
    gaps = value_gaps(connection, "contracts", guess, guess_values(connection, "contracts", guess), where)
    assert len(gaps) == 1
    assert gaps[0].startswith("subscriptions.status: 1 row with 1 value whose meaning is not clear: they count as active")
