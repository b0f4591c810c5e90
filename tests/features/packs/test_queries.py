"""Packs become SELECTs: inputs are found, versions and filters apply, and mistakes are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.errors import SignalsError
from features.packs.pack import Pack, read_pack, shipped_pack, shipped_packs

PACK = """
title = "Tool"
version = 1
kind = "billing"
about = "A tool."
prefixes = ["tool_"]

[options.arr_column]
type = "column"
default = ""
about = "The column with the ARR."

[options.plans]
type = "list"
default = []
about = "Plans that are left out."

[inputs.customer]
names = ["customer", "customers"]
required = true
[inputs.customer.columns]
id = { type = "text", required = true }
created = { type = "instant", names = ["created", "created_at"] }
name = "text"

[inputs.deal]
names = ["deal", "deals"]
latest = { key = ["id"], by = ["version"] }
where = "NOT coalesce(deleted, false)"
[inputs.deal.columns]
id = "text"
customer_id = { type = "text", required = true }
since = "instant"
arr = { type = "number", names = ["{arr_column}", "amount"] }
plan = { type = "text", names = ["plan.name", "plan_name"] }
deleted = "boolean"
version = "integer"

[inputs.visit]
names = ["visit"]
[inputs.visit.columns]
customer_id = "text"
seen = "instant"

[inputs.first_deal]
[inputs.first_deal.columns]
customer_id = "text"
since = "instant"
[inputs.first_deal.otherwise]
query = "SELECT customer_id, min(since) AS since FROM deal GROUP BY customer_id"

[tables]
accounts = \"\"\"
WITH dated AS (SELECT c.*, f.since FROM customer c LEFT JOIN first_deal f ON f.customer_id = c.id)
SELECT id AS account_id, coalesce(created, since) AS created_at FROM dated\"\"\"
usage = "SELECT customer_id AS account_id, seen AS occurred_at FROM visit"

[tables.subscriptions]
query = \"\"\"
SELECT customer_id AS account_id, since AS started_at, arr, plan FROM deal WHERE NOT list_contains($plans, coalesce(plan, ''))\"\"\"
optional = { plan = ["deal.plan"] }

[[assumptions]]
text = "{n:deal} without an amount."
query = "SELECT count(*) AS n FROM deal WHERE arr IS NULL"

