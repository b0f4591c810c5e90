"""A bounded thread pool for work that a request starts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from serving.common.errors import Busy

T = TypeVar("T")


class Interruptible(Protocol):
    """A job that another thread can interrupt."""

    def interrupt(self) -> None:
        """Make the job fail soon, in its own thread."""


class ThreadPool:
    """At most ``workers`` running and ``waiting`` queued jobs; further ones are refused immediately."""

    def __init__(self, workers: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="signals")
        self._places = threading.Semaphore(workers + waiting)

    async def run(self, work: Callable[[], T], job: Interruptible) -> T:
        """Run a function in a thread.

        If the caller is cancelled, the job is interrupted. Its place becomes free only when the thread has ended.

        Parameters
        ----------
        work : the function.
        job : what is interrupted.

        Returns
        -------
        T
            The result of the function.

        Raises
        ------
        Busy : all workers and all places in the queue are taken.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("the limit of concurrent requests with signals is reached", cure="try again later")
        future = self._pool.submit(work)
        future.add_done_callback(self._free)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            job.interrupt()
            raise

    def close(self) -> None:
        """Accept no more work, drop queued jobs, and let running jobs finish."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _free(self, _done: Any) -> None:
        self._places.release()
