"""The operational store: a SQLite file in the home, or PostgreSQL by address; brought to the newest layout on opening.

SQLite runs in WAL mode with full synchronisation: what a transaction has committed survives the end of the process and
of the machine's power. Each transaction that writes takes its lock at the start, so none fails halfway for another's.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from features.errors import BadRequest, HomeError, RenewcastError
from features.private import make_folder
from models.home import Home
from serving.errors import StoreDown
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

    Nothing is opened before the first transaction, which also brings the layout up to date.

    A process that has a SQLite store open must not open its files in another way (to copy them, say): closing one
    drops every lock that SQLite holds on it (sqlite.org/howtocorrupt.html, 2.2).
    """

    def __init__(self, address: str) -> None:
        self._engine = _engine(address)
        self._ready = False
        self._trouble: str | None = None
        self._opening, self._watching, self._trying = threading.Lock(), threading.Lock(), threading.Lock()
        self._watch: tuple[int, sqlite3.Connection] | None = None

    @classmethod
    def of(cls, home: Home, address: str | None = None) -> Store:
        """The store at ``address``; the home's own SQLite file if None.

        Raises
        ------
        BadRequest : the address is none of a store that is supported.
        """
        return cls(address or f"sqlite:///{home.root.absolute() / 'store.sqlite'}")

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return str(self._engine.dialect.name)

    @property
    def trouble(self) -> str | None:
        """Why the store could not be reached when that was last tried, in words; None if it could."""
        return self._trouble

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
        except DBAPIError as error:
            if not error.connection_invalidated and not _is_outage(error):
                raise
            raise _down() from error
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
            self._trouble = (error if isinstance(error, RenewcastError) else _down()).found
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
            with self._engine.begin() as connection:
                if self.kind == "postgresql":
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
                    # A new layout may take as long as it does.
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                _upgrade(connection)
            self._ready = True
        finally:
            self._opening.release()


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


def _engine(address: str) -> Engine:
    try:
        url = make_url(address)
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"timeout": PATIENCE}, pool_timeout=PATIENCE)
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


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # pysqlite would begin transactions by itself, later than asked for.
    connection.isolation_level = None
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


def _down() -> StoreDown:
    return StoreDown("the store cannot be reached", "a store that answers", "try again later")


def _is_outage(error: DBAPIError) -> bool:
    """Whether the database could not be reached or used, rather than that a statement was wrong."""
    name = type(error).__name__
    if name == "OperationalError":
        return True
    # psycopg tells a lock that was waited for too long, and a server that is going down, in classes of their own.
    return type(error.orig).__name__ in {"LockNotAvailable", "AdminShutdown", "CannotConnectNow", "QueryCanceled"}


def _make_folder(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise HomeError(f"cannot make the folder of the store ({error.strerror})", "a place to write to") from error


def _upgrade(connection: Connection) -> None:
    if _layout(connection) == LAYOUT:
        return
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


def _layout(connection: Connection) -> str | None:
    """The store's layout as Alembic notes it; None for an empty store."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found
