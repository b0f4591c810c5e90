"""Sources of every kind give the same tables, each in a schema of its name."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import duckdb
import psycopg
import pytest

from features.connect.inspection import Inspected
from features.errors import SignalsError
from features.sources.file_stamp import file_stamp
from features.sources.open_source import open_source
from tests.features.sources.mapping.conftest import rows_of

TABLES = """
[tables]
accounts = "SELECT id AS account_id, since AS created_at, name FROM crm.companies"
subscriptions = "SELECT company AS account_id, started AS started_at, CAST(arr AS DOUBLE) AS arr FROM deals"
"""
ACCOUNTS = [("a", "2025-01-01", "Ann"), ("b", "2025-02-01", None)]


def _folder(place: Path) -> str:
    folder = place / "crm"
    (folder / "companies" / "part=1").mkdir(parents=True)
    (folder / "companies" / "part=1" / "x.tsv").write_text("id\tsince\tname\na\t2025-01-01\tAnn\n")
    (folder / "companies" / "y.tsv").write_text("ID\tsince\nb\t2025-02-01\n")
    (folder / "deals.ndjson").write_text('{"company": "a", "started": "2025-01-01", "arr": 12}\n')
    (folder / "unused.parquet").write_text("broken, and never read")
    (folder / "README.md").write_text("no table")
    return "crm"


def _compressed(place: Path) -> str:
    folder = place / "crm"
    folder.mkdir()
    with gzip.open(folder / "companies.csv.gz", "wt") as file:
        file.write("id,since,name\na,2025-01-01,Ann\nb,2025-02-01,\n")
    (folder / "deals.json").write_text(json.dumps([{"company": "a", "started": "2025-01-01", "arr": 12}]))
    return "crm"


def _parquet(place: Path) -> str:
    for month, row in (("01", "('a', '2025-01-01', 'Ann')"), ("02", "('b', '2025-02-01', NULL)")):
        folder = place / f"export-2025-{month}"
        folder.mkdir()
        duckdb.sql(f"SELECT * FROM (VALUES {row}) AS t (id, since, name)").write_parquet(str(folder / "companies.parquet"))
    duckdb.sql("SELECT 'a' AS company, DATE '2025-01-01' AS started, 12 AS arr").write_parquet(str(folder / "deals.parquet"))
    return "export-*/*.parquet"


def _duckdb(place: Path) -> str:
    with duckdb.connect(str(place / "wh.duckdb")) as warehouse:
        warehouse.execute("CREATE SCHEMA other; CREATE TABLE other.deals AS SELECT 1 AS x")
        warehouse.execute('CREATE SCHEMA "Crm"; CREATE TABLE "Crm".Companies AS SELECT * FROM (VALUES (\'a\', DATE \'2025-01-01\', \'Ann\'), (\'b\', DATE \'2025-02-01\', NULL)) AS t (id, since, name)')
        warehouse.execute('CREATE VIEW "Crm".deals AS SELECT \'a\' AS company, DATE \'2025-01-01\' AS started, 12 AS arr')
    return "duckdb:///wh.duckdb?schema=crm"


def _sqlite(place: Path) -> str:
    with sqlite3.connect(place / "app.sqlite") as lite:
        lite.execute("CREATE TABLE Companies (id, since, name)")
        lite.executemany("INSERT INTO Companies VALUES (?, ?, ?)", ACCOUNTS)
        lite.execute("CREATE TABLE deals AS SELECT 'a' AS company, '2025-01-01' AS started, 12 AS arr")
    lite.close()
    return "sqlite:///app.sqlite"


@pytest.mark.parametrize("make", [_folder, _compressed, _parquet, _duckdb, _sqlite])
@pytest.mark.parametrize("short", [True, False])
def test_a_source_of_each_kind(make: Callable[[Path], str], short: bool, tmp_path: Path) -> None:
    uri = make(tmp_path)
    head = f'[source]\nuri = "{uri}"\n' if short else f'[sources.crm]\nuri = "{uri}"\n'
    text = head + (TABLES.replace("crm.companies", "companies") if short else TABLES)
    (tmp_path / "m.toml").write_text(text)
    source = open_source(tmp_path / "m.toml")
    accounts = [(i, str(since)[:10], name) for i, since, name in rows_of(source, "accounts", "account_id", "created_at", "name")]
    assert accounts == ACCOUNTS
    assert rows_of(source, "subscriptions", "account_id", "arr") == [("a", 12.0)]
    with pytest.raises(duckdb.Error):
        source.connection.raw_sql(f"SELECT * FROM read_text('{tmp_path / 'm.toml'}')")


def test_postgresql(tmp_path: Path, postgres: Any) -> None:
    with psycopg.connect(postgres.get_uri(), autocommit=True) as server:
        server.execute("CREATE SCHEMA crm_source")
        server.execute("CREATE TABLE crm_source.companies AS SELECT 'a' AS id, now() AS since, 'Ann' AS name")
        server.execute("CREATE TABLE crm_source.deals AS SELECT 'a' AS company, now() AS started, 12.5::numeric AS arr")
        server.execute("CREATE TABLE crm_source.secret AS SELECT 1 AS x")
    try:
        mark = "&" if "?" in postgres.get_uri() else "?"
        (tmp_path / "m.toml").write_text(f'[sources.crm]\nuri = "{postgres.get_uri()}{mark}schema=crm_source"\n{TABLES}')
        source = open_source(tmp_path / "m.toml")
        assert rows_of(source, "subscriptions", "account_id", "arr") == [("a", 12.5)]
    finally:
        with psycopg.connect(postgres.get_uri(), autocommit=True) as server:
            server.execute("DROP SCHEMA crm_source CASCADE")


def test_two_schemas_of_one_file(tmp_path: Path) -> None:
    _duckdb(tmp_path)
    uris = {name: f"duckdb:///wh.duckdb?schema={name}" for name in ("crm", "other")}
    text = "".join(f'[sources.{name}]\nuri = "{uri}"\n' for name, uri in uris.items())
    (tmp_path / "m.toml").write_text(text + TABLES.replace("FROM deals", "FROM crm.deals, other.deals AS o WHERE o.x = 1"))
    assert rows_of(open_source(tmp_path / "m.toml"), "subscriptions", "account_id", "arr") == [("a", 12.0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[sources.crm]\nuri = "nowhere"', r"\(line 2, column 7\): sources\.crm\.uri: .*nowhere does not exist"),
        ('[sources.crm]\nuri = "empty"', r"sources\.crm\.uri: there are no data files"),
        ('[sources.crm]\nuri = "mysql://h/x"', r"sources\.crm\.uri: unsupported kind of address: mysql"),
        ('[sources.crm]\nuri = "duckdb:///wh.duckdb"', r"has no tables in the schema main\nExpected: one of the schemas Crm, other"),
        ('[sources.crm]\nuri = "duckdb:///wh.duckdb?schema=crn"', r"has no tables in the schema crn\nExpected: one of Crm, other"),
        ('[sources.crm]\nuri = "duckdb:///wh.duckdb?schema=crm"\npack = "strip"', r"\(line 3, column 8\): sources\.crm\.pack: unknown pack: strip"),
        ('[sources.crm]\nuri = "duckdb:///wh.duckdb?schema=crm"\npack = "stripe"', r"sources\.crm: the pack stripe needs the table"),
        ('[sources.crm]\nuri = "duckdb:///wh.duckdb?schema=crm"\noptions.x = 1', r"sources\.crm\.options: there is no pack"),
        ('[sources.main]\nuri = "crm"', "the engine uses the name main"),
        ('[source]\nuri = "x"\n[sources.crm]\nuri = "crm"', r"it has both \[source\] and \[sources\]"),
    ],
)  # fmt: skip
def test_mistakes_about_sources(text: str, message: str, tmp_path: Path) -> None:
    _duckdb(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(SignalsError, match=message):
        open_source(tmp_path / "m.toml")


def test_changed_files_of_a_source_are_noticed(tmp_path: Path) -> None:
    _folder(tmp_path)
    (tmp_path / "m.toml").write_text(f'[sources.crm]\nuri = "crm"\n{TABLES}')
    before = file_stamp(str(tmp_path / "m.toml"))
    (tmp_path / "crm" / "README.md").write_text("changed")
    assert file_stamp(str(tmp_path / "m.toml")) == before
    (tmp_path / "crm" / "deals.ndjson").write_text("{}")
    assert file_stamp(str(tmp_path / "m.toml")) != before


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("postgresql://ann:SECRET@host:5432/db?schema=s", "postgresql://ann@host:5432/db?schema=s"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("postgresql://ann:SECRET@host/db?password=SECRET", "postgresql://ann@host/db"),
        ("s3://KEY:SECRET@bucket/x?region=eu-central-1", "s3://bucket/x?region=eu-central-1"),
    ],
)
def test_no_password_is_written(address: str, uri: str, tmp_path: Path) -> None:
    written = Inspected("billing", address, None, None).uri(tmp_path)  # type: ignore[arg-type]
    assert written == uri
    assert "SECRET" not in dict(parse_qsl(urlsplit(written).query)).values()
