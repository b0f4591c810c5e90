"""A scratch home, and a real `renewcast serve` on it; its log gives the port and the workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.artifacts.champion_pointer import read_pointer
from models.home import Home

ROOT = Path(__file__).resolve().parents[2]
#: Seconds until the service is ready, and until it has stopped.
PATIENCE = 120.0
QUICK = "every_days = 14\ntrials = 1\nresamples = 100\nfolds = 2\n"
AS_OF = "2026-09-30"


def scratch_home(inputs: Path | None, place: Path) -> Home:
    """Return a copy of a home with a champion and a snapshot, without its store. If none is given, create one."""
    root = place / "home"
    if inputs is not None and (inputs / "champion.json").is_file() and any((inputs / "snapshots").glob("*.parquet")):
        left = shutil.ignore_patterns("store.sqlite*", "jobs", "mlartifacts", "rollups", "mlflow.db", "demo")
        shutil.copytree(inputs, root, ignore=left)
    else:
        print("no home with a champion given; creating one", flush=True)
        (place / "quick.toml").write_text(QUICK, encoding="utf-8")
        signals = str(place / "signals")
        for arguments in (
            ("simulate", signals, "--accounts", "400", "--weeks", "104", "--seed", "1"),
            ("train", signals, "--config", str(place / "quick.toml")),
            ("score", signals, "--as-of", AS_OF, "--out", str(place / "scores.csv")),
        ):
            run = [sys.executable, "-m", "renewcast", *arguments]
            subprocess.run(run, check=True, cwd=ROOT, env=_environment(root), stdout=subprocess.DEVNULL)
    home = Home(root)
    if read_pointer(home) is None:
        raise SystemExit("no target's model passed its gates; give a home with a champion")
    return home


class Served:
    """A running service.

    Parameters
    ----------
    process : the process of the service.
    log : the file of its JSON lines.
    port : its port.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self.process, self.log, self.port = process, log, port

    def workers(self) -> list[int]:
        """Return the ids of the workers that have started and not ended."""
        alive: dict[int, None] = {}
        for line in self.lines():
            if line["event"] == "worker":
                alive[line["worker"]] = None
            elif line["event"] == "worker_ended":
                alive.pop(line["worker"], None)
        return list(alive)

    def lines(self) -> list[dict[str, object]]:
        """Return the log. Every complete line must be JSON."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def kill_worker(self, which: int) -> bool:
        """Kill a worker with SIGKILL. Return whether there was one."""
        alive = self.workers()
        if not alive:
            return False
        with suppress(ProcessLookupError):
            os.kill(alive[which % len(alive)], signal.SIGKILL)
        return True

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def ready(self) -> bool:
        """Return whether /readyz answers 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=30) as answer:
                return int(answer.status) == 200
        except OSError:
            return False


@contextmanager
def serving(home: Home, place: Path, workers: int = 1, **settings: str) -> Iterator[Served]:
    """Run `renewcast serve` on ``home`` until ready, with its log in ``place``. ``settings`` are names without
    RENEWCAST_."""
    log = place / "serve.log"
    command = [sys.executable, "-m", "renewcast", "serve", "--port", "0", "--workers", str(workers)]
    variables = {f"RENEWCAST_{name.upper()}": value for name, value in settings.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(home.root) | variables, stderr=output, stdout=output
        )
    try:
        served = _ready(process, log)
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], log: Path) -> Served:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
        head = log.read_bytes().partition(b"\n")
        if not head[1]:
            continue
        served = Served(process, log, json.loads(head[0])["port"])
        if served.ready():
            return served
    raise SystemExit(f"the service did not become ready:\n{log.read_text(errors='replace')[-2000:]}")


def _environment(root: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RENEWCAST_", "MLFLOW_"))}
    return environment | {"RENEWCAST_HOME": str(root), "PYTHONUTF8": "1"}