[[assumptions]]
text = "Amounts are per year."
"""
CUSTOMERS = """
id, created
1, 2024-01-01
2,
"""
DEALS = """
id, customer_id, since, amount, plan, deleted, version
a, 1, 2024-01-05, 100, "{""name"": ""pro""}", false, 1
a, 1, 2024-01-05, 120, "{""name"": ""pro""}", false, 2
b, 2, 2024-02-01, 50, "{""name"": ""free""}", f, 1
c, 2, 2024-03-01, 70, , false, 1
c, 2, 2024-03-01, 70, , true, 2
"""


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    file = tmp_path / "tool.toml"
    file.write_text(PACK, encoding="utf-8")
    return read_pack(file)


def test_the_latest_version_counts_and_then_the_filter_applies(pack: Pack, run_pack: Callable[..., Any]) -> None:
    run = run_pack(pack, {"tool_customers": CUSTOMERS, "DEAL_data": DEALS})
    # Deal c was deleted in its latest version; an earlier version does not bring it back.
    assert run.rows("subscriptions", "account_id", "arr", "plan") == [("1", 120.0, "pro"), ("2", 50.0, "free")]
    assert run.rows("accounts", "account_id", "created_at") == [("1", "2024-01-01"), ("2", "2024-02-01")]
    assert run.queries.inputs["customer"] == "tool_customers"


def test_rows_without_an_id_are_no_versions_and_the_order_of_rows_does_not_matter(
    pack: Pack, run_pack: Callable[..., Any]
) -> None:
    head = "id, customer_id, since, amount, version"
    rows = ["a, 1, 2024-01-05, 100, 1", "a, 1, 2024-01-05, 120, 1", ", 2, 2024-02-01, 50, 1", ", 2, 2024-03-01, 70, 1"]
    first, second = (run_pack(pack, {"customer": CUSTOMERS, "deal": "\n".join([head, *order])}) for order in (rows, rows[::-1]))
    found = first.rows("subscriptions", "account_id", "arr")
    assert sorted(found) == sorted(second.rows("subscriptions", "account_id", "arr"))
    assert len(found) == 3
    assert {("2", 50.0), ("2", 70.0)} <= set(found)


def test_an_optional_part_of_a_key_may_be_missing(run_pack: Callable[..., Any]) -> None:
    head = "visitor_id, account_id, feature_id, timestamp, num_events, _fivetran_synced"
    row = "v, a, f, 1767258000000, {}, 2026-01-0{}"
    run = run_pack(shipped_pack("pendo"), {"feature_event": "\n".join([head, row.format(3, 2), row.format(5, 3)])})
    # The app, the address and the browser are unknown: these are still two versions of one row.
    assert len(run["usage"]) == 1


def test_a_table_without_its_inputs_is_omitted_and_not_empty(pack: Pack, run_pack: Callable[..., Any]) -> None:
    run = run_pack(pack, {"customer": CUSTOMERS})
    assert set(run.tables) == {"accounts"}
    assert run.queries.omitted == ("usage", "subscriptions")


def test_a_column_without_its_source_is_left_out(pack: Pack, run_pack: Callable[..., Any]) -> None:
    run = run_pack(pack, {"customer": CUSTOMERS, "deal": "customer_id, since\n1, 2024-01-01"})
    assert "plan" not in run["subscriptions"]
    assert run.stated("without an amount") == "1 deal without an amount."


def test_options_name_columns_and_are_values(pack: Pack, run_pack: Callable[..., Any]) -> None:
    deals = "id, customer_id, since, ARR__c, plan_name\na, 1, 2024-01-01, 7, pro\nb, 1, 2024-01-01, 9, free"
    run = run_pack(pack, {"customer": CUSTOMERS, "deal": deals}, arr_column="arr__c", plans=["free"])
    assert run.rows("subscriptions", "arr") == [(7.0,)]
    run = run_pack(pack, {"customer": CUSTOMERS, "deal": deals}, arr_column="arr__c", plans="free, it's")
    assert run.rows("subscriptions", "arr") == [(7.0,)]


def test_values_that_cannot_be_read_are_counted(pack: Pack, run_pack: Callable[..., Any]) -> None:
    deals = "id, customer_id, since, amount\na, 1, 9999-12-31, 7\nb, 1, 2024-01-01, n/a\nc, 1, 2024-01-01,"
    run = run_pack(pack, {"customer": CUSTOMERS, "deal": deals})
    assert run.stated("unreadable") == "1 value of the table deal unreadable, and so unknown: arr (1)."
    assert run.stated("from the year 2200 on") == "1 value of the table deal from the year 2200 on, read as no date: since (1)."
    assert "Amounts are per year." in run.assumptions


@pytest.mark.parametrize(
    ("tables", "options", "found"),
    [
        ({"deal": DEALS}, {}, "the pack tool needs the table customer, which is missing"),
        ({"customer": "created\n2024-01-01"}, {}, "the pack tool cannot read the table customer: it has no column id"),
        ({"customer": CUSTOMERS, "deal": DEALS}, {"arr_column": "mrr"}, "the option arr_column of the pack tool names a column that does not exist: mrr"),
        ({"customer": CUSTOMERS}, {"color": "x"}, "the pack tool has no option color"),
        ({"customer": CUSTOMERS}, {"plans": 3}, "the option plans of the pack tool has a value of another kind"),
    ],
)
def test_what_is_missing_is_named_with_its_cure(
    pack: Pack, run_pack: Callable[..., Any], tables: dict[str, str], options: dict[str, object], found: str
) -> None:
    with pytest.raises(SignalsError) as error:
        run_pack(pack, tables, **options)
    assert error.value.found == found
    assert error.value.expected
    assert error.value.cure


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("version = 1", "version = 0", "key version"),
        ('kind = "billing"', 'kind = "bank"', "key kind"),
        ('name = "text"', 'name = "date"', "key inputs.customer.columns.name.type"),
        ('by = ["version"]', 'by = ["rank"]', "key inputs.deal: Input should name declared columns; undeclared: rank"),
        ("usage = ", "visits = ", "Input should have tables of the data contract; others: visits"),
    ],
)
def test_a_pack_file_that_is_not_valid_names_the_key(tmp_path: Path, old: str, new: str, found: str) -> None:
    file = tmp_path / "tool.toml"
    file.write_text(PACK.replace(old, new), encoding="utf-8")
    with pytest.raises(SignalsError, match="not valid") as error:
        read_pack(file)
    assert found in error.value.found


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("FROM visit", "FROM secrets", "it reads secrets, which is not an input"),
        ("FROM visit", "FROM read_csv('/etc/passwd')", "it calls read_csv"),
        ("FROM visit", "FROM visit; DROP TABLE visit", "2 statements"),
        ("$plans", "$plan", "uses $plan, which is not an option"),
        ("FROM deal GROUP BY", "FROM first_deal GROUP BY", "it refers to itself"),
    ],
)
def test_a_query_is_one_select_from_the_inputs(
    tmp_path: Path, run_pack: Callable[..., Any], old: str, new: str, found: str
) -> None:
    file = tmp_path / "tool.toml"
    file.write_text(PACK.replace(old, new), encoding="utf-8")
    with pytest.raises(SignalsError) as error:
        run_pack(read_pack(file), {"customer": CUSTOMERS, "deal": DEALS, "visit": "customer_id, seen\n1, 2024-01-01"})
    assert found in error.value.found


def test_an_unknown_pack_or_version_is_named() -> None:
    name = next(iter(shipped_packs()))
    with pytest.raises(SignalsError, match="unknown pack: nonesuch"):
        shipped_pack("nonesuch")
    with pytest.raises(SignalsError, match="written for version 99"):
        shipped_pack(name, 99)


@pytest.mark.parametrize("name", shipped_packs())
def test_a_shipped_pack_is_described_and_runs_over_tables_without_rows(name: str, run_pack: Callable[..., Any]) -> None:
    pack = shipped_pack(name)
    assert pack.file.documentation
    assert pack.file.about.strip().endswith(".")
    tables = {}
    for each in pack.file.inputs.values():
        if names := [name for name in each.names if "{" not in name]:
            columns = [[n for n in about.names if "{" not in n] or [column] for column, about in each.columns.items()]
            tables[names[0]] = ",".join(dict.fromkeys(usual[0].partition(".")[0] for usual in columns))
    run = run_pack(pack, tables)
    assert set(run.tables) == set(pack.file.tables)
    assert all(frame.empty for frame in run.tables.values())
    assert [text for text in run.assumptions if text[0] in "0123456789"] == []
