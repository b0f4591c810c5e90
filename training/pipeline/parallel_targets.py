"""Train several targets in parallel, one thread per target.

Threads are enough: LightGBM and NumPy release the GIL. The results do not depend on the order of completion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TypeVar

from features.utils.progress import Progress
from models.targets import Target

TargetOutput = TypeVar("TargetOutput")


class _Cancelled(Exception):
    """The remaining work is canceled."""


def run_in_parallel(
    targets: Sequence[Target], work: Callable[[Target, Progress], TargetOutput], progress: Progress, workers: int
) -> dict[Target, TargetOutput]:
    """Run ``work`` for each target.

    Parameters
    ----------
    work : receives a target and a progress callback of its own.
    progress : receives the overall progress, one call at a time. An exception in it cancels all the work, as does an
        interrupt or an error in any target.
    workers : the maximum number of targets at a time.

    Returns
    -------
    dict of str to object
        The result of each target.
    """
    done = dict.fromkeys(targets, 0.0)
    canceled, lock = Event(), Lock()

    def progress_of(target: Target) -> Progress:
        def report(share: float, what: str) -> None:
            if canceled.is_set():
                raise _Cancelled
            with lock:
                done[target] = share
                progress(sum(done.values()) / len(done), what)

        return report

    with ThreadPoolExecutor(min(len(targets), workers)) as pool:
        waiting = {target: pool.submit(work, target, progress_of(target)) for target in targets}
        try:
            finished, _ = wait(waiting.values(), return_when=FIRST_EXCEPTION)
            for one in finished:
                one.result()
            return {target: future.result() for target, future in waiting.items()}
        finally:
            canceled.set()
            for future in waiting.values():
                future.cancel()
