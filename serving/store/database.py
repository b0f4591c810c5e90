"""The operational store: a SQLite file in the home, or PostgreSQL by address; brought to the newest layout on opening.

A SQLite file that cannot be written (a read-only disk or folder) is opened to be read: what writes is refused then.

SQLite runs in WAL mode with full synchronisation: what a transaction has committed survives the end of the process and
of the machine's power. Each transaction that writes takes its lock at the start, so none fails halfway for another's.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from features.errors import BadRequest, HomeError, RenewcastError
from features.private import make_folder
from models.home import Home
from serving.errors import StoreDown
from serving.store.encryption import OPTION, VARIABLE, Cipher
from serving.store.tables import LAYOUT, counters

#: How long (seconds) a transaction waits for another's lock, for a connection, and for a server that is silent.
PATIENCE = 5
#: How long (seconds) PostgreSQL works on one statement at most.
STATEMENT_SECONDS = 60
_SCRIPTS = Path(__file__).parent / "migrations"
#: A number of ours among PostgreSQL's advisory locks: whoever changes the layout holds it.
_MIGRATING = 7_032_026
#: Another: whoever publishes a batch holds it.
_PUBLISHING = 7_032_027
_LOOKING = "renewcast_looking"


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
        engine = _engine(address)
        file = engine.url.database if engine.dialect.name == "sqlite" else None
        self.cipher = Cipher(key_folder or (Path(file).parent if file else None), os.environ.get(VARIABLE))
        self._engine = engine.execution_options(**{OPTION: self.cipher})
        self._ready = False
        self._trouble: str | None = None
        self._fault: str | None = None
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
    def trouble(self) -> str | None:
        """Why the store could not be reached or used when that was last tried, in words; None if it could."""
        return self._trouble or self._fault

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: all of the block or, where it raises, nothing.

        Raises
        ------
        StoreDown : the store cannot be reached, or is busy for longer than `PATIENCE`.
        HomeError : its layout is newer than this program knows.
        """
        with self._reached() as connection, connection.begin():
            yield connection

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """A transaction that only reads: it waits for nobody who writes, and sees one moment.

        Raises
        ------
        StoreDown, HomeError : as `begin`.
        """
        with self._reached() as opened:
            connection = opened.execution_options(**{_LOOKING: True})
            with connection.begin():
                yield connection

    @contextmanager
    def _reached(self) -> Iterator[Connection]:
        try:
            with self._connect() as connection:
                yield connection
            self._fault = None
        except StoreDown as error:
            # What was read is none of ours.
            self._fault = error.found
            raise
        except DBAPIError as error:
            down = reason_of(error)
            if down is None:
                raise
            self._fault = down.found
            if self.kind == "sqlite" and down.found != _BUSY[0]:
                # What is opened next looks anew at whether the file can be written.
                self._engine.dispose()
            raise down from error
        except PoolTimeout as error:
            raise _down() from error

    def _connect(self) -> Connection:
        if self._trouble is None or self.kind == "sqlite":
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
            down = reason_of(error) if isinstance(error, DBAPIError) else error
            self._trouble = (down if isinstance(down, RenewcastError) else _down()).found
            raise
        self._trouble = None
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
        if not self._opening.acquire(timeout=2 * PATIENCE):
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
                changed = _upgrade(connection)
            if changed and self.kind == "sqlite":
                self._clear_away()
            self._ready = True
        finally:
            self._opening.release()

    def _clear_away(self) -> None:
        """Leave nothing in the files of what an older layout held in clear."""
        file = self._engine.url.database
        # Where another process holds it, or there is no room, the next change of the pages overwrites what is left.
        with suppress(sqlite3.Error), closing(sqlite3.connect(file or "", PATIENCE, isolation_level=None)) as raw:
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _is_read_only(self) -> bool:
        path = self._engine.url.database if self.kind == "sqlite" else None
        return bool(path) and is_read_only(Path(path or ""))

    def _check_layout(self) -> None:
        """Of a file that cannot be written, and so not be brought up to date either."""
        with self._engine.connect() as opened:
            connection = opened.execution_options(**{_LOOKING: True})
            with connection.begin():
                now = _layout(connection)
        if now != LAYOUT:
            raise StoreDown(
                f"the store's layout is {now or 'none'} and the file cannot be written",
                f"{LAYOUT}, or a file that can be written and so be brought up to date",
                "make the store's file and folder writable once",
            )


def next_number(connection: Connection, name: str, many: int = 1) -> int:
    """The first of ``many`` numbers, 1 or above, that no other transaction is given; held until this one ends."""
    # Only here: PostgreSQL's own takes a while to import, and few stores are of it.
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    connection.execute(dialect.insert(counters).values(name=name, last=0).on_conflict_do_nothing())
    there = counters.c.name == name
    connection.execute(counters.update().where(there).values(last=counters.c.last + many))
    last: int = connection.execute(select(counters.c.last).where(there)).scalar_one()
    return last - many + 1


