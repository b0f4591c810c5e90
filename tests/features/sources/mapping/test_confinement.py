"""A mapping is data, not a program: one SELECT per table over the given files and tables, without other access."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from typer.testing import CliRunner

import renewcast
from features.errors import SignalsError
from features.signals.validation import check_source
from features.sources.open_source import open_source

SECRET = "the-secret"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Create a folder with a mapping's files, a database, and a file that the mapping does not use."""
    folder = tmp_path / "mapping"
    folder.mkdir()
    (folder / "a.csv").write_text("ID,since,name\n1,2025-01-01,Ann\n2,2025-01-02,\n")
    (folder / "s.csv").write_text("id,started_at,arr\n1,2025-01-01,1200\n")
    (folder / "secret.csv").write_text(f"account_id,created_at\n{SECRET},2025-01-01\n")
    (folder / "secret.json").write_text(json.dumps({"account_id": SECRET}))
    with duckdb.connect(str(folder / "wh.duckdb")) as warehouse:
        warehouse.execute("CREATE TABLE cust AS SELECT 1 AS id, TIMESTAMP '2025-01-01' AS created")
        warehouse.execute("CREATE SCHEMA stripe; CREATE TABLE stripe.customer AS SELECT * FROM cust")
        warehouse.execute("CREATE VIEW fine AS SELECT * FROM cust")
        warehouse.execute(f"CREATE VIEW evil AS SELECT content AS account_id FROM read_text('{folder / 'secret.csv'}')")
        warehouse.execute(f"CREATE MACRO peek() AS (SELECT content FROM read_text('{folder / 'secret.csv'}'))")
        warehouse.execute(f"CREATE MACRO peek_table() AS TABLE SELECT * FROM read_text('{folder / 'secret.csv'}')")
    return folder


def _mapping(place: Path, accounts: str, more: str = "", database: str = "") -> Path:
    subscriptions = "SELECT id AS account_id, started_at, arr FROM s"
    head = f'database = "{database}"\n' if database else ""
    (place / "m.toml").write_text(
        f'{head}[files]\na = "a.csv"\ns = "s.csv"\n{more}\n[tables]\naccounts = {json.dumps(accounts)}\nsubscriptions = "{subscriptions}"\n'
    )
    return place / "m.toml"


PLAIN = "SELECT id AS account_id, since AS created_at, name FROM a"


@pytest.mark.parametrize(
    "query",
    [
        PLAIN,
        f"{PLAIN};",
        f"-- all; of them\n{PLAIN} ; -- behind; it\n/* and; more */",
        f"WITH a AS ({PLAIN}) SELECT * FROM a",
        f"WITH b AS ({PLAIN}), c AS (SELECT * FROM b) SELECT c.* FROM c JOIN A ON A.id = c.account_id",
        'SELECT "ID" AS "ACCOUNT_ID", since AS Created_At, name FROM (FROM "a") AS é WHERE \'é\' <> \'x\' AND id IN (SELECT ID FROM a)',
        "SELECT id AS account_id, since AS created_at, name FROM a, range(1)",
        f"{PLAIN} WHERE false UNION ALL {PLAIN}",
    ],
)
def test_one_select_is_run(query: str, place: Path) -> None:
    source = open_source(_mapping(place, query))
    assert check_source(source).ok
    rows = source.tables["accounts"].order_by("account_id").to_pyarrow().to_pylist()
    assert [(row["account_id"], row["name"]) for row in rows] == [("1", "Ann"), ("2", None)]


