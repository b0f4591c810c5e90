"""Several workers on one listening socket, and the process that looks after them.

A worker that ends is started again, and one that has not told for a while that it lives is ended first. What it had
accepted is in the store: jobs, deliveries and requests with an Idempotency-Key are taken up again once their claim
has run out. Connections that it held break; callers come again, and the others answer them. Should the supervisor
itself end without a word, its workers stop.

Workers are forked from a process that has imported the application and done nothing else, so that one is there again
in a moment and they share that memory. Where there is no such start (Windows), each imports for itself.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from features.errors import HomeError
from models.home import Home
from serving.common.json_logs import log_event
from serving.common.settings import GRACE, SHARED_METRICS

Work = Callable[[socket.socket, Home, Connection, bool], None]

#: How often (seconds) a worker tells that it lives; how long it may not, and how long it may take to come up.
ALIVE_SECONDS, SILENT_SECONDS, STARTING_SECONDS = 5, 60.0, 300.0
#: How often (seconds) signals and silent workers are looked for.
POLL_SECONDS = 0.25
#: Seconds until a worker is started that ended soon after its start, doubled each time, and the most it comes to.
SOON, FIRST_WAIT, LONGEST_WAIT = 10.0, 0.5, 30.0


@dataclass
class _WorkerSlot:
    """One of the workers: the process now in it, since when, and what is known of it."""

    process: BaseProcess | None = None
    heard: Connection | None = None
    started: float = 0.0
    alive: float | None = None
    killed: bool = False
    short_lives: int = 0
    start_at: float = 0.0

    def is_silent(self, now: float) -> bool:
        """Whether it has not told for too long that it lives, and nothing was done about it yet."""
        limit = SILENT_SECONDS if self.alive else STARTING_SECONDS
        return not self.killed and now - (self.alive or self.started) > limit


class Supervisor:
    """Keeps workers on a socket.

    Parameters
    ----------
    work : what each does, in a process of its own: ``work(listening, home, supervisor, first)``. It tells
        ``supervisor`` that it lives, and ends when that end is closed.
    listening, home : what they are given.
    workers : how many.
    preloaded : modules that are imported once for all of them.
    """

    def __init__(
        self,
        work: Work,
        listening: socket.socket,
        home: Home,
        workers: int,
        preloaded: Sequence[str] = ("__main__", "serving.server.preload"),
    ) -> None:
        self._work, self._listening, self._home = work, listening, home
        self._places = [_WorkerSlot() for _ in range(workers)]
        self._preloaded = preloaded
        self._stopping = self._any_came_up = self._any_started = False

    def run(self) -> None:
        """Until SIGINT or SIGTERM, or until it is plain that no worker comes up.

        Raises
        ------
        HomeError : every worker ended before it took a request.
        """
        handlers = {kind: signal.signal(kind, self._stop) for kind in (signal.SIGINT, signal.SIGTERM)}
        before = os.environ.get(SHARED_METRICS)
        with tempfile.TemporaryDirectory(prefix="renewcast-metrics-", ignore_cleanup_errors=True) as folder:
            # Each worker's counts lie there, so that whichever is asked for /metrics can tell of all.
            os.environ[SHARED_METRICS] = folder
            try:
                self._context = _context(self._preloaded)
                while not self._stopping:
                    self._look_after(time.monotonic())
                    ends = [e for p in self._places if p.process for e in (p.process.sentinel, p.heard) if e]
                    wait(ends, POLL_SECONDS)
            finally:
                self._end()
                os.environ.pop(SHARED_METRICS)
                if before is not None:
                    os.environ[SHARED_METRICS] = before
                for kind, handler in handlers.items():
                    signal.signal(kind, handler)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _look_after(self, now: float) -> None:
        for place in self._places:
            self._listen_to(place, now)
            if place.process is None:
                if now >= place.start_at:
                    self._start(place, now)
            elif not place.process.is_alive():
                self._ended(place, now)
            elif place.is_silent(now):
                log_event("worker_silent", logging.ERROR, worker=place.process.pid)
                place.process.kill()
                place.killed = True

    def _listen_to(self, place: _WorkerSlot, now: float) -> None:
        try:
            while place.heard is not None and place.heard.poll():
                place.heard.recv_bytes()
                if place.alive is None and place.process is not None:
                    log_event("worker", worker=place.process.pid, seconds=round(now - place.started, 2))
                place.alive, self._any_came_up = now, True
        except (EOFError, OSError):
            # Its end is looked at next.
            _close(place)

    def _start(self, place: _WorkerSlot, now: float) -> None:
        place.heard, theirs = self._context.Pipe()
        given = (self._listening, self._home, theirs, not self._any_started)
        place.process = self._context.Process(target=self._work, args=given, name="worker")
        place.process.start()
        theirs.close()
        place.started, place.alive, place.killed, self._any_started = now, None, False, True

    def _ended(self, place: _WorkerSlot, now: float) -> None:
        assert place.process is not None
        place.process.join()
        code, pid = place.process.exitcode, place.process.pid
        _forget_metrics(pid)
        log_event("worker_ended", logging.ERROR, worker=pid, exit_code=code, seconds=round(now - place.started, 2))
        _close(place)
        soon = place.alive is None or now - place.started < SOON
        place.short_lives = place.short_lives + 1 if soon else 0
        place.start_at = now + (min(LONGEST_WAIT, FIRST_WAIT * 2 ** (place.short_lives - 1)) if soon else 0.0)
        place.process.close()
        place.process = None
        if not self._any_came_up and all(each.short_lives for each in self._places):
            raise HomeError("no worker comes up", "at least one", "the log says why each ended")

    def _end(self) -> None:
        """Stop all, those that do not stop in time by force."""
        until = time.monotonic() + 3 * GRACE
        running = [place.process for place in self._places if place.process is not None]
        for process in running:
            process.terminate()
        for process in running:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                log_event("worker_killed", logging.ERROR, worker=process.pid)
                process.kill()
                process.join()
        for place in self._places:
            _close(place)


def _context(preloaded: Sequence[str]) -> Any:
    kinds = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in kinds else "spawn")
    context.set_forkserver_preload(list(preloaded))
    return context


def _close(place: _WorkerSlot) -> None:
    if place.heard is not None:
        place.heard.close()
        place.heard = None


def _forget_metrics(pid: int | None) -> None:
    """What an ended worker counted stays; what it was working on does not."""
    from prometheus_client.multiprocess import mark_process_dead

    if pid is not None:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
