"""Workers are restarted, none is left behind, and a failure to start is reported. These workers only send their process id."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os, socket, sys, threading, time
from pathlib import Path
from models.home import Home
from serving.common import json_logs as logs; from serving.server import worker_supervisor as supervisor

def gone(theirs):
    try:
        theirs.recv_bytes()
    except (EOFError, OSError):  # OSError: the other end went with something unread in it.
        os._exit(0)

def work(listening, home, theirs, first):
    threading.Thread(target=gone, args=(theirs,), daemon=True).start()
    theirs.send_bytes(b"alive")
    while True:
        connection = listening.accept()[0]
        with connection:
            if connection.recv(10) == b"hang":
                time.sleep(60)
            connection.sendall(str(os.getpid()).encode())
            theirs.send_bytes(b"alive")

def fails(listening, home, theirs, first):
    raise SystemExit(3)

if __name__ == "__main__":
    supervisor.SILENT_SECONDS = float(sys.argv[2])
    logs.log_to_stderr()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        logs.log_event("listening", port=listening.getsockname()[1])
        supervisor.Supervisor(globals()[sys.argv[1]], listening, Home(Path("nowhere")), 2, []).run()
    print("stopped")
"""


class Supervised:
    """A running program: its process, its port and its log so far."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self._log = process, log
        self.port = int(str(self.wait_for(lambda lines: [line["port"] for line in lines if line["event"] == "listening"])[0]))

    def lines(self) -> list[dict[str, object]]:
        text = self._log.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def wait_for(self, what: Callable[[list[dict[str, object]]], list[object]], many: int = 1) -> list[object]:
        for _ in range(1200):
            if len(result := what(self.lines())) >= many:
                return result
            time.sleep(0.05)
        raise AssertionError(self._log.read_text())

    def workers(self, many: int) -> list[int]:
        return [int(str(pid)) for pid in self.wait_for(lambda lines: [each["worker"] for each in lines if each["event"] == "worker"], many)]

    def ask(self, what: bytes = b"who") -> int:
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.sendall(what)
            return int(connection.recv(20))


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    (tmp_path / "program.py").write_text(PROGRAM)
    begun: list[subprocess.Popen[str]] = []

    def begin(work: str = "work", silent: float = 60.0) -> Supervised:
        log = tmp_path / "log"
        with log.open("w") as file:
            command = [sys.executable, str(tmp_path / "program.py"), work, str(silent)]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=file, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
            )
        begun.append(process)
        return Supervised(process, log)

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def _gone(pid: int) -> bool:
    for _ in range(400):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with suppress(OSError):
            # One that no one has waited for yet has ended all the same.
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        time.sleep(0.05)
    return False


def test_a_killed_worker_is_restarted_and_a_signal_stops_all(supervised: Callable[..., Supervised]) -> None:
    running = supervised()
    first = running.workers(2)
    os.kill(first[0], signal.SIGKILL)
    everyone = running.workers(3)
    assert running.ask() in everyone[1:]
    ended = [line for line in running.lines() if line["event"] == "worker_ended"]
    assert [(line["worker"], line["exit_code"]) for line in ended] == [(first[0], -signal.SIGKILL)]
    running.process.send_signal(signal.SIGTERM)
    assert running.process.communicate(timeout=60)[0] == "stopped\n"
    assert running.process.returncode == 0
    assert all(map(_gone, everyone))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signal")
def test_a_hangup_restarts_the_workers_one_after_another(supervised: Callable[..., Supervised]) -> None:
    running = supervised()
    first = running.workers(2)
    for worker in first:
        os.kill(worker, signal.SIGHUP)
    assert running.ask() in first
    running.process.send_signal(signal.SIGHUP)
    everyone = running.workers(4)
    assert len(set(everyone)) == 4
    events = [str(line["event"]) for line in running.lines() if str(line["event"]).startswith("worker")]
    assert events == ["worker", "worker", "worker_stopped", "worker", "worker_stopped", "worker"]
    assert running.ask() in everyone[2:]
    running.process.send_signal(signal.SIGTERM)
    assert running.process.communicate(timeout=60)[0] == "stopped\n"
    assert all(map(_gone, everyone))


@pytest.mark.slow
def test_a_hanging_worker_is_killed_and_restarted(supervised: Callable[..., Supervised]) -> None:
    running = supervised(silent=1.0)
    first = running.workers(2)
    with pytest.raises((OSError, ValueError)):
        running.ask(b"hang")
    running.wait_for(lambda lines: [each["worker"] for each in lines if each["event"] == "worker_ended"])
    silent = [each["worker"] for each in running.lines() if each["event"] == "worker_silent"]
    assert set(silent) <= set(running.workers(3))
    assert len(silent) == len(set(silent))
    assert first


def test_no_worker_outlives_its_supervisor(supervised: Callable[..., Supervised]) -> None:
    running = supervised()
    workers = running.workers(2)
    running.process.kill()
    assert all(map(_gone, workers))


def test_the_supervisor_ends_with_a_message_if_no_worker_starts(supervised: Callable[..., Supervised], tmp_path: Path) -> None:
    process = supervised("fails").process
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert "no worker could be started" in (tmp_path / "log").read_text()
