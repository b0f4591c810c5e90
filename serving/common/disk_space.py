"""Check that the home can be written, so that a full or read-only disk is reported before a job or a sign-off fails."""

from __future__ import annotations

import errno
import os
import threading
import time
import uuid
from collections.abc import Callable

from models.home import Home

#: With less free space (bytes) the disk counts as full: a snapshot or a review would not fit.
MIN_FREE_BYTES = 16 * 2**20
#: How long (seconds) a result is reused.
CHECK_SECONDS = 10.0
NOT_WRITABLE = "RENEWCAST_HOME cannot be written"
FULL = "the disk of RENEWCAST_HOME is full"


class Disk:
    """The disk of one home; safe to use from many threads.

    Parameters
    ----------
    home : the home on that disk.
    clock : monotonic seconds.
    """

    def __init__(self, home: Home, clock: Callable[[], float] = time.monotonic) -> None:
        self._root, self._clock = home.root, clock
        self._lock = threading.Lock()
        self._checked: tuple[float, str | None] | None = None

    def write_error(self) -> str | None:
        """Return why the home cannot be written, or None if it can. The result is reused for `CHECK_SECONDS`."""
        with self._lock:
            now = self._clock()
            if self._checked is None or now - self._checked[0] >= CHECK_SECONDS:
                self._checked = now, self._check()
            return self._checked[1]

    def _check(self) -> str | None:
        try:
            if hasattr(os, "statvfs"):
                usage = os.statvfs(self._root)
                if (free := usage.f_bavail * usage.f_frsize) < MIN_FREE_BYTES:
                    return f"{FULL}: {free // 2**20} MiB are free"
                # Some file systems do not count files.
                if usage.f_files and not usage.f_favail:
                    return f"{FULL}: no more files can be created"
            self._write_test_file()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return f"{FULL}: {error.strerror}"
            return f"{NOT_WRITABLE}: {error.strerror}"
        return None

    def _write_test_file(self) -> None:
        file = self._root / f".writable-{uuid.uuid4().hex}"
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, b"x")
        finally:
            os.close(handle)
            os.unlink(file)
