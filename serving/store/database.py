"""The operational store: a SQLite file in the home, or PostgreSQL by address; brought to the newest layout on opening.

A SQLite file that cannot be written (a read-only disk or folder) is opened to be read: what writes is refused then.

SQLite runs in WAL mode with full synchronisation: what a transaction has committed survives the end of the process and
of the machine's power. Each transaction that writes takes its lock at the start, so none fails halfway for another's.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from pathlib import Path

from sqlalchemy import URL, Connection, select
from sqlalchemy.exc import DatabaseError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from features.errors import HomeError, RenewcastError
from features.utils.private_files import make_folder
from models.home import Home
from serving.common.errors import StoreDown
from serving.store.encryption import OPTION, VARIABLE, Cipher
from serving.store.engines import READ_ONLY_OPTION, TIMEOUT_SECONDS, create_store_engine, is_read_only
from serving.store.schema_version import schema_version, upgrade_schema
from serving.store.tables import SCHEMA_VERSION, counters

#: A number of ours among PostgreSQL's advisory locks: whoever changes the layout holds it.
_MIGRATING = 7_032_026
#: Another: whoever publishes a batch holds it.
_PUBLISHING = 7_032_027


class Store:
    """One store; safe to use from many threads and processes.

    Parameters
    ----------
    address : of SQLAlchemy: ``sqlite:///path`` or ``postgresql://…``.
    key_folder : where the key of secrets is; beside a SQLite file if not given. See `serving.store.encryption`.

    Nothing is opened before the first transaction, which also brings the layout up to date.

    A process that has a SQLite store open must not open its files in another way (to copy them, say): closing one
    drops every lock that SQLite holds on it (sqlite.org/howtocorrupt.html, 2.2).
    """

    def __init__(self, address: str | URL, key_folder: Path | None = None) -> None:
        engine = create_store_engine(address)
        file = engine.url.database if engine.dialect.name == "sqlite" else None
        self.cipher = Cipher(key_folder or (Path(file).parent if file else None), os.environ.get(VARIABLE))
        self._engine = engine.execution_options(**{OPTION: self.cipher})
        self._ready = False
        self._connect_error: str | None = None
        self._query_error: str | None = None
        self._opening, self._watching, self._trying = threading.Lock(), threading.Lock(), threading.Lock()
        self._watch: tuple[int, sqlite3.Connection] | None = None

    @classmethod
    def of(cls, home: Home, address: str | None = None) -> Store:
        """The store at ``address``; the home's own SQLite file if None.

        Raises
        ------
        BadRequest : the address is none of a store that is supported.
        """
        # Not as text, in which a home's name could hold what means something in an address.
        return cls(address or URL.create("sqlite", database=str(cls.file_of(home))), home.root)

    @staticmethod
    def file_of(home: Home) -> Path:
        """The home's own SQLite file, whether it is there or not."""
        return home.root.absolute() / "store.sqlite"

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return str(self._engine.dialect.name)

    @property
    def error(self) -> str | None:
        """Why the store could not be reached or used when that was last tried, in words; None if it could."""
        return self._connect_error or self._query_error

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: all of the block or, where it raises, nothing.

        Raises
        ------
        StoreDown : the store cannot be reached, or is busy for longer than `TIMEOUT_SECONDS`.
        HomeError : its layout is newer than this program knows.
        """
        with self._reached() as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: it waits for nobody who writes, and sees one moment.

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
            self._query_error = None
        except StoreDown as error:
            # What was read is none of ours.
            self._query_error = error.found
            raise
        except DBAPIError as error:
            down = store_error(error)
            if down is None:
                raise
            self._query_error = down.found
            if self.kind == "sqlite" and down.found != _BUSY[0]:
                # What is opened next looks anew at whether the file can be written.
                self._engine.dispose()
            raise down from error
        except PoolTimeout as error:
            raise _down() from error

    def _connect(self) -> Connection:
        if self._connect_error is None or self.kind == "sqlite":
            return self._tried()
        # Of a server that is out of reach, one at a time finds out whether it is back: a network that drops what is
        # sent lets each wait, and all together would take every thread that answers requests.
        if not self._trying.acquire(blocking=False):
            raise _down()
        try:
            return self._tried()
        finally:
            self._trying.release()

    def _tried(self) -> Connection:
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
        """What changes whenever a transaction has changed the store, told without waiting for anyone; None where that
        cannot be told (PostgreSQL, or a file that cannot be read now)."""
        path = self._engine.url.database if self.kind == "sqlite" and self._ready else None
        if not path or not self._watching.acquire(blocking=False):
            return None
        try:
            # A file put in its place is another store.
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

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch[1].close()
            self._watch = None

    def upgrade(self) -> None:
        """Bring the layout up to date; what every first transaction does."""
        self._open()

    def close(self) -> None:
        """Give all connections back."""
        with self._watching:
            self._unwatch()
        self._engine.dispose()

    def _open(self) -> None:
        if self._ready:
            return
        if not self._opening.acquire(timeout=2 * TIMEOUT_SECONDS):
            raise _down()
        # Whoever waited here finds nothing left to do.
        try:
            if self.kind == "sqlite" and self._engine.url.database:
                _make_folder(Path(self._engine.url.database).parent)
            if self._is_read_only():
                self._check_layout()
                self._ready = True
                return
            with self._engine.begin() as connection:
                if self.kind == "postgresql":
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
                    # A new layout may take as long as it does.
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                changed = upgrade_schema(connection)
            if changed and self.kind == "sqlite":
                self._clear_away()
            self._ready = True
        finally:
            self._opening.release()

    def _clear_away(self) -> None:
        """Leave nothing in the files of what an older layout held in clear."""
        file = self._engine.url.database
        # Where another process holds it, or there is no room, the next change of the pages overwrites what is left.
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(file or "", TIMEOUT_SECONDS, isolation_level=None)) as raw,
        ):
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _is_read_only(self) -> bool:
        path = self._engine.url.database if self.kind == "sqlite" else None
        return bool(path) and is_read_only(Path(path or ""))

    def _check_layout(self) -> None:
        """Of a file that cannot be written, and so not be brought up to date either."""
        with self._engine.connect() as opened:
            connection = opened.execution_options(**{READ_ONLY_OPTION: True})
            with connection.begin():
                now = schema_version(connection)
        if now != SCHEMA_VERSION:
            raise StoreDown(
                f"the store's layout is {now or 'none'} and the file cannot be written",
                f"{SCHEMA_VERSION}, or a file that can be written and so be brought up to date",
                "make the store's file and folder writable once",
            )


def next_sequence(connection: Connection, name: str, many: int = 1) -> int:
    """The first of ``many`` numbers, 1 or above, that no other transaction is given; held until this one ends."""
    # Only here: PostgreSQL's own takes a while to import, and few stores are of it.
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    connection.execute(dialect.insert(counters).values(name=name, last=0).on_conflict_do_nothing())
    there = counters.c.name == name
    connection.execute(counters.update().where(there).values(last=counters.c.last + many))
    last: int = connection.execute(select(counters.c.last).where(there)).scalar_one()
    return last - many + 1


def lock_publishing(connection: Connection) -> None:
    """Let this transaction go on when no other is beyond the same point, however long one of them takes.

    SQLite's transactions that write are one at a time from their beginning.
    """
    if connection.dialect.name == "postgresql":
        for limit in ("lock_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PUBLISHING})")
        for limit in ("lock_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} TO DEFAULT")


_DOWN = "the store cannot be reached", "a store that answers", "try again later"
_BUSY = "the store is busy", "no other process that holds it for seconds", "try again later"
_DAMAGED = (
    "the store is damaged",
    "a file as Renewcast has written it",
    "put a backup in its place; or move the file away, which loses keys, records and webhooks",
)
_OTHER = (
    "the store is another program's, or lacks parts of its layout",
    f"a database of layout {SCHEMA_VERSION} that Renewcast has made",
    "put a backup in its place, or give it a database of its own",
)


def _down() -> StoreDown:
    return StoreDown(*_DOWN)


#: What SQLite's result codes (sqlite.org/rescode.html) mean to whoever runs the service: found, expected, cure.
_SQLITE: Mapping[int, tuple[str, str, str]] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_READONLY: (
        "the store cannot be written",
        "a file and a folder that may be written",
        "check permissions, and whether the disk is read-only",
    ),
    sqlite3.SQLITE_FULL: ("the disk of the store is full", "room to write", "free some space"),
    sqlite3.SQLITE_IOERR: ("the disk of the store fails, or is full", "a sound disk with room", "check the disk"),
    sqlite3.SQLITE_CANTOPEN: (
        "the store's file cannot be opened",
        "a file and a folder that may be read and written",
        "check permissions, and whether the disk is read-only",
    ),
    sqlite3.SQLITE_ERROR: _OTHER,
}
#: psycopg's classes (SQLSTATE) for the same.
_POSTGRES: Mapping[str, tuple[str, str, str] | None] = {
    **dict.fromkeys(("LockNotAvailable", "AdminShutdown", "CannotConnectNow", "QueryCanceled", "CrashShutdown")),
    "ReadOnlySqlTransaction": ("the store cannot be written", "a server that takes writes", "use the primary server"),
    "DiskFull": ("the disk of the store is full", "room to write", "free some space"),
    **dict.fromkeys(("UndefinedTable", "UndefinedColumn", "DuplicateTable", "DataCorrupted", "IndexCorrupted"), _OTHER),
    "InsufficientPrivilege": ("the store's user may not do this", "a user that owns the tables", "grant it the rights"),
}


def store_error(error: DBAPIError) -> StoreDown | None:
    """Why the database could not be reached or used, for whoever runs the service; None where a statement was wrong.

    The database's own words are left out, since they can repeat addresses and values.
    """
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        told = _SQLITE.get(code & 0xFF)
        if told is not None and isinstance(error, DatabaseError):
            return StoreDown(*told)
    name = type(error.orig).__name__
    if name in _POSTGRES:
        return StoreDown(*(_POSTGRES[name] or _DOWN))
    outage = error.connection_invalidated or type(error).__name__ == "OperationalError"
    return _down() if outage else None


def _make_folder(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise HomeError(f"cannot make the folder of the store ({error.strerror})", "a place to write to") from error