@pytest.mark.parametrize(
    "attack",
    [
        "COPY (SELECT 1) TO 'out.csv'",
        "SELECT 1 AS account_id; COPY (SELECT 1) TO 'out.csv'",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO a VALUES ('1', '2', '3')",
        "ATTACH 'out.duckdb'",
        "EXPORT DATABASE 'out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "EXPLAIN SELECT 1",
        "DESCRIBE a",
        "SELECT * FROM (SUMMARIZE a)",
        "SELECT * FROM 'secret.csv'",
        'SELECT * FROM "secret.csv"',
        "SELECT * FROM read_csv('secret.csv')",
        "SELECT * FROM read_csv_auto('secret.csv')",
        "SELECT content AS account_id FROM read_text('secret.csv')",
        "SELECT * FROM read_blob('secret.csv')",
        "SELECT * FROM read_json_auto('secret.json')",
        "SELECT * FROM parquet_scan('secret.parquet')",
        "SELECT * FROM parquet_metadata('secret.parquet')",
        "SELECT * FROM sniff_csv('secret.csv')",
        "SELECT * FROM glob('*')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('a')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_secrets",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM pg_catalog.pg_tables",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM given_subscriptions",
        "SELECT * FROM memory.files.a",
        "SELECT getenv('HOME') AS account_id",
        "SELECT id AS account_id, now() AS created_at FROM customer",
        "SELECT id AS account_id, current_date AS created_at FROM customer",
        "SELECT id AS account_id, DATE '2026-01-01' - age(since) AS created_at FROM customer",
        "SELECT gen_random_uuid()::VARCHAR AS account_id",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n AS account_id FROM r",
        "SELECT current_setting('allowed_paths') AS account_id",
        "SELECT (SELECT content FROM read_text('secret.csv')) AS account_id",
        "SELECT id AS account_id FROM a WHERE id IN (SELECT content FROM read_text('secret.csv'))",
        "WITH x AS (FROM read_text('secret.csv')) SELECT content AS account_id FROM x",
        "SELECT id AS account_id FROM a ORDER BY (SELECT 1 FROM read_text('secret.csv'))",
        "SELECT id AS account_id FROM a LIMIT (SELECT count(*) FROM read_text('secret.csv'))",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        "PREPARE p AS SELECT 1",
        "SELECT ? AS account_id",
        "SELECT peek() AS account_id",
        "SELECT given.main.peek() AS account_id",
        "SELECT * FROM peek_table()",
        "SELECT * FROM given.main.peek_table()",
        "SELECT * FROM given.main.evil",
        "SELECT account_id FROM evil",
        "SELECT * FROM 's3://bucket/key.parquet'",
        "",
        "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
        "SELECT 1" + " " * 100_000,
    ],
)
def test_attacks_cannot_read_or_write_anything(attack: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    mapping = _mapping(place, attack, database="duckdb:///wh.duckdb")
    before = {file.name: file.read_bytes() for file in place.iterdir()}
    with pytest.raises(SignalsError, match=r"tables\.accounts") as caught:
        open_source(mapping)
    assert SECRET not in str(caught.value)
    assert {file.name: file.read_bytes() for file in place.iterdir()} == before


def test_views_of_a_database_are_confined(place: Path) -> None:
    with duckdb.connect(str(place / "wh.duckdb")) as warehouse:
        warehouse.execute("CREATE VIEW accounts AS SELECT * FROM evil")
    with pytest.raises(SignalsError, match=r"accounts cannot be read .*only the named files") as caught:
        open_source(f"duckdb:///{place / 'wh.duckdb'}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("kind", ["mapping", "folder", "duckdb"])
def test_an_opened_source_stays_confined(kind: str, place: Path) -> None:
    if kind == "folder":
        (place / "accounts.csv").write_text("account_id,created_at\na,2025-01-01\n")
        duckdb.sql("SELECT 'a' AS account_id").write_parquet(str(place / "usage.parquet"))
    if kind == "duckdb":
        with duckdb.connect(str(place / "wh.duckdb")) as warehouse:
            warehouse.execute("CREATE VIEW accounts AS SELECT * FROM fine")
    address = {"mapping": _mapping(place, PLAIN), "folder": place, "duckdb": f"duckdb:///{place / 'wh.duckdb'}"}[kind]
    connection = open_source(address).connection
    for statement in (
        f"SELECT * FROM read_text('{place / 'secret.csv'}')",
        f"COPY (SELECT 1) TO '{place / 'out.csv'}'",
        f"ATTACH '{place / 'out.duckdb'}'",
        "SET enable_external_access = true",
        "LOAD httpfs",
    ):
        with pytest.raises(duckdb.Error):
            connection.raw_sql(statement)
    connection.raw_sql("CREATE TEMP TABLE still_works AS SELECT range AS x FROM range(10)")
    assert not list(place.glob("out*"))


@pytest.mark.parametrize("schema", ["", "given.main.", "main.", "stripe.", "given.stripe."])
def test_tables_of_a_duckdb_file(schema: str, place: Path) -> None:
    query = f"SELECT c.id AS account_id, created AS created_at FROM {schema}{'customer' if 'stripe' in schema else 'CUST'} c JOIN a USING (id)"
    source = open_source(_mapping(place, query, database="duckdb:///wh.duckdb"))
    assert check_source(source).ok
    assert source.tables["accounts"].to_pyarrow().to_pylist()[0]["account_id"] in (1, "1")


def test_tables_of_a_sqlite_file(place: Path) -> None:
    with sqlite3.connect(place / "app.sqlite") as lite:
        lite.execute("CREATE TABLE Customers (id INTEGER, created_at TEXT, staff)")
        lite.executemany(
            "INSERT INTO Customers VALUES (?, ?, ?)", [(1, "2025-01-01 10:00:00", 5), (2, "20250102", "6")]
        )
        lite.execute("CREATE TABLE unused (x)")
    lite.close()
    query = "SELECT id AS account_id, created_at, staff AS employees FROM customers"
    source = open_source(_mapping(place, query, database="sqlite:///app.sqlite"))
    assert check_source(source).ok
    assert len(source.tables["accounts"].to_pyarrow()) == 2


def test_tables_of_postgresql(place: Path, postgres: Any) -> None:
    with psycopg.connect(postgres.get_uri(), autocommit=True) as server:
        server.execute("CREATE SCHEMA IF NOT EXISTS mapped")
        server.execute(
            "CREATE TABLE mapped.\"Customer\" AS SELECT gen_random_uuid() AS id, now() AS since, 3.0::numeric AS n, '{}'::jsonb AS doc"
        )
        server.execute("CREATE TABLE mapped_default AS SELECT 'x' AS name")
    query = "SELECT id AS account_id, since AS created_at, d.name FROM mapped.customer, mapped_default d"
    address = postgres.get_uri()
    try:
        source = open_source(_mapping(place, query, database=address))
        assert check_source(source).errors[0].problem == "an account that is not in accounts"
        assert source.tables["accounts"].to_pyarrow().to_pylist()[0]["name"] == "x"
    finally:
        with psycopg.connect(address, autocommit=True) as server:
            server.execute('DROP TABLE mapped."Customer", mapped_default')


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT id AS account_id FROM b",
            "reads b, which is neither in .files. nor in the database\nExpected: one of a, s",
        ),
        ("SELECT plam AS account_id FROM a", r'm\.toml \(line 6, column 20\): .* does not run: Binder Error: Referenced column "plam" not found'),
        ("SELECT id AS account_id FROM a GROUP", r"does not parse \(Parser Error: syntax error at end of input"),
    ],
)
def test_the_reason_of_the_engine_is_reported(query: str, message: str, place: Path) -> None:
    with pytest.raises(SignalsError, match=message) as caught:
        open_source(_mapping(place, query))
    assert "SECRET" not in str(caught.value)


