"""Rows that differ only outside the contract are separate events, in every kind of source."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.kpi.survey_answers import answers
from features.signals.signals import OpenSignals, read_signals
from features.sources.base import Source, from_tables
from features.sources.open_source import open_source
from features.utils.periods import period_ending
from serving.schemas.predictions import PredictionRequest
from serving.scoring.score_payload import _arrow

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)

Rows = list[dict[str, Any]]
ANSWER = {"account_id": "a", "occurred_at": "2026-06-01", "kind": "nps"}
TABLES: dict[str, Rows] = {
    "accounts": [{"account_id": "a", "created_at": "2020-01-01"}],
    "subscriptions": [{"account_id": "a", "started_at": "2020-01-01", "arr": 1000.0}],
    # The last row is sent twice; the others are answers of four people.
    "outcomes": [
        ANSWER | {"value": value, "respondent_id": who}
        for value, who in ((9, "r1"), (9, "r2"), (9, "r3"), (3, "r4"), (3, "r4"))
    ],
}


def _csv(folder: Path) -> str:
    for name, rows in TABLES.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return str(folder)


def _parquet(folder: Path) -> str:
    for name, rows in TABLES.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return str(folder)


def _json(folder: Path) -> str:
    for name, rows in TABLES.items():
        (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    return str(folder)


def _sqlite(folder: Path) -> str:
    with sqlite3.connect(folder / "signals.db") as lite:
        for name, rows in TABLES.items():
            lite.execute(f"CREATE TABLE {name} ({', '.join(rows[0])})")
            lite.executemany(
                f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", [list(r.values()) for r in rows]
            )
    lite.close()
    return f"sqlite:///{folder / 'signals.db'}"


def _duckdb(folder: Path) -> str:
    with duckdb.connect(folder / "signals.duckdb") as connection:
        for name, rows in TABLES.items():
            connection.register("source_rows", pa.Table.from_pylist(rows))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM source_rows")
    return f"duckdb:///{folder / 'signals.duckdb'}"


def _mapping(folder: Path) -> str:
    source = folder / "source"
    source.mkdir()
    _csv(source)
    files = "\n".join(f'f_{name} = "source/{name}.csv"' for name in TABLES)
    queries = "\n".join(f'{name} = "SELECT * FROM f_{name}"' for name in TABLES)
    (folder / "mapping.toml").write_text(f"[files]\n{files}\n[tables]\n{queries}\n", encoding="utf-8")
    return str(folder / "mapping.toml")


def _mapped_sqlite(folder: Path) -> str:
    _sqlite(folder)
    queries = "\n".join(f'{name} = "SELECT * FROM {name}"' for name in TABLES)
    (folder / "mapping.toml").write_text(f'database = "sqlite:///signals.db"\n[tables]\n{queries}\n', encoding="utf-8")
    return str(folder / "mapping.toml")


def _body(_folder: Path) -> Source:
    request = PredictionRequest.model_validate({"account_id": "a", "as_of": "2026-07-01", "signals": TABLES})
    assert request.signals is not None
    rows = {name: request.signals.rows(name) for name in TABLES}
    return from_tables({name: _arrow(name, sent or [], "a") for name, sent in rows.items()}, "the body")


FORMATS: dict[str, Callable[[Path], str | Source]] = {
    "CSV": _csv,
    "Parquet": _parquet,
    "JSON": _json,
    "SQLite": _sqlite,
    "DuckDB": _duckdb,
    "mapping": _mapping,
    "mapped SQLite": _mapped_sqlite,
    "HTTP body": _body,
}


def _counted(signals: OpenSignals) -> dict[str, float]:
    row = answers(signals, period_ending(AS_OF, "quarter"), AS_OF).set_index("account_id").loc["a"]
    signals.close()
    return {name: row[name] for name in ("nps_answers", "promoters", "detractors")}


FOUR = {"nps_answers": 4, "promoters": 3, "detractors": 1}


@pytest.mark.parametrize("source_format", FORMATS)
def test_four_answers_are_four(tmp_path: Path, source_format: str) -> None:
    opened = FORMATS[source_format](tmp_path)
    source = opened if isinstance(opened, Source) else open_source(opened)
    assert _counted(read_signals(source, AS_OF, LONG_AGO)) == FOUR


@pytest.fixture
def database(postgres: Any) -> Any:
    with psycopg.connect(postgres.get_uri(), autocommit=True) as server:
        server.execute("CREATE SCHEMA warehouse")
        for name, rows in TABLES.items():
            kinds = {
                "value": "float8",
                "arr": "float8",
                "occurred_at": "timestamp",
                "started_at": "timestamp",
                "created_at": "timestamp",
            }
            shape = ", ".join(f"{column} {kinds.get(column, 'text')}" for column in rows[0])
            server.execute(f"CREATE TABLE warehouse.{name} ({shape})")
            for row in rows:
                server.execute(f"INSERT INTO warehouse.{name} VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))
        try:
            yield server
        finally:
            server.execute("DROP SCHEMA warehouse CASCADE")


def _address(postgres: Any, user: str = "postgres", schema: str = "warehouse") -> str:
    return f"postgresql://{user}@/postgres?{postgres.get_uri().split('?')[1]}&schema={schema}"


def test_four_answers_in_postgresql_are_four(postgres: Any, database: Any) -> None:
    assert _counted(read_signals(open_source(_address(postgres)), AS_OF, LONG_AGO)) == FOUR


def _mapped(postgres: Any, folder: Path, **columns: str) -> Path:
    queries = "\n".join(f'{name} = "SELECT {columns.get(name, "*")} FROM warehouse.{name}"' for name in TABLES)
    address = _address(postgres).removesuffix("&schema=warehouse")
    (folder / "mapping.toml").write_text(f'database = "{address}"\n[tables]\n{queries}\n', encoding="utf-8")
    return folder / "mapping.toml"


def test_four_answers_in_a_mapped_postgresql_are_four(postgres: Any, database: Any, tmp_path: Path) -> None:
    assert _counted(read_signals(open_source(_mapped(postgres, tmp_path)), AS_OF, LONG_AGO)) == FOUR


KINDS = {
    "json": ('{"a": 1}', '{"a": 2}'),
    "jsonb": ('{"a": 1}', '{"a": 2}'),
    "text[]": ("{a}", "{b}"),
    "interval": ("1 day", "2 days"),
    "bytea": ("\\x00ff", "\\x00fe"),
    "inet": ("10.0.0.1", "10.0.0.2"),
    "time": ("10:00", "11:00"),
    "timestamptz": ("infinity", "-infinity"),
    "numeric": ("NaN", "1e300"),
    "money": ("1", "2"),
    "point": ("(1,2)", "(1,3)"),
    "tsvector": ("a b", "a c"),
    "int4range": ("[1,2)", "[1,3)"),
    "bit(3)": ("101", "100"),
    "warehouse.mood": ("glad", "sad"),
    "warehouse.pair": ("(1,2)", "(1,3)"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_any_type_distinguish_rows(postgres: Any, database: Any, tmp_path: Path, kind: str) -> None:
    """Types and values without an equivalent in the engine are compared as text."""
    database.execute("CREATE TYPE warehouse.mood AS ENUM ('glad', 'sad')")
    database.execute("CREATE TYPE warehouse.pair AS (x int, y int)")
    database.execute(f"ALTER TABLE warehouse.outcomes DROP COLUMN respondent_id, ADD COLUMN other {kind}")
    one, two = KINDS[kind]
    database.execute("UPDATE warehouse.outcomes SET other = %s WHERE value = 9", [one])
    database.execute(
        "INSERT INTO warehouse.outcomes (account_id, occurred_at, kind, value, other) "
        "VALUES ('a', '2026-06-01', 'nps', 9, %s), ('a', '2026-06-01', 'nps', 9, NULL)",
        [two],
    )
    assert _counted(read_signals(open_source(_address(postgres)), AS_OF, LONG_AGO)) == FOUR
    if kind in ("money", "timestamptz"):
        # A mapping keeps column types: amounts that are not numbers and infinite instants are rejected.
        return
    columns = "account_id, occurred_at, kind, value, other"
    assert _counted(read_signals(open_source(_mapped(postgres, tmp_path, outcomes=columns)), AS_OF, LONG_AGO)) == FOUR


def test_columns_without_read_access_are_skipped(postgres: Any, database: Any) -> None:
    database.execute("CREATE ROLE clerk LOGIN")
    try:
        database.execute("GRANT USAGE ON SCHEMA warehouse TO clerk")
        database.execute("GRANT SELECT ON warehouse.accounts, warehouse.subscriptions TO clerk")
        database.execute("GRANT SELECT (account_id, occurred_at, kind, value) ON warehouse.outcomes TO clerk")
        source = open_source(_address(postgres, "clerk"))
        assert set(source.tables["outcomes"].columns) == {"account_id", "occurred_at", "kind", "value"}
        assert source.tables["outcomes"].count().to_pyarrow().as_py() == 5
    finally:
        database.execute("DROP OWNED BY clerk")
        database.execute("DROP ROLE clerk")
