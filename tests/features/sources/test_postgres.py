"""PostgreSQL databases are read like folders; problems are reported without the password."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from features.errors import SignalsError
from features.signals.validation import check_source
from features.sources import postgres as reading
from features.sources.open_source import open_source

SECRET = "p@ss/w:rd"
QUOTED = "p%40ss%2Fw%3Ard"


@pytest.fixture(scope="module")
def server(postgres: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.get_uri(), autocommit=True) as connection:
        connection.execute("SET TIME ZONE 'Asia/Tokyo'")
        yield connection


@pytest.fixture(scope="module")
def warehouse(server: psycopg.Connection[Any]) -> None:
    """Create the contract's tables as in a warehouse (keys, enumerations, numerics, views) and a user with read access."""
    server.execute("CREATE SCHEMA crm")
    server.execute("CREATE SCHEMA empty")
    server.execute("CREATE TYPE crm.size AS ENUM ('small', 'large')")
    server.execute(
        "CREATE TABLE crm.customers (id uuid PRIMARY KEY, since timestamptz, staff numeric(8, 0), size crm.size, secrets jsonb)"
    )
    server.execute(
        "INSERT INTO crm.customers SELECT gen_random_uuid(), '2024-01-01 09:00+09', 12, 'large', '{}' FROM generate_series(1, 3)"
    )
    server.execute(
        "CREATE VIEW crm.accounts AS "
        "SELECT id AS account_id, since AS created_at, staff AS employees, size AS region, secrets FROM crm.customers"
    )
    server.execute(
        "CREATE MATERIALIZED VIEW crm.subscriptions AS "
        "SELECT id::text AS account_id, timestamp '2024-01-02 00:30' AS started_at, 1200.5::numeric AS arr, "
        "date '2025-01-01' AS renewal_at, 3::smallint AS seats FROM crm.customers"
    )
    server.execute("CREATE TABLE crm.other (x int)")
    server.execute(f"CREATE ROLE reader LOGIN PASSWORD '{SECRET}'")
    server.execute("GRANT USAGE ON SCHEMA crm TO reader")
    server.execute("GRANT SELECT ON crm.accounts, crm.subscriptions TO reader")


@pytest.fixture(scope="module")
def guarded(server: psycopg.Connection[Any], warehouse: None) -> None:
    """Make the server require the reader's password."""
    (place,) = server.execute("SHOW hba_file").fetchone() or ("",)
    file = Path(place)
    file.write_text("local all reader scram-sha-256\n" + file.read_text())
    server.execute("SELECT pg_reload_conf()")


def _address(postgres: Any, user: str = "reader", password: str = QUOTED, database: str = "postgres", schema: str = "crm") -> str:
    socket = postgres.get_uri().split("?")[1]
    return f"postgresql://{user}:{password}@/{database}?{socket}&schema={schema}"


def test_views_keys_numerics_and_zones(postgres: Any, guarded: None) -> None:
    source = open_source(_address(postgres))
    assert set(source.tables) == {"accounts", "subscriptions"}
    assert check_source(source).ok
    assert "secrets" not in source.tables["accounts"].columns
    (account,) = source.tables["accounts"].limit(1).to_pyarrow().to_pylist()
    assert account["created_at"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert (account["employees"], account["region"], len(account["account_id"])) == (12, "large", 36)
    (subscription,) = source.tables["subscriptions"].limit(1).to_pyarrow().to_pylist()
    assert subscription["started_at"] == datetime(2024, 1, 2, 0, 30)
    assert (subscription["arr"], subscription["seats"]) == (1200.5, 3)


def test_the_origin_has_no_password(postgres: Any, guarded: None) -> None:
    assert open_source(_address(postgres)).origin == "postgresql://reader:***@/postgres?schema=crm"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"password": "wrong-secret"}, "refuses the user or the password"),
        ({"user": "stranger", "password": "wrong-secret"}, "refuses the user or the password"),
        ({"database": "nowhere"}, "the database: it does not exist"),
        ({"schema": "cmr"}, "there is no schema cmr\nExpected: one of "),
        ({"schema": "empty"}, "no table of the data contract"),
    ],
    ids=str,
)
def test_refusals_of_the_server_are_reported(postgres: Any, guarded: None, changed: dict[str, str], message: str) -> None:
    with pytest.raises(SignalsError) as caught:
        open_source(_address(postgres, **changed))
    assert message in str(caught.value)
    assert not any(word in str(caught.value) for word in (SECRET, QUOTED, "wrong-secret"))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("postgresql://u:top-secret@127.0.0.1:1/d", "no PostgreSQL server answers at postgresql://u:***@127.0.0.1:1/d"),
        ("postgres://u@127.0.0.1:1/d?password=top-secret", "no PostgreSQL server answers at postgres://u@127.0.0.1:1/d"),
        ("postgresql://u:top-secret@nowhere.invalid/d", "no PostgreSQL server answers"),
        ("postgresql://u:top/secret@host/d", "invalid PostgreSQL address"),
        ("postgresql://u:top#secret@host/d", "invalid PostgreSQL address"),
        ("postgresql://u:x@host:top-secret/d", "invalid PostgreSQL address"),
        ("postgresql://u:%zztop-secret@host/d", "invalid PostgreSQL address"),
        ("postgresql://u:x@host/d?top-secret=1", "invalid PostgreSQL address"),
    ],
)
def test_an_invalid_address_is_not_repeated(address: str, message: str) -> None:
    with pytest.raises(SignalsError) as caught:
        open_source(address)
    assert message in str(caught.value)
    assert not any(word in str(caught.value) for word in ("top-", "secret"))


def test_a_table_without_read_access_is_reported(postgres: Any, server: Any, guarded: None) -> None:
    server.execute("CREATE TABLE crm.company AS SELECT 'x' AS account_id, now() AS occurred_at, 'hiring' AS kind")
    try:
        with pytest.raises(SignalsError, match=r"the user is not allowed to read crm\.company"):
            open_source(_address(postgres))
    finally:
        server.execute("DROP TABLE crm.company")


def test_an_infinite_date_is_reported(postgres: Any, server: Any, guarded: None) -> None:
    server.execute("CREATE TABLE crm.company AS SELECT 'x' AS account_id, timestamp 'infinity' AS occurred_at, 'hiring' AS kind")
    server.execute("GRANT SELECT ON crm.company TO reader")
    try:
        with pytest.raises(SignalsError, match=r"rows of crm\.company cannot be read"):
            open_source(_address(postgres))
    finally:
        server.execute("DROP TABLE crm.company")


def test_large_tables_are_copied_in_batches(postgres: Any, guarded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH_ROWS", 2)
    assert open_source(_address(postgres)).tables["accounts"].count().to_pyarrow().as_py() == 3


def test_a_missing_driver_is_reported_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(SignalsError) as caught:
        open_source("postgresql://host/db")
    assert caught.value.cure == "pip install 'renewcast[postgres]'"
