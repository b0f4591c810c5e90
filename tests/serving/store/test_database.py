"""The store: atomic transactions, one schema after every migration path, and clear errors if it cannot be reached."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import IntegrityError

from features.errors import BadRequest, HomeError
from models.home import Home
from serving.common.errors import StoreDown
from serving.store import database, engines
from serving.store.database import Store, lock_publishing, next_sequence
from serving.store.schema_revision import SCHEMA_VERSION
from serving.store.schema_version import upgrade_schema
from serving.store.tables import METADATA, UtcMicroseconds, records


def _row(name: str, at: datetime) -> dict[str, object]:
    return {
        "id": name, "what": "outcome", "account_id": "a", "occurred_at": at, "recorded_at": at, "recorded_by": "k", "document": "{}",
    }  # fmt: skip


def test_the_migrations_create_the_declared_tables(store: Store) -> None:
    with store.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, METADATA) == []


def test_an_up_to_date_store_is_not_migrated(store: Store) -> None:
    with store.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == SCHEMA_VERSION


def test_a_transaction_is_atomic(store: Store) -> None:
    now = datetime(2026, 7, 1, tzinfo=UTC)

    def fails_after_writing() -> None:
        with store.begin() as connection:
            connection.execute(records.insert().values(**_row("one", now)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails_after_writing()
    with store.begin() as connection:
        assert connection.execute(select(records)).all() == []
        connection.execute(records.insert().values(**_row("two", now)))
    with store.begin() as connection:
        assert connection.execute(select(records.c.id)).scalars().all() == ["two"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.integers(-14, 14))
def test_times_round_trip(at: datetime, hours: int) -> None:
    column, given_at = UtcMicroseconds(), at.replace(tzinfo=timezone(timedelta(hours=hours)))
    stored = column.process_bind_param(given_at, None)  # type: ignore[arg-type]
    assert isinstance(stored, int)
    assert column.process_result_value(stored, None) == given_at  # type: ignore[arg-type]


def test_sequence_numbers_are_unique_and_visible_in_order(store: Store) -> None:
    """A reader that has read up to a number has read everything below it."""
    visited: list[int] = []

    def take(many: int) -> None:
        with store.begin() as connection:
            first = next_sequence(connection, "things", many)
            visited.extend(range(first, first + many))

    store.upgrade()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, [1, 3, 2, 5, 1, 4, 2, 2]))
    assert sorted(visited) == list(range(1, 21))


def test_several_processes_can_open_an_empty_store(address: str) -> None:
    stores = [Store(address) for _ in range(4)]
    begin = threading.Barrier(4)

    def open_(store: Store) -> None:
        begin.wait()
        store.upgrade()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_, stores))
    for each in stores:
        each.close()


def test_one_of_many_threads_opens_the_store_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(database, "upgrade_schema", lambda connection: opened.append(1) or upgrade_schema(connection))
    opening, begin = Store(f"sqlite:///{tmp_path / 'store.sqlite'}"), threading.Barrier(8)

    def use() -> None:
        begin.wait()
        with opening.read() as connection:
            assert connection.execute(select(records)).all() == []

    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(use) for _ in range(8)]:
            each.result()
    opening.close()
    assert opened == [1]


def test_opening_waits_longer_than_a_transaction_for_a_process_that_upgrades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "TIMEOUT_SECONDS", 0.1)
    file = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        end = threading.Timer(0.4, other.execute, ["COMMIT"])
        end.start()
        opening = Store(f"sqlite:///{file}")
        opening.upgrade()
        end.join()
        assert opening.error is None
        opening.close()


def test_a_newer_schema_is_refused_and_unchanged(address: str) -> None:
    store = Store(address)
    with store.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    later = Store(address)
    with pytest.raises(HomeError, match="9999"), later.begin():
        pass
    later.close()


@pytest.mark.parametrize(
    "wrong", ["mysql://u:top-secret@h/d", "nothing", "sqlite", ""]
)
def test_an_invalid_address_is_refused_and_not_repeated(wrong: str) -> None:
    with pytest.raises(BadRequest) as refused:
        Store(wrong)
    assert "top-secret" not in str(refused.value)
    assert "postgresql://" in str(refused.value)


def test_readers_do_not_wait_for_writers(store: Store) -> None:
    now = datetime(2026, 7, 1, tzinfo=UTC)
    with store.begin() as writing:
        writing.execute(records.insert().values(**_row("one", now)))
        with store.read() as reading:
            assert reading.execute(select(records)).all() == []
    with store.read() as reading:
        assert len(reading.execute(select(records)).all()) == 1


def test_an_unreachable_store_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreDown) as down, Store("postgresql://u:top-secret@127.0.0.1:1/d").begin():
        pass
    assert "top-secret" not in str(down.value)


def test_each_home_has_its_store(tmp_path: Path) -> None:
    for name in ("new", "50%20 #&?x=1"):
        store = Store.of(Home(tmp_path / name))
        with store.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        store.close()
        assert (tmp_path / name / "store.sqlite").is_file()


def test_the_version_changes_with_every_change_only(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    store = Store(f"sqlite:///{file}")
    assert store.version() is None
    store.upgrade()
    first = store.version()
    with store.read() as connection:
        connection.execute(select(records)).all()
    assert store.version() == first is not None
    now = datetime(2026, 7, 1, tzinfo=UTC)
    with store.begin() as connection:
        connection.execute(records.insert().values(**_row("one", now)))
    second = store.version()
    assert second not in (None, first)
    with pytest.raises(IntegrityError), store.begin() as connection:
        connection.execute(records.insert(), [_row("two", now), _row("one", now)])
    assert store.version() == second
    shutil.copy(file, tmp_path / "restored")
    (tmp_path / "restored").replace(file)
    assert store.version() != second
    file.unlink()
    assert store.version() is None
    store.close()


def test_a_cached_value_is_read_once_until_any_process_changes_the_store(address: str) -> None:
    reads: list[int] = []

    def count(connection: Connection) -> int:
        reads.append(connection.execute(select(func.count()).select_from(records)).scalar_one())
        return reads[-1]

    with closing(Store(address)) as store, closing(Store(address)) as other:
        store.upgrade()
        assert [store.read_cached("rows", count) for _ in range(3)] == [0, 0, 0]
        assert len(reads) == (1 if store.kind == "sqlite" else 3)
        for opened, name in ((other, "one"), (store, "two")):
            with opened.begin() as connection:
                connection.execute(records.insert().values(_row(name, datetime(2026, 7, 1, tzinfo=UTC))))
            expected = reads[-1] + 1
            assert [store.read_cached("rows", count) for _ in range(3)] == [expected] * 3
        assert store.read_cached("others", lambda _: "a value of its own") == "a value of its own"
        with pytest.raises(RuntimeError):
            store.read_cached("failing", _fail)
        assert store.read_cached("failing", lambda _: 1) == 1, "a failure is not remembered"


def _fail(_: Connection) -> int:
    raise RuntimeError


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never responds, as behind a network that drops packets."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql://u@127.0.0.1:{listening.getsockname()[1]}/d"


@pytest.mark.slow
def test_only_one_thread_waits_for_a_silent_server(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.store.engines.TIMEOUT_SECONDS", 2)
    store = Store(silent)
    assert store.error is None

    def ask_server(_: int) -> float:
        started = time.monotonic()
        with pytest.raises(StoreDown), store.read():
            pass
        return time.monotonic() - started

    assert ask_server(0) < 10
    assert store.error == "the store cannot be reached"
    with ThreadPoolExecutor(8) as pool:
        waited = sorted(pool.map(ask_server, range(8)))
    assert waited[6] < 1 < waited[7], "one thread asked the server, the others did not"


def test_a_store_that_is_back_is_used_immediately(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    there = store._engine
    monkeypatch.setattr(store, "_engine", Store("postgresql://u@127.0.0.1:1/d")._engine)
    with pytest.raises(StoreDown), store.read():
        pass
    assert store.error is not None
    monkeypatch.setattr(store, "_engine", there)
    with store.begin() as connection:
        assert connection.execute(select(records)).all() == []
    assert store.error is None


def test_a_missing_table_remains_an_error_until_it_is_back(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.sqlite'}"
    store = Store(address)
    with store.begin() as connection:
        (statement,) = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'jobs'").scalars()
        connection.exec_driver_sql("DROP TABLE jobs")
    assert store.error is None, "nothing has used it yet"
    with pytest.raises(StoreDown), store.read() as connection:
        connection.exec_driver_sql("SELECT * FROM jobs")
    opened = Store(address)
    for each in (store, opened):
        for _ in range(2):
            with each.read() as connection:
                assert connection.execute(select(records)).all() == []
            assert each.error == "the store belongs to another program, or parts of its schema are missing"
    with store.begin() as connection:
        connection.exec_driver_sql(statement)
    assert store.error is None
    store.close()
    opened.close()


def test_every_wait_for_postgresql_is_limited(postgres_address: str) -> None:
    """Options in the address stay in effect."""
    store = Store(postgres_address + "&options=-c%20application_name%3Drenewcast")
    with store.read() as connection:
        result = {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in ("statement_timeout", "lock_timeout", "application_name")}
        assert result == {"statement_timeout": "1min", "lock_timeout": "5s", "application_name": "renewcast"}
        lock_publishing(connection)
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "1min", "but for that wait itself"
        parameters = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
        assert {"connect_timeout", "tcp_user_timeout", "keepalives_idle"} <= set(parameters)
    store.close()
