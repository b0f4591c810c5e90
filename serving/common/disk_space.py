"""Whether the home can be written: a full or read-only disk is reported before a job or a sign-off fails on it."""

from __future__ import annotations

import errno
import os
import threading
import time
import uuid
from collections.abc import Callable

from models.home import Home

#: With less room (bytes) the disk counts as full: a snapshot or a review would not fit.
MIN_FREE_BYTES = 16 * 2**20
#: So long (seconds) an answer holds.
CHECK_SECONDS = 10.0
NOT_WRITABLE = "RENEWCAST_HOME cannot be written"
FULL = "the disk of RENEWCAST_HOME is full"


class Disk:
    """The disk of one home; safe to use from many threads.

    Parameters
    ----------
    home : where it is.
    clock : seconds, never falling.
    """

    def __init__(self, home: Home, clock: Callable[[], float] = time.monotonic) -> None:
        self._root, self._clock = home.root, clock
        self._lock = threading.Lock()
        self._checked: tuple[float, str | None] | None = None

    def write_error(self) -> str | None:
        """Why the home cannot be written, in words; None if it can. Looked at anew after `CHECK_SECONDS`."""
        with self._lock:
            now = self._clock()
            if self._checked is None or now - self._checked[0] >= CHECK_SECONDS:
                self._checked = now, self._look()
            return self._checked[1]

    def _look(self) -> str | None:
        try:
            if hasattr(os, "statvfs"):
                facts = os.statvfs(self._root)
                if (room := facts.f_bavail * facts.f_frsize) < MIN_FREE_BYTES:
                    return f"{FULL}: {room // 2**20} MiB are free"
                # Some file systems count no files.
                if facts.f_files and not facts.f_favail:
                    return f"{FULL}: it takes no more files"
            self._try()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return f"{FULL}: {error.strerror}"
            return f"{NOT_WRITABLE}: {error.strerror}"
        return None

    def _try(self) -> None:
        trial = self._root / f".writable-{uuid.uuid4().hex}"
        handle = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, b"x")
        finally:
            os.close(handle)
            os.unlink(trial)
