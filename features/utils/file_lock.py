"""One at a time, over all processes of this machine: a lock file, held while something is read, changed and written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from features.errors import HomeError
from features.utils.private_files import make_folder

WAIT_SECONDS = 600.0
"""What is done under a lock takes seconds; whoever waits longer waits for a process that hangs."""


@contextmanager
def alone(lock: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Wait until no one else is in a block of this lock, and keep others waiting until the block ends.

    The system lets go of the lock when its process ends, however it ends; the empty file stays. A block within a block
    of the same lock waits in vain.

    Raises
    ------
    HomeError : the place cannot be written, or another process has held the lock for ``wait_seconds``.
    """
    try:
        make_folder(lock.parent)
        # Not a singleton: threads of one process wait for each other too.
        holder = FileLock(lock, timeout=wait_seconds, mode=0o600, thread_local=False)
        holder.acquire()
    except Timeout:
        raise HomeError(
            f"another process has held {lock} for {wait_seconds:g} seconds",
            "a home that one command changes at a time",
            "wait for the other command, or end it",
        ) from None
    except (OSError, NotImplementedError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise HomeError(f"cannot write {lock.parent}: {reason}", "a home that can be written") from error
    try:
        yield
    finally:
        holder.release()
