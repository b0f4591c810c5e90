"""An HTTP load on loopback for any server, and the resources that the server uses."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

#: Seconds that a server may take until it first answers.
PATIENCE = 120.0


@dataclass(frozen=True)
class Request:
    """A request that is sent repeatedly: method, path, and a JSON body."""

    path: str
    body: bytes = b""

    def raw(self, port: int) -> bytes:
        """Return the bytes on the wire; the connection stays open."""
        head = f"{'POST' if self.body else 'GET'} {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        if self.body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n"
        return head.encode() + b"\r\n" + self.body


@dataclass(frozen=True)
class Load:
    """The result of a load: milliseconds of each answer, answers per second, answers other than 200."""

    milliseconds: np.ndarray
    a_second: float
    failed: int

    def words(self) -> str:
        """Return the result in one line."""
        p50, p99 = np.percentile(self.milliseconds, [50, 99])
        failed = f", {self.failed} FAILED" if self.failed else ""
        return f"p50 {p50:6.2f} ms, p99 {p99:6.2f} ms, {self.a_second:7.0f} a second{failed}"

    def slow(self) -> str:
        """Return how many answers took longer than a second, and the longest."""
        many = int((self.milliseconds > 1000).sum())
        return f"{many} of {len(self.milliseconds)} longer than a second, the longest {self.milliseconds.max():.0f} ms"


def load(port: int, requests: Sequence[Request], connections: int, seconds: float, once: bool = False) -> Load:
    """Send requests over several connections, each cycling through the given ones; or each request once."""
    until = time.perf_counter() + seconds
    values: list[list[float]] = [[] for _ in range(connections)]
    failed = [0] * connections
    raw = [request.raw(port) for request in requests]

    def work(own: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as opened:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer = opened.makefile("rb")
            turn = own
            while (began := time.perf_counter()) < until and not (once and turn >= len(raw)):
                opened.sendall(raw[turn % len(raw)])
                turn += connections
                failed[own] += _status(answer) != 200
                values[own].append(1000 * (time.perf_counter() - began))

    threads = [threading.Thread(target=work, args=(own,)) for own in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = np.concatenate([np.array(each) for each in values])
    return Load(every, len(every) / (time.perf_counter() - began), sum(failed))


def _status(answer: object) -> int:
    status = int(answer.readline().split()[1])  # type: ignore[attr-defined]
    length, chunked = 0, False
    while (line := answer.readline().lower()) != b"\r\n":  # type: ignore[attr-defined]
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        chunked = chunked or line.startswith(b"transfer-encoding: chunked")
    while chunked and (size := int(answer.readline(), 16)):  # type: ignore[attr-defined]
        answer.read(size + 2)  # type: ignore[attr-defined]
    if chunked:
        answer.readline()  # type: ignore[attr-defined]
    answer.read(length)  # type: ignore[attr-defined]
    return status


@contextmanager
def served(command: Sequence[str], port: int, ready: str, log: Path, **environment: str) -> Iterator[Served]:
    """Run a server as a separate process, from start to ready; stop it and its child processes at the end."""
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ | environment, start_new_session=True
        )
    try:
        while not _answers(f"http://127.0.0.1:{port}{ready}"):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                raise RuntimeError(f"it did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)
        yield Served(process.pid, time.perf_counter() - began)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        # What it started may end after it, and would answer in the next one's place.
        until = time.perf_counter() + PATIENCE
        while _answers(f"http://127.0.0.1:{port}{ready}") and time.perf_counter() < until:
            time.sleep(0.1)


@contextmanager
def started(
    what: str, times: int, command: Sequence[str], port: int, ready: str, log: Path, **environment: str
) -> Iterator[Served]:
    """Start a server several times, print how long each start took, and return the last one."""
    values = []
    for left in reversed(range(times)):
        with served(command, port, ready, log, **environment) as server:
            values.append(server.seconds)
            if not left:
                seconds = f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f} of {times})"
                print(f"{what}: ready in {seconds}, {server.megabytes():.0f} MB", flush=True)
                yield server


@dataclass(frozen=True)
class Served:
    """A running server: its process, and the seconds until it was ready."""

    pid: int
    seconds: float

    def megabytes(self) -> float:
        """Return the resident memory of the server and its child processes."""
        return resident_megabytes(self.pid)

    def cpu_seconds(self) -> float:
        """Return the processor time of the server and its child processes so far."""
        main = psutil.Process(self.pid)
        times = [each.cpu_times() for each in (main, *main.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process and its child processes; pages that they share count for each."""
    main = psutil.Process(pid)
    return float(sum(each.memory_info().rss for each in (main, *main.children(recursive=True))) / 2**20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
