"""Damaged, foreign, locked and read-only stores: one message, the right status, and reads where possible."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import select, text

from features.errors import RenewcastError
from serving.app.app import create_app
from serving.common.errors import StoreDown
from serving.common.settings import ServiceSettings
from serving.http.api_keys import create_key
from serving.store import database, engines
from serving.store.database import Store
from serving.store.tables import api_keys


def _made(path: Path) -> str:
    """Create a store with a key, and return the key."""
    store = Store(f"sqlite:///{path}")
    with store.begin() as connection:
        secret = create_key(connection, "k", ["admin"])[1]
    store.close()
    return secret


def _script(sql: str) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(sql)

    return do


def _another(sql: str) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        path.unlink()
        _script(sql)(path)

    return do


def _garbage(path: Path) -> None:
    path.write_bytes(b"\x1b[31mno database\x00" * 500)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 - 100)


def _pages(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


BREAKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "garbage": (_garbage, "damaged"),
    "cut off": (_cut, "damaged"),
    "pages overwritten": (_pages, "damaged"),
    "a folder": (_folder, "opened"),
    "without a table": (_script("DROP TABLE sessions; DROP TABLE api_keys"), "belongs to another program"),
    "without a column": (_script("ALTER TABLE api_keys DROP COLUMN scopes"), "belongs to another program"),
    "values of another kind": (_script("UPDATE api_keys SET created_at = 'soon'"), "damaged"),
    "another program's": (_another("CREATE TABLE sessions (x); CREATE TABLE api_keys (y)"), "belongs to another program"),
    "another program's with Alembic": (
        _another("CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('bd07f7e963c5')"),
        "does not support",
    ),
}


def _readiness(client: TestClient, secret: str) -> str:
    """Return the status after failed requests: the worst of several, because other queries may succeed in between."""
    for _ in range(50):
        assert client.get("/v1/portfolio", headers={"X-API-Key": secret}).status_code == 503
        ready = client.get("/readyz")
        assert ready.status_code == 200
        if ready.json()["status"] == "degraded":
            return "degraded"
    return "ready"


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_store_has_one_message_and_one_status(own_home: Any, tmp_path: Path, how: str) -> None:
    path = tmp_path / "store.sqlite"
    secret = _made(path)
    breaks, word = BREAKS[how]
    breaks(path)
    store = Store(f"sqlite:///{path}")
    for _ in range(2):
        with pytest.raises(RenewcastError) as refused, store.read() as connection:
            connection.execute(select(api_keys)).all()
        assert word in refused.value.found
        assert refused.value.cure
        assert str(tmp_path) not in str(refused.value)
    store.close()
    settings = ServiceSettings(store=SecretStr(f"sqlite:///{path}"), retry_seconds=0.05)
    with TestClient(create_app(own_home, settings), client=("192.0.2.1", 1)) as client:
        answer = client.get("/v1/portfolio", headers={"X-API-Key": secret})
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert word in answer.json()["detail"]
        assert client.post("/sign-in", data={"key": secret}).status_code == 503
        # One bad value affects only those who read it.
        assert how == "values of another kind" or _readiness(client, secret) == "degraded"
        assert client.get("/livez").status_code == 200


def test_a_store_that_another_process_locks_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OPENING_SECONDS", 0.1)
    monkeypatch.setattr(engines, "TIMEOUT_SECONDS", 0.1)
    path = tmp_path / "store.sqlite"
    _made(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM sessions")
        store = Store(f"sqlite:///{path}")
        for reach in (store.begin, store.read):
            with pytest.raises(StoreDown, match="busy"), reach():
                pass
        other.execute("ROLLBACK")
    with store.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM api_keys")).scalar_one() == 1
    store.close()


@pytest.fixture(params=["refused", "mounted"])
def read_only(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Path]]:
    """Make a file's folder read-only: as reported to the program or, if this user has the permission, by a mount."""
    mounted: list[Path] = []

    def refuse(path: Path) -> Path:
        access = os.access
        monkeypatch.setattr(database.os, "access", lambda p, mode: access(p, mode) and not (mode & os.W_OK and Path(p) in (path, path.parent)))
        return path

    def mount(path: Path) -> Path:
        place = tmp_path / "read only#&"
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True).returncode:
            pytest.skip("this user may not mount")
        mounted.append(place)
        # By another process: closing a store's file here would drop the locks that are held on it.
        subprocess.run(["cp", *map(str, path.parent.glob("store.sqlite*")), str(place)], check=True)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        return place / path.name

    yield refuse if request.param == "refused" else mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("in_use", [False, True], ids=["closed", "with its log"])
def test_a_read_only_store_still_answers_reads(own_home: Any, tmp_path: Path, read_only: Callable[[Path], Path], in_use: bool) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    database = folder / "store.sqlite"
    secret = _made(database)
    holding = sqlite3.connect(database, isolation_level=None)
    if in_use:
        holding.execute("UPDATE api_keys SET name = 'changed'")
    else:
        holding.close()
    path = read_only(database)
    settings = ServiceSettings(store=SecretStr(f"sqlite:///{path}"), retry_seconds=0.05)
    with TestClient(create_app(own_home, settings), client=("192.0.2.1", 1), headers={"X-API-Key": secret}) as client:
        for _ in range(2):
            assert client.get("/v1/portfolio").status_code == 200
            assert client.get("/v1/alerts").status_code == 200
            record = {"account_id": "a05", "kind": "call", "occurred_at": datetime.now(UTC).isoformat()}
            refused = client.post("/v1/interventions", json=record, headers={"Idempotency-Key": "x"})
            assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
            assert "cannot be written" in refused.json()["detail"]
            assert client.get("/readyz").json()["status"] in ("ready", "degraded")
    store = Store(f"sqlite:///{path}")
    with store.read() as connection:
        assert connection.execute(select(api_keys.c.name)).scalar_one() == ("changed" if in_use else "k")
    store.close()
    if in_use:
        holding.close()


def test_a_store_that_becomes_writable_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.sqlite"
    _made(path)
    monkeypatch.setattr(engines, "is_read_only", lambda file: True)
    store = Store(f"sqlite:///{path}")
    with pytest.raises(StoreDown, match="cannot be written"), store.begin():
        pass
    monkeypatch.undo()
    with store.begin() as connection:
        create_key(connection, "another", ["predict"])
    store.close()