def one_after_another(connection: Connection) -> None:
    """Let this transaction go on when no other is beyond the same point, however long one of them takes.

    SQLite's transactions that write are one at a time from their beginning.
    """
    if connection.dialect.name == "postgresql":
        for limit in ("lock_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PUBLISHING})")
        for limit in ("lock_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} TO DEFAULT")


def _engine(address: str | URL) -> Engine:
    try:
        url = make_url(address)
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"timeout": PATIENCE}, pool_timeout=PATIENCE)
            event.listen(engine, "do_connect", _open_read_only)
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _lock_sqlite)
            return engine
        if url.get_backend_name() == "postgresql":
            driver = url.set(drivername="postgresql+psycopg")
            return create_engine(driver, pool_pre_ping=True, pool_timeout=PATIENCE, connect_args=_bounds(url))
    except (ArgumentError, ImportError, SQLAlchemyError):
        # The reason is left out: it can repeat the address, which may hold a password.
        pass
    raise BadRequest(
        "RENEWCAST_STORE is not the address of a store",
        "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE",
        "mend the address; PostgreSQL needs the extra renewcast[postgres]",
    ) from None


def _bounds(url: URL) -> dict[str, Any]:
    """What keeps anybody from waiting for a PostgreSQL that answers nothing: neither a refusal nor a word more."""
    given = url.query.get("options", ())
    options = [given] if isinstance(given, str) else list(given)
    options += [f"-c lock_timeout={PATIENCE * 1000}", f"-c statement_timeout={STATEMENT_SECONDS * 1000}"]
    # A silent connection is asked for a sign of life after as long as one is waited for, three times within as long.
    alive = {"keepalives": 1, "keepalives_idle": PATIENCE, "keepalives_interval": 2, "keepalives_count": 3}
    return {
        "connect_timeout": PATIENCE,
        "tcp_user_timeout": PATIENCE * 1000,
        **alive,
        "options": " ".join(options),
    }


def is_read_only(file: Path) -> bool:
    """Whether a SQLite file is there and cannot be written, or nothing beside it, which SQLite has to."""
    return file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def _open_read_only(_dialect: Any, _record: Any, given: list[Any], _more: dict[str, Any]) -> sqlite3.Connection | None:
    """A connection to a file that cannot be written; None for any other, which is opened as usual."""
    file = Path(given[0]) if given and given[0] not in ("", ":memory:") else None
    if file is None or not is_read_only(file):
        return None
    # Without its log, nobody has the file open to write, and nobody can: no locks are needed, nor possible.
    alone = "" if Path(f"{file}-wal").exists() else "&immutable=1"
    address = f"file:{quote(str(file.absolute()))}?mode=ro{alone}"
    connection = sqlite3.connect(address, timeout=PATIENCE, uri=True, check_same_thread=False)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # pysqlite would begin transactions by itself, later than asked for.
    connection.isolation_level = None
    if connection.execute("PRAGMA query_only").fetchone()[0]:
        return
    _write_ahead(connection)
    for setting in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _write_ahead(connection: Any) -> None:
    # SQLite does not wait by itself where several turn a new file to write-ahead at once; once it is, there is none.
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _lock_sqlite(connection: Connection) -> None:
    looking = connection.get_execution_options().get(_LOOKING)
    connection.exec_driver_sql("BEGIN" if looking else "BEGIN IMMEDIATE")


_DOWN = "the store cannot be reached", "a store that answers", "try again later"
_BUSY = "the store is busy", "no other process that holds it for seconds", "try again later"
_DAMAGED = (
    "the store is damaged",
    "a file as Renewcast has written it",
    "put a backup in its place; or move the file away, which loses keys, records and webhooks",
)
_OTHER = (
    "the store is another program's, or lacks parts of its layout",
    f"a database of layout {LAYOUT} that Renewcast has made",
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


def reason_of(error: DBAPIError) -> StoreDown | None:
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


def _upgrade(connection: Connection) -> bool:
    """Bring the layout up to date; whether an older one was there."""
    if _layout(connection) == LAYOUT:
        return False
    # Only here, since a store is hardly ever of an older layout, and Alembic takes a while to import.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = ScriptDirectory.from_config(config)
    now = _layout(connection)
    if now is not None and now not in {script.revision for script in known.walk_revisions()}:
        raise HomeError(
            f"the store's layout is {now}, which this program does not know",
            f"{LAYOUT} or an earlier one",
            "use the newer program that has written it",
        )
    command.upgrade(config, "head")
    return now is not None


def _layout(connection: Connection) -> str | None:
    """The store's layout as Alembic notes it; None for an empty store."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found
