"""Tables with several versions of a row are drafted with `latest`; other rows that share an id are all read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from features.connect.connection import connect
from features.connect.row_versions import RowVersions, row_versions
from features.connect.table_guesses import guess_columns

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


def _versions(engine: Backend, table: str, head: str, rows: list[str]) -> RowVersions | None:
    names = head.split(",")
    values = ", ".join("(" + ", ".join(f"'{cell}'" for cell in row.split(",")) + ")" for row in rows)
    engine.con.execute(f"CREATE OR REPLACE TEMP TABLE given AS SELECT * FROM (VALUES {values}) AS t({', '.join(names)})")
    types = dict.fromkeys(names, "VARCHAR")
    return row_versions(engine, "given", guess_columns(table, "given", types), types)


@pytest.mark.parametrize(
    ("table", "head", "rows", "key", "by"),
    [
        ("accounts", "customer_id,created_at,updated_at", ["a,2025-01-01,2025-01-01", "a,2025-01-01,2025-02-01"],
         ("customer_id",), ("updated_at",)),
        ("subscriptions", "id,account_id,start_date,arr,last_modified_date",
         ["s,a,2025-01-01,1,2025-01-01", "s,a,2025-01-01,2,2025-02-01"], ("id",), ("last_modified_date",)),
        # Two periods of one contract, the first of which was changed: the periods stay.
        ("subscriptions", "id,account_id,start_date,arr,updated_at",
         ["s,a,2025-01-01,1,2025-01-01", "s,a,2025-01-01,2,2025-02-01", "s,a,2026-01-01,3,2026-01-01"],
         ("id", "start_date"), ("updated_at",)),
        ("support", "ticket_id,account_id,created,priority,version", ["t,a,2025-01-01,high,9", "t,a,2025-01-01,low,10"],
         ("ticket_id",), ("version",)),
        # What was changed goes before what was loaded.
        ("orders", "order_id,account_id,date,amount,_fivetran_synced,modified_at",
         ["o,a,2025-01-01,1,2025-03-01,2025-01-01", "o,a,2025-01-01,2,2025-03-01,2025-02-01"],
         ("order_id",), ("modified_at", "_fivetran_synced")),
    ],
)  # fmt: skip
def test_an_id_that_repeats_with_a_time_of_change(
    engine: Backend, table: str, head: str, rows: list[str], key: tuple[str, ...], by: tuple[str, ...]
) -> None:
    found = _versions(engine, table, head, rows)
    assert found is not None
    assert (found.key, found.by, found.rows) == (key, by, len(rows))


@pytest.mark.parametrize(
    ("table", "head", "rows"),
    [
        ("accounts", "customer_id,created_at,updated_at", ["a,2025-01-01,2025-01-01", "b,2025-01-01,2025-02-01"]),
        ("accounts", "customer_id,created_at,updated_at", ["a,2025-01-01,2025-01-01", "a,2025-01-01,2025-01-01"]),
        # Two periods of one contract.
        ("subscriptions", "id,account_id,start_date,arr,updated_at", ["s,a,2025-01-01,1,2025-01-01", "s,a,2026-01-01,2,2026-01-01"]),
        # Two lines of one order, with one time of change.
        ("orders", "order_id,account_id,date,amount,updated_at", ["o,a,2025-01-01,1,2025-02-01", "o,a,2025-01-01,2,2025-02-01"]),
        # Nothing orders them, or not in a way that can be read.
        ("accounts", "customer_id,created_at", ["a,2025-01-01", "a,2025-02-01"]),
        ("accounts", "customer_id,created_at,updated_at", ["a,2025-01-01,12/31/2024", "a,2025-01-01,01/31/2025"]),
        # The contract itself reads versions of events by their arrival.
        ("support", "ticket_id,account_id,created,priority,loaded_at,updated_at",
         ["t,a,2025-01-01,high,2025-01-01,2025-01-01", "t,a,2025-01-01,low,2025-01-02,2025-01-02"]),
        # Rows without an id.
        ("orders", "order_id,account_id,date,amount,updated_at", [",a,2025-01-01,1,2025-02-01", ",a,2025-01-01,2,2025-02-02"]),
    ],
)  # fmt: skip
def test_other_rows_are_no_versions(engine: Backend, table: str, head: str, rows: list[str]) -> None:
    assert _versions(engine, table, head, rows) is None


def test_the_latest_version_counts_and_is_listed(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text(
        "customer_id,name,created_at,updated_at,is_deleted\na,A,2025-01-01,2025-01-01,false\na,A Inc,2025-01-01,2025-03-01,false\n"
        "b,B,2025-01-01,2025-01-01,false\nb,B,2025-01-01,2025-02-01,true\n"
    )
    (tmp_path / "contracts.csv").write_text(
        "id,customer_id,start_date,mrr,updated_at\ns,a,2025-01-01,100,2025-01-01\ns,a,2025-01-01,300,2025-04-01\n"
    )
    result = connect([str(tmp_path)])
    tables = tomllib.loads(result.draft)["tables"]
    assert tables["subscriptions"]["latest"] == {"key": "id", "by": "updated_at"}
    assert tables["accounts"]["latest"] == {"key": "customer_id", "by": "updated_at"}
    facts = [fact.text for fact in result.facts]
    assert "contracts has 2 rows of 1 different id: of each, the latest by updated_at counts, also for the past." in facts
    # The second account is deleted in its latest version.
    assert "customers: 1 row is left out, because is_deleted says that they were deleted. When is unknown, so that they are missing from the past, too." in facts
    assert not any("not read: updated_at" in text for text in facts)
    assert result.summary is not None
    assert (result.summary.accounts, result.summary.arr) == (1, 3600.0)
