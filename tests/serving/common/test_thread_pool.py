"""The thread pool is limited, and an abandoned job is interrupted."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serving.common.errors import Busy
from serving.common.thread_pool import ThreadPool


class _Job:
    """Works until stopped."""

    def __init__(self) -> None:
        self.started, self.ended = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.started.set()
        assert self.ended.wait(5)
        return "done"

    def interrupt(self) -> None:
        self.ended.set()


def test_a_job_without_a_free_place_is_refused_immediately() -> None:
    async def scene() -> list[str]:
        workers, jobs = ThreadPool(1, 1), [_Job(), _Job(), _Job()]
        running = [asyncio.create_task(workers.run(job, job)) for job in jobs[:2]]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await workers.run(jobs[2], jobs[2])
        for job in jobs:
            job.interrupt()
        answers = [await task for task in running]
        answers.append(await workers.run(jobs[2], jobs[2]))
        workers.close()
        return answers

    assert asyncio.run(scene()) == ["done"] * 3


def test_a_cancelled_job_is_interrupted_and_frees_its_place_when_it_ends() -> None:
    async def scene() -> None:
        workers, job = ThreadPool(1, 0), _Job()
        task = asyncio.create_task(workers.run(job, job))
        await asyncio.to_thread(job.started.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert job.ended.is_set()
        for _ in range(100):
            try:
                assert await workers.run(lambda: "free again", job) == "free again"
                break
            except Busy:
                await asyncio.sleep(0.01)
        else:
            pytest.fail("the place was never freed")
        workers.close()

    asyncio.run(scene())
