"""Supervisor of several worker processes on one listening socket.

A worker that ends is restarted. A worker that has not sent a message for a while is killed and restarted. The work that
it had accepted is in the store: jobs, deliveries and requests with an Idempotency-Key are resumed when their claim
expires. Its connections break, and other workers serve the clients when they connect again. If the supervisor itself
crashes, its workers stop.

SIGHUP to the supervisor restarts the workers one after another: each finishes its requests while the others serve.
Workers ignore it, since a terminal that closes sends it to every process.

Workers are forked from a process that has imported the application and done nothing else. So they start quickly and
share that memory. Where this is not possible (Windows), each worker imports the application.
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
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from features.errors import HomeError
from models.home import Home
from serving.common.json_logs import log_event
from serving.common.settings import GRACE, SHARED_METRICS

Work = Callable[[socket.socket, Home, Connection, bool], None]

#: Seconds: the interval of a worker's messages, how long they may be missing, and how long a worker may take to start.
ALIVE_SECONDS, SILENT_SECONDS, STARTING_SECONDS = 5, 60.0, 300.0
#: How often (seconds) signals and workers are checked.
POLL_SECONDS = 0.25
#: A worker that ends within `SHORT_LIFE` seconds is restarted after `FIRST_WAIT`, doubled each time up to `MAX_WAIT`.
SHORT_LIFE, FIRST_WAIT, MAX_WAIT = 10.0, 0.5, 30.0


@dataclass
class _WorkerSlot:
    """One worker: its current process, start time and state."""

    process: BaseProcess | None = None
    messages: Connection | None = None
    started: float = 0.0
    alive: float | None = None
    killed: bool = False
    outdated: bool = False
    stopping: float | None = None
    short_lives: int = 0
    start_at: float = 0.0

    def is_silent(self, now: float) -> bool:
        """Return whether its messages are missing for too long, and it was not killed yet."""
        limit = SILENT_SECONDS if self.alive else STARTING_SECONDS
        return not self.killed and now - (self.alive or self.started) > limit


class Supervisor:
    """Starts workers and restarts them when they fail.

    Parameters
    ----------
    work : runs in each worker process as ``work(listening, home, supervisor, first)``. It must send messages to
        ``supervisor`` regularly, and end when the other end is closed.
    listening, home : passed to the workers.
    workers : how many.
    preloaded : modules that are imported once for all workers.
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
        self._slots = [_WorkerSlot() for _ in range(workers)]
        self._preloaded = preloaded
        self._stopping = self._any_served = self._any_started = False

    def run(self) -> None:
        """Run until SIGINT or SIGTERM. SIGHUP restarts the workers.

        Raises
        ------
        HomeError : every worker ended before it served requests.
        """
        handlers = {kind: signal.signal(kind, self._stop) for kind in (signal.SIGINT, signal.SIGTERM)}
        before = os.environ.get(SHARED_METRICS)
        with tempfile.TemporaryDirectory(prefix="renewcast-metrics-", ignore_cleanup_errors=True) as folder:
            # All workers write their counts there, so that each of them can respond to /metrics for all.
            os.environ[SHARED_METRICS] = folder
            try:
                self._start_context(handlers)
                while not self._stopping:
                    self._check(time.monotonic())
                    events = [e for s in self._slots if s.process for e in (s.process.sentinel, s.messages) if e]
                    wait(events, POLL_SECONDS)
            finally:
                self._stop_workers()
                os.environ.pop(SHARED_METRICS)
                if before is not None:
                    os.environ[SHARED_METRICS] = before
                for kind, handler in handlers.items():
                    signal.signal(kind, handler)

    def _start_context(self, handlers: dict[signal.Signals, Any]) -> None:
        """Start the process that workers are forked from, so that it and they ignore SIGHUP, and handle it here."""
        if not hasattr(signal, "SIGHUP"):
            self._context = _context(self._preloaded)
            return
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        handlers[signal.SIGHUP] = before
        self._context = _context(self._preloaded)
        if self._context.get_start_method() == "forkserver":
            forkserver.ensure_running()
        if before is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._restart)

    def _restart(self, _signal: int, _frame: FrameType | None) -> None:
        for slot in self._slots:
            slot.outdated = True

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _check(self, now: float) -> None:
        for slot in self._slots:
            self._read_messages(slot, now)
            if slot.process is None:
                if now >= slot.start_at:
                    self._start(slot, now)
            elif not slot.process.is_alive():
                self._handle_end(slot, now)
            elif slot.is_silent(now):
                log_event("worker_silent", logging.ERROR, worker=slot.process.pid)
                slot.process.kill()
                slot.killed = True
            elif slot.stopping is not None and now - slot.stopping > 3 * GRACE and not slot.killed:
                log_event("worker_killed", logging.ERROR, worker=slot.process.pid)
                slot.process.kill()
                slot.killed = True
        self._stop_next_outdated(now)

    def _stop_next_outdated(self, now: float) -> None:
        """Stop one outdated worker if all others serve."""
        if any(slot.alive is None or slot.process is None or slot.stopping is not None for slot in self._slots):
            return
        slot = next((each for each in self._slots if each.outdated), None)
        if slot is not None and slot.process is not None:
            slot.outdated, slot.stopping = False, now
            slot.process.terminate()

    def _read_messages(self, slot: _WorkerSlot, now: float) -> None:
        try:
            while slot.messages is not None and slot.messages.poll():
                slot.messages.recv_bytes()
                if slot.alive is None and slot.process is not None:
                    log_event("worker", worker=slot.process.pid, seconds=round(now - slot.started, 2))
                slot.alive, self._any_served = now, True
        except (EOFError, OSError):
            # The next check handles the end of the process.
            _close(slot)

    def _start(self, slot: _WorkerSlot, now: float) -> None:
        slot.messages, worker_end = self._context.Pipe()
        arguments = (self._listening, self._home, worker_end, not self._any_started)
        slot.process = self._context.Process(target=self._work, args=arguments, name="worker")
        slot.process.start()
        worker_end.close()
        slot.started, slot.alive, slot.killed, self._any_started = now, None, False, True
        # A worker that starts after the signal is new.
        slot.outdated, slot.stopping = False, None

    def _handle_end(self, slot: _WorkerSlot, now: float) -> None:
        assert slot.process is not None
        slot.process.join()
        code, pid = slot.process.exitcode, slot.process.pid
        _forget_metrics(pid)
        stopped, seconds = slot.stopping is not None, round(now - slot.started, 2)
        level = logging.INFO if stopped else logging.ERROR
        log_event("worker_stopped" if stopped else "worker_ended", level, worker=pid, exit_code=code, seconds=seconds)
        _close(slot)
        short = not stopped and (slot.alive is None or now - slot.started < SHORT_LIFE)
        slot.short_lives = slot.short_lives + 1 if short else 0
        slot.start_at = now + (min(MAX_WAIT, FIRST_WAIT * 2 ** (slot.short_lives - 1)) if short else 0.0)
        slot.process.close()
        slot.process = None
        if not self._any_served and all(each.short_lives for each in self._slots):
            raise HomeError("no worker could be started", "at least one worker", "see the log for the reasons")

    def _stop_workers(self) -> None:
        """Terminate all workers, and kill those that do not stop in time."""
        until = time.monotonic() + 3 * GRACE
        running = [slot.process for slot in self._slots if slot.process is not None]
        for process in running:
            process.terminate()
        for process in running:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                log_event("worker_killed", logging.ERROR, worker=process.pid)
                process.kill()
                process.join()
        for slot in self._slots:
            _close(slot)


def _context(preloaded: Sequence[str]) -> Any:
    kinds = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in kinds else "spawn")
    context.set_forkserver_preload(list(preloaded))
    return context


def _close(slot: _WorkerSlot) -> None:
    if slot.messages is not None:
        slot.messages.close()
        slot.messages = None


def _forget_metrics(pid: int | None) -> None:
    """Remove an ended worker's count of running requests. Its other counts stay."""
    from prometheus_client.multiprocess import mark_process_dead

    if pid is not None:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
