"""One at a time, over all processes of this machine: a lock file, held while something is read, changed and written."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.errors import HomeError


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until nobody else is in a block of this lock, and keep others waiting until the block ends.

    The system lets go of the lock when its process ends, however it ends; the empty file stays. A block within a block
    of the same lock waits for ever.

    Raises
    ------
    HomeError : the place cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise HomeError(f"cannot write {lock.parent}: {error.strerror}", "a home that can be written") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
