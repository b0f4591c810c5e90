"""Work on several targets at a time, a thread each: the heavy parts are LightGBM's and NumPy's, which run beside each
other. The results do not depend on which is done first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TypeVar

from features.utils.progress import Progress
from models.targets import Target

Result = TypeVar("Result")


class _Stopped(Exception):
    """The rest of the work is of no use any more."""


def side_by_side(
    targets: Sequence[Target], work: Callable[[Target, Progress], Result], progress: Progress, at_once: int
) -> dict[Target, Result]:
    """Do the work for each target.

    Parameters
    ----------
    at_once : so many at a time.
    work : is given a target and its own progress, which it tells from time to time.
    progress : told of all of it together, from the threads, one at a time. Raising in it ends all the work, as does an
        interrupt or an error in any part.
    """
    done = dict.fromkeys(targets, 0.0)
    stopped, lock = Event(), Lock()

    def telling(target: Target) -> Progress:
        def tell(share: float, what: str) -> None:
            if stopped.is_set():
                raise _Stopped
            with lock:
                done[target] = share
                progress(sum(done.values()) / len(done), what)

        return tell

    with ThreadPoolExecutor(min(len(targets), at_once)) as pool:
        waiting = {target: pool.submit(work, target, telling(target)) for target in targets}
        try:
            finished, _ = wait(waiting.values(), return_when=FIRST_EXCEPTION)
            for one in finished:
                one.result()
            return {target: future.result() for target, future in waiting.items()}
        finally:
            stopped.set()
            for future in waiting.values():
                future.cancel()
