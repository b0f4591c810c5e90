"""A bounded pool of threads for the work that one request asks for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from serving.common.errors import Busy

T = TypeVar("T")


class Interruptible(Protocol):
    """Something that a thread is working on and another may want to end."""

    def interrupt(self) -> None:
        """End the work soon; it then fails in its own thread."""


class ThreadPool:
    """At most ``workers`` jobs at once and ``waiting`` more in line; whoever comes then is sent away at once."""

    def __init__(self, workers: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="signals")
        self._places = threading.Semaphore(workers + waiting)

    async def run(self, work: Callable[[], T], job: Interruptible) -> T:
        """The result of ``work()`` in a thread. If the caller is cancelled, ``job`` is interrupted; its place is free
        again only once the thread has ended.

        Raises
        ------
        Busy : every place is taken.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("as many requests with signals as the service takes are being worked on", cure="try again later")
        future = self._pool.submit(work)
        future.add_done_callback(self._free)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            job.interrupt()
            raise

    def close(self) -> None:
        """Take no more work, drop what waits, and let what runs come to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _free(self, _done: Any) -> None:
        self._places.release()
