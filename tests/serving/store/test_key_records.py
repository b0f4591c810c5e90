"""API keys read from a SQLite file give the same list as the store, or leave it to the store."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from models.home import Home
from serving.http.api_keys import create_key, list_keys, revoke_key
from serving.store.database import Store
from serving.store.key_records import read_key_records

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    store = Store.of(Home(tmp_path / "home"))
    with store.begin() as connection:
        for name, scopes, owner in (("Ann", ["admin"], None), ("Ben", ["predict", "write"], "Ben B"), ("Cé", ["write"], None)):
            key, _ = create_key(connection, name, scopes, owner)
        revoke_key(connection, key.id)
    store.close()
    return Home(tmp_path / "home")


def test_the_file_has_the_keys_of_the_store(home: Home) -> None:
    store = Store.of(home)
    with store.read() as connection:
        stored = list_keys(connection)
    # Keys that another process has just written are in the write-ahead log only.
    with store.begin() as connection:
        stored.append(create_key(connection, "Dee", ["predict"])[0])
    assert read_key_records(home.store_file) == stored
    store.close()
    assert len(stored) == 4
    assert [each.revoked_at is None for each in stored] == [True, True, False, True]


def test_the_store_answers_for_any_other_file(home: Home, tmp_path: Path) -> None:
    assert read_key_records(tmp_path / "missing.sqlite") is None
    assert not (tmp_path / "missing.sqlite").exists()
    (tmp_path / "damaged.sqlite").write_bytes(b"no database" * 100)
    assert read_key_records(tmp_path / "damaged.sqlite") is None
    for change in (
        "UPDATE api_keys SET created_at = 'today'",
        "ALTER TABLE api_keys RENAME COLUMN owner TO person",
        "UPDATE alembic_version SET version_num = '0007'",
        "DROP TABLE alembic_version",
    ):
        with closing(sqlite3.connect(home.store_file)) as connection:
            connection.execute(change)
            connection.commit()
        assert read_key_records(home.store_file) is None, change


def test_listing_keys_does_not_import_sqlalchemy(home: Home) -> None:
    code = "import atexit, sys; sys.argv = ['renewcast', 'keys', 'list', '--json']; atexit.register(lambda: print('sqlalchemy' in sys.modules, file=sys.stderr)); import renewcast; renewcast.main()"
    environment = {name: value for name, value in os.environ.items() if name != "RENEWCAST_STORE"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment | {"RENEWCAST_HOME": str(home.root)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert [each["name"] for each in json.loads(result.stdout)] == ["Ann", "Ben", "Cé"]
    assert result.stderr.splitlines()[-1] == "False"
