"""Database engines of the store: SQLite and PostgreSQL, with time limits on every wait."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from features.errors import BadRequest

#: How long (seconds) a transaction waits for a lock, a connection, or a server that does not respond.
TIMEOUT_SECONDS = 5
#: Time limit (seconds) of one PostgreSQL statement.
STATEMENT_SECONDS = 60
READ_ONLY_OPTION = "renewcast_looking"


def create_store_engine(address: str | URL) -> Engine:
    """Create the engine of a store.

    Raises
    ------
    BadRequest : the address is not that of a supported database.
    """
    try:
        url = make_url(address)
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"timeout": TIMEOUT_SECONDS}, pool_timeout=TIMEOUT_SECONDS)
            event.listen(engine, "do_connect", _open_read_only)
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _lock_sqlite)
            return engine
        if url.get_backend_name() == "postgresql":
            driver = url.set(drivername="postgresql+psycopg")
            return create_engine(driver, pool_pre_ping=True, pool_timeout=TIMEOUT_SECONDS, connect_args=_bounds(url))
    except (ArgumentError, ImportError, SQLAlchemyError):
        # The reason is left out, since it can repeat the address, which may contain a password.
        pass
    raise BadRequest(
        "RENEWCAST_STORE is not a valid store address",
        "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE",
        "correct the address; PostgreSQL needs `pip install 'renewcast[postgres]'`",
    ) from None


def _bounds(url: URL) -> dict[str, Any]:
    """Return connection arguments that limit the wait for a PostgreSQL server that does not respond."""
    given = url.query.get("options", ())
    options = [given] if isinstance(given, str) else list(given)
    options += [f"-c lock_timeout={TIMEOUT_SECONDS * 1000}", f"-c statement_timeout={STATEMENT_SECONDS * 1000}"]
    # An idle connection is probed after the timeout, three times within the same time.
    alive = {"keepalives": 1, "keepalives_idle": TIMEOUT_SECONDS, "keepalives_interval": 2, "keepalives_count": 3}
    return {
        "connect_timeout": TIMEOUT_SECONDS,
        "tcp_user_timeout": TIMEOUT_SECONDS * 1000,
        **alive,
        "options": " ".join(options),
    }


def is_read_only(file: Path) -> bool:
    """Return whether a SQLite file exists but it, or its folder, cannot be written. SQLite needs to write both."""
    return file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def _open_read_only(_dialect: Any, _record: Any, given: list[Any], _more: dict[str, Any]) -> sqlite3.Connection | None:
    """Return a connection to a file that cannot be written, or None for other files, which are opened as usual."""
    file = Path(given[0]) if given and given[0] not in ("", ":memory:") else None
    if file is None or not is_read_only(file):
        return None
    # Without a write-ahead log, no process has the file open for writing, so locks are neither needed nor possible.
    immutable = "" if Path(f"{file}-wal").exists() else "&immutable=1"
    address = f"file:{quote(str(file.absolute()))}?mode=ro{immutable}"
    connection = sqlite3.connect(address, timeout=TIMEOUT_SECONDS, uri=True, check_same_thread=False)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # Keep pysqlite from beginning transactions automatically, which it does too late.
    connection.isolation_level = None
    if connection.execute("PRAGMA query_only").fetchone()[0]:
        return
    _write_ahead(connection)
    for setting in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _write_ahead(connection: Any) -> None:
    # SQLite does not wait for locks when several processes switch a new file to write-ahead logging.
    until = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _lock_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(READ_ONLY_OPTION)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
