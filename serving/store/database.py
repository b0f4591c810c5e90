"""The operational store: a SQLite file in the home, or a PostgreSQL database. Opening it upgrades its schema.

A SQLite file that cannot be written (a read-only disk or folder) is opened for reading, and writing is refused.

SQLite runs in WAL mode with full synchronization, so committed transactions survive a crash of the process and a power
failure. A transaction that writes takes its lock at the start, so it cannot fail halfway because of another one.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from cachetools import LRUCache
from sqlalchemy import URL, Connection, select
from sqlalchemy.exc import DatabaseError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from features.errors import HomeError, RenewcastError
from features.utils.private_files import make_folder
from models.home import Home
from serving.common.errors import StoreDown
from serving.store.encryption import OPTION, VARIABLE, Cipher
from serving.store.engines import READ_ONLY_OPTION, TIMEOUT_SECONDS, create_store_engine, is_read_only
from serving.store.schema_revision import SCHEMA_VERSION
from serving.store.schema_version import has_every_column, schema_version, upgrade_schema
from serving.store.tables import counters

T = TypeVar("T")

#: How long (seconds) the first transaction waits for other threads and processes that open the store.
OPENING_SECONDS = 2 * TIMEOUT_SECONDS
#: How many values that `Store.read_cached` read stay in memory.
CACHED_VALUES = 256
#: The PostgreSQL advisory lock for upgrading the schema.
_MIGRATING = 7_032_026
#: The PostgreSQL advisory lock for publishing a batch.
_PUBLISHING = 7_032_027


class Store:
    """One store. Safe to use from many threads and processes.

    Parameters
    ----------
    address : SQLAlchemy URL: ``sqlite:///path`` or ``postgresql://…``.
    key_folder : folder of the key file; by default that of the SQLite file. See `serving.store.encryption`.

    Notes
    -----
    The first transaction opens the store and upgrades its schema.

    A process that has a SQLite store open must not open its files in another way, for example to copy them: closing
    such a file releases all locks that SQLite holds on it (sqlite.org/howtocorrupt.html, 2.2).
    """

    def __init__(self, address: str | URL, key_folder: Path | None = None) -> None:
        engine = create_store_engine(address)
        file = engine.url.database if engine.dialect.name == "sqlite" else None
        self.cipher = Cipher(key_folder or (Path(file).parent if file else None), os.environ.get(VARIABLE))
        self._engine = engine.execution_options(**{OPTION: self.cipher})
        self._ready = False
        self._connect_error: str | None = None
        self._schema_error: str | None = None
        self._query_error: str | None = None
        self._opening, self._watching, self._reconnecting = threading.Lock(), threading.Lock(), threading.Lock()
        self._caching = threading.Lock()
        self._watch: tuple[int, sqlite3.Connection] | None = None
        self._values = LRUCache[Hashable, Any](CACHED_VALUES)

    @classmethod
    def of(cls, home: Home, address: str | None = None) -> Store:
        """Return the store of a home.

        Parameters
        ----------
        home : the home.
        address : the address of a database; by default the SQLite file of the home.

        Returns
        -------
        Store

        Raises
        ------
        BadRequest : the address is not that of a supported database.
        """
        # A URL object, since the path of a home may contain characters with a meaning in URLs.
        return cls(address or URL.create("sqlite", database=str(home.store_file)), home.root)

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return str(self._engine.dialect.name)

    @property
    def error(self) -> str | None:
        """Why the last attempt to use the store failed, as text; None if it succeeded.

        An incomplete schema remains an error while other transactions succeed, because they use other tables.
        """
        return self._connect_error or self._schema_error or self._query_error

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Begin a transaction. It is rolled back if the block raises an exception.

        Raises
        ------
        StoreDown : the store cannot be reached, or is busy for longer than `TIMEOUT_SECONDS`.
        HomeError : its schema is newer than this release supports.
        """
        with self._reached() as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a read-only transaction. It does not wait for writers, and reads one consistent state.

        Raises
        ------
        StoreDown, HomeError : as `begin`.
        """
        with self._reached() as opened:
            connection = opened.execution_options(**{READ_ONLY_OPTION: True})
            with connection.begin():
                yield connection

    @contextmanager
    def _reached(self) -> Iterator[Connection]:
        try:
            with self._connect() as connection:
                yield connection
                if self._schema_error is not None:
                    self._check_schema(connection)
            self._query_error = None
        except StoreDown as error:
            # A stored value was not written by Renewcast.
            self._query_error = error.found
            raise
        except DBAPIError as error:
            down = store_error(error)
            if down is None:
                raise
            if down.found == _OTHER[0]:
                self._schema_error = down.found
            else:
                self._query_error = down.found
            if self.kind == "sqlite" and down.found != _BUSY[0]:
                # The next connection checks again whether the file can be written.
                self._engine.dispose()
            raise down from error
        except PoolTimeout as error:
            raise _down() from error

    def _connect(self) -> Connection:
        if self._connect_error is None or self.kind == "sqlite":
            return self._open_connection()
        # While a server cannot be reached, only one thread tries to connect. If a network drops packets, each attempt
        # takes the whole timeout, and attempts by all threads would block every request.
        if not self._reconnecting.acquire(blocking=False):
            raise _down()
        try:
            return self._open_connection()
        finally:
            self._reconnecting.release()

    def _open_connection(self) -> Connection:
        try:
            self._open()
            connection = self._engine.connect()
        except PoolTimeout:
            raise
        except (SQLAlchemyError, RenewcastError) as error:
            down = store_error(error) if isinstance(error, DBAPIError) else error
            self._connect_error = (down if isinstance(down, RenewcastError) else _down()).found
            raise
        self._connect_error = None
        return connection

    def version(self) -> tuple[int, int] | None:
        """Return a value that changes with every change of the store, without blocking.

        Returns
        -------
        tuple or None
            None if the version is not available (PostgreSQL, or a file that cannot be read now).
        """
        path = self._engine.url.database if self.kind == "sqlite" and self._ready else None
        if not path or not self._watching.acquire(blocking=False):
            return None
        try:
            # A file that replaced the previous one is another store.
            inode = os.stat(path).st_ino
            if self._watch is None or self._watch[0] != inode:
                self._unwatch()
                watch = sqlite3.connect(path, timeout=0, check_same_thread=False)
                self._watch = inode, watch
            return inode, int(self._watch[1].execute("PRAGMA data_version").fetchone()[0])
        except (OSError, sqlite3.Error):
            return None
        finally:
            self._watching.release()

    def read_cached(self, key: Hashable, read: Callable[[Connection], T]) -> T:
        """Return a value from the store, read once until any process changes the store.

        Parameters
        ----------
        key : identifies the value.
        read : reads it. The value must not be modified.

        Returns
        -------
        T
            The value. It is read each time if changes cannot be detected (see `version`).

        Raises
        ------
        StoreDown, HomeError : as `begin`.
        """
        # Read before the value, so that a change in between refreshes the next result.
        changed = self.version()
        if changed is not None:
            with self._caching:
                if (changed, key) in self._values:
                    cached: T = self._values[changed, key]
                    return cached
        with self.read() as connection:
            value = read(connection)
        if changed is not None:
            with self._caching:
                self._values[changed, key] = value
        return value

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch[1].close()
            self._watch = None

    def upgrade(self) -> None:
        """Upgrade the schema, which the first transaction also does."""
        self._open()

    def compact(self) -> bool:
        """Rewrite a SQLite file, so that nothing of deleted rows remains in it. PostgreSQL does so by itself.

        Returns
        -------
        bool
            False if another process uses the file, so that deleted rows can still be read in it.
        """
        if self.kind != "sqlite":
            return True
        self.close()
        return self._rewrite()

    def close(self) -> None:
        """Close all connections."""
        with self._watching:
            self._unwatch()
        self._engine.dispose()

    def _open(self) -> None:
        if self._ready:
            return
        until = time.monotonic() + OPENING_SECONDS
        if not self._opening.acquire(timeout=OPENING_SECONDS):
            raise _down()
        try:
            self._open_once(until)
        finally:
            self._opening.release()

    def _open_once(self, until: float) -> None:
        """Open the store, unless another thread did while this one waited for it."""
        if self._ready:
            return
        if self.kind == "sqlite" and self._engine.url.database:
            _make_folder(Path(self._engine.url.database).parent)
        if self._is_read_only():
            with self._engine.connect() as opened:
                self._check_schema_version(opened)
                self._check_schema(opened)
            self._ready = True
            return
        changed = self._upgrade_schema(until)
        if changed and self.kind == "sqlite":
            self._vacuum()
        with self._engine.connect() as connection:
            self._check_schema(connection)
        self._ready = True

    def _upgrade_schema(self, until: float) -> bool:
        """Upgrade the schema. Return whether the store had an older one.

        If another process upgrades the file of SQLite, wait for it until an instant (monotonic seconds).
        """
        while True:
            try:
                with self._engine.begin() as connection:
                    if self.kind == "postgresql":
                        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {OPENING_SECONDS * 1000}")
                        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
                        # A migration has no time limit.
                        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                    return upgrade_schema(connection)
            except DBAPIError as error:
                down = store_error(error)
                if down is None or down.found != _BUSY[0] or time.monotonic() > until:
                    raise

    def _vacuum(self) -> None:
        """Remove plain text of an older schema from the file."""
        # If another process has a lock, or the disk is full, later changes of these pages overwrite the text.
        self._rewrite()

    def _rewrite(self) -> bool:
        """Rewrite the SQLite file and empty its write-ahead log. Return whether that was possible."""
        file = self._engine.url.database or ""
        try:
            with closing(sqlite3.connect(file, TIMEOUT_SECONDS, isolation_level=None)) as raw:
                raw.execute("VACUUM")
                busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not busy
        except sqlite3.Error:
            return False

    def _is_read_only(self) -> bool:
        path = self._engine.url.database if self.kind == "sqlite" else None
        return bool(path) and is_read_only(Path(path or ""))

    def _check_schema(self, connection: Connection) -> None:
        """Record whether parts of the schema are missing, so that the error does not depend on the last query."""
        reading = connection.execution_options(**{READ_ONLY_OPTION: True})
        with reading.begin():
            self._schema_error = None if has_every_column(reading) else _OTHER[0]

    def _check_schema_version(self, connection: Connection) -> None:
        """Check the schema version of a file that cannot be written, and so cannot be upgraded."""
        reading = connection.execution_options(**{READ_ONLY_OPTION: True})
        with reading.begin():
            version = schema_version(reading)
        if version != SCHEMA_VERSION:
            raise StoreDown(
                f"the store has schema version {version or 'none'} and cannot be upgraded: the file is read-only",
                f"schema version {SCHEMA_VERSION}, or a writable file",
                "make the store's file and folder writable for the upgrade",
            )


def next_sequence(connection: Connection, name: str, many: int = 1) -> int:
    """Reserve consecutive numbers.

    No other transaction gets these numbers. Others wait until this transaction ends.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    name : the name of the sequence.
    many : how many numbers.

    Returns
    -------
    int
        The first of them, 1 or above.
    """
    # Imported here, since the dialect of PostgreSQL takes a while to import, and few stores use it.
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    connection.execute(dialect.insert(counters).values(name=name, last=0).on_conflict_do_nothing())
    has_name = counters.c.name == name
    connection.execute(counters.update().where(has_name).values(last=counters.c.last + many))
    last: int = connection.execute(select(counters.c.last).where(has_name)).scalar_one()
    return last - many + 1


def lock_publishing(connection: Connection) -> None:
    """Wait, without a time limit, until no other transaction holds the lock for publishing, and take it.

    SQLite needs no such lock, since its write transactions run one at a time.
    """
    if connection.dialect.name == "postgresql":
        for limit in ("lock_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PUBLISHING})")
        for limit in ("lock_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} TO DEFAULT")


_DOWN = "the store cannot be reached", "a store that responds", "try again later"
_BUSY = "the store is busy", "no other process that locks it for several seconds", "try again later"
_DAMAGED = (
    "the store is damaged",
    "a file written by Renewcast",
    "restore a backup; or move the file away and start over without its keys, records and webhooks",
)
_OTHER = (
    "the store belongs to another program, or parts of its schema are missing",
    f"a database with schema version {SCHEMA_VERSION} that Renewcast created",
    "restore a backup, or use a separate database",
)


def _down() -> StoreDown:
    return StoreDown(*_DOWN)


#: Error texts (found, expected, cure) by SQLite result code (sqlite.org/rescode.html).
_SQLITE: Mapping[int, tuple[str, str, str]] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_READONLY: (
        "the store cannot be written",
        "a writable file and folder",
        "check permissions, and whether the disk is read-only",
    ),
    sqlite3.SQLITE_FULL: ("the store's disk is full", "free disk space", "free some disk space"),
    sqlite3.SQLITE_IOERR: (
        "the store's disk has failed or is full",
        "a working disk with free space",
        "check the disk",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the store's file cannot be opened",
        "a readable and writable file and folder",
        "check permissions, and whether the disk is read-only",
    ),
    sqlite3.SQLITE_ERROR: _OTHER,
}
#: Error texts by the name of the psycopg exception class (SQLSTATE); None means `_DOWN`.
_POSTGRES: Mapping[str, tuple[str, str, str] | None] = {
    **dict.fromkeys(("LockNotAvailable", "AdminShutdown", "CannotConnectNow", "QueryCanceled", "CrashShutdown")),
    "ReadOnlySqlTransaction": ("the store cannot be written", "a server that accepts writes", "use the primary server"),
    "DiskFull": ("the store's disk is full", "free disk space", "free some disk space"),
    **dict.fromkeys(("UndefinedTable", "UndefinedColumn", "DuplicateTable", "DataCorrupted", "IndexCorrupted"), _OTHER),
    "InsufficientPrivilege": (
        "the store's user lacks permissions",
        "a user that owns the tables",
        "grant the permissions",
    ),
}


def store_error(error: DBAPIError) -> StoreDown | None:
    """Return the error to report for a failure of the database, or None if a statement was wrong.

    The message of the database is left out, since it can repeat addresses and values.
    """
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        texts = _SQLITE.get(code & 0xFF)
        if texts is not None and isinstance(error, DatabaseError):
            return StoreDown(*texts)
    name = type(error.orig).__name__
    if name in _POSTGRES:
        return StoreDown(*(_POSTGRES[name] or _DOWN))
    outage = error.connection_invalidated or type(error).__name__ == "OperationalError"
    return _down() if outage else None


def _make_folder(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise HomeError(f"cannot create the folder of the store ({error.strerror})", "a writable folder") from error
