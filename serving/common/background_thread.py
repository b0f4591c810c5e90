"""A thread that repeats a task at an interval, or when it is woken, until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from serving.common.errors import StoreDown
from serving.common.json_logs import error_location, log_event

#: Seconds to wait after a failure.
RETRY_SECONDS = 10.0


class BackgroundThread:
    """A background task of the service.

    Parameters
    ----------
    name : the thread's name; failures are logged as ``<name>_failed``.
    work : does one part of the work; returns true if there may be more to do now.
    every_seconds : the interval between calls when there is nothing to do.
    """

    def __init__(self, name: str, work: Callable[[], object], every_seconds: float) -> None:
        self._name, self._work, self._every = name, work, every_seconds
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Call ``work`` now instead of after the interval."""
        self._wake.set()

    def stop(self, timeout: float) -> None:
        """Stop after the current call, and wait for it up to ``timeout`` seconds."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            wait = self._every
            try:
                if self._work():
                    continue
            except StoreDown:
                # Every request that needs the store reports this.
                wait = RETRY_SECONDS
            except Exception as error:  # noqa: BLE001 the next call may succeed
                log_event(f"{self._name}_failed", logging.ERROR, **error_location(error))
                wait = RETRY_SECONDS
            self._wake.wait(wait)
            self._wake.clear()