def test_conversion_errors_are_reported_without_values(place: Path) -> None:
    (place / "a.csv").write_text("id,since\nto BIGINT SECRET to INT32,2025-01-01\n")
    report = check_source(open_source(_mapping(place, "SELECT CAST(id AS INTEGER) AS account_id, since AS created_at FROM a")))
    errors = "\n".join(map(str, report.errors))
    assert "accounts: the rows cannot be read (Conversion Error: a string of the column id cannot be converted to INT32" in errors
    assert "SECRET" not in errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 100_000, "nested deeper|not valid TOML"),
        ("[files]\nx" + ".x" * 20_000 + " = 1", "nested deeper"),
        ("x" * 2**17 + " = 1", "unknown keys"),
        ("# " + "x" * 2**20, "larger than"),
        (
            '[files]\nx = "https://host/x.parquet"\n[tables]\naccounts = "SELECT 1"',
            r"files\.x has an unsupported kind of address: https",
        ),
        ('[files]\nx = "nothing-*.csv"\n[tables]\naccounts = "SELECT 1"', r"files\.x: .*has no data files"),
        ('[files]\nx = "a.csv"\nX = "s.csv"\n[tables]\naccounts = "SELECT 1"', r"\[files\] has both x and X"),
        ("database = \"mysql://h/x\"\n[tables]\naccounts = 'SELECT 1'", "unsupported database address: mysql"),
    ],
)
def test_invalid_mappings_are_reported_with_one_message(text: str, message: str, place: Path) -> None:
    (place / "m.toml").write_text(text)
    answer = CliRunner().invoke(renewcast.app, ["check", str(place / "m.toml")])
    # The command line reports this with exit code 2.
    assert isinstance(answer.exception, SignalsError)
    with pytest.raises(SignalsError, match=message):
        open_source(place / "m.toml")


def test_patterns_json_and_archives_under_files(place: Path) -> None:
    (place / "2024-01.csv").write_text("id,since\n1,2024-01-01\n")
    (place / "2024-02.csv").write_text("since;ID\n2024-02-01;2\n")
    (place / "docs.ndjson").write_text(
        '{"customer": {"id": 2, "plan": "pro"}, "day": "01-02-2026"}\n{"customer": {"id": 1}}\n'
    )
    query = "SELECT x.id AS account_id, since AS created_at, d.day AS name FROM x JOIN d ON d.customer.id = x.id::INT ORDER BY 1"
    source = open_source(_mapping(place, query, 'x = "2024-*.csv"\nd = "docs.ndjson"'))
    assert check_source(source).ok
    rows = source.tables["accounts"].to_pyarrow().to_pylist()
    assert [(row["account_id"], row["created_at"], row["name"]) for row in rows] == [
        ("1", "2024-01-01", None),
        ("2", "2024-02-01", "01-02-2026"),
    ]
