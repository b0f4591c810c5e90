"""Connecting reads the tables of the sources only: no view of a database file can read another file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from features.connect.connection import connect
from features.errors import SignalsError
from features.sources.open_source import open_source

SECRET = "the-secret"


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Create a database with a view that reads a file next to it."""
    (tmp_path / "secret.csv").write_text(f"id,created,priority\n{SECRET},2025-01-01,{SECRET}\n")
    with duckdb.connect(str(tmp_path / "wh.duckdb")) as database:
        database.execute(f"CREATE VIEW customers AS SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')")
        database.execute("CREATE TABLE contracts AS SELECT 'a' AS customer, DATE '2025-01-01' AS start, 1 AS arr")
    return tmp_path / "wh.duckdb"


def test_a_view_that_reads_a_file_is_refused(warehouse: Path) -> None:
    out = warehouse.parent / "m.toml"
    with pytest.raises(SignalsError, match=r"the table customers cannot be read .*only the named files") as caught:
        connect([f"duckdb:///{warehouse}"], out)
    assert SECRET not in str(caught.value)
    assert not out.exists()


def test_a_source_of_a_mapping_is_confined_too(warehouse: Path) -> None:
    mapping = warehouse.parent / "m.toml"
    mapping.write_text(
        '[source]\nuri = "duckdb:///wh.duckdb"\n[tables]\naccounts = "SELECT id AS account_id, created AS created_at FROM customers"\n'
    )
    with pytest.raises(SignalsError, match=r"the table customers cannot be read .*only the named files") as caught:
        open_source(mapping)
    assert SECRET not in str(caught.value)


def test_the_draft_has_no_values_of_columns_without_a_list(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text(f"id,created,name\n{SECRET},2025-01-01,{SECRET}\n")
    (tmp_path / "contracts.csv").write_text(f"customer,start,arr,plan\n{SECRET},2025-01-01,1,{SECRET}\n")
    result = connect([str(tmp_path)])
    assert SECRET not in str(result.as_dict())
    assert result.summary is not None
    assert result.summary.line == "1 active account, ARR 1, renewal dates unknown"
