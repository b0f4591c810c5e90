"""A thread that does what there is to do, looks again every so often or when it is woken, until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from serving.common.errors import StoreDown
from serving.common.json_logs import error_location, log_event

#: Seconds until it is tried again after a failure.
RETRY_SECONDS = 10.0


class BackgroundThread:
    """Work beside the requests.

    Parameters
    ----------
    name : of the thread; failures are logged as ``<name>_failed``.
    work : does a part of the work; whether there may be more at once.
    every_seconds : how often it looks where there was nothing to do.
    """

    def __init__(self, name: str, work: Callable[[], object], every_seconds: float) -> None:
        self._name, self._work, self._every = name, work, every_seconds
        self._woken, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    def stop(self, patience: float) -> None:
        """End after what is under way, or after ``patience`` seconds; another then begins it anew."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._stopped.is_set():
            wait = self._every
            try:
                if self._work():
                    continue
            except StoreDown:
                # Every request that needs the store says so already.
                wait = RETRY_SECONDS
            except Exception as error:  # noqa: BLE001 the next time may do better
                log_event(f"{self._name}_failed", logging.ERROR, **error_location(error))
                wait = RETRY_SECONDS
            self._woken.wait(wait)
            self._woken.clear()
