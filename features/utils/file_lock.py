"""Exclusive locks between the processes of one machine, based on lock files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from features.errors import HomeError
from features.utils.private_files import make_folder

WAIT_SECONDS = 600.0
"""Work under a lock takes seconds, so a longer wait means that the other process hangs."""


@contextmanager
def exclusive_lock(lock: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold an exclusive lock while the block runs.

    The operating system releases the lock when the process ends for any reason; the empty file remains. The lock is not
    reentrant: nested blocks of the same lock time out.

    Parameters
    ----------
    lock : the lock file.
    wait_seconds : how long to wait for the lock.

    Raises
    ------
    HomeError : the file cannot be written, or another process has held the lock for ``wait_seconds``.
    """
    holder = _acquired(lock, wait_seconds)
    if holder is None:
        raise HomeError(
            f"another process has held {lock} for {wait_seconds:g} seconds",
            "one command at a time that changes the home",
            "wait for the other command to finish, or stop it",
        )
    try:
        yield
    finally:
        holder.release()


def is_locked(lock: Path) -> bool:
    """Return whether another process holds a lock.

    Parameters
    ----------
    lock : the lock file.

    Raises
    ------
    HomeError : the file cannot be written.
    """
    holder = _acquired(lock, 0.0)
    if holder is None:
        return True
    holder.release()
    return False


def _acquired(lock: Path, wait_seconds: float) -> FileLock | None:
    """Return a lock that is held now; None if another process held it all the time.

    Raises
    ------
    HomeError : the file cannot be written.
    """
    try:
        make_folder(lock.parent)
        # Not a singleton: threads of one process also wait for each other.
        holder = FileLock(lock, timeout=wait_seconds, mode=0o600, thread_local=False)
        holder.acquire()
    except Timeout:
        return None
    except (OSError, NotImplementedError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise HomeError(f"cannot write {lock.parent}: {reason}", "a writable home") from error
    return holder
