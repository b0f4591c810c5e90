"""A simulated portfolio that is trained and scored once through the command line, for all end-to-end tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
SCORED_AT = "2026-09-30"
OWN_FEATURES = ROOT / "notebooks" / "examples" / "own-features.toml"
QUICK = "every_days = 14\ntrials = 1\nresamples = 100\nfolds = 2\n"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class World:
    """The files of the end-to-end run."""

    signals: Path
    truth: Path
    home: Path
    report: dict[str, Any]
    scores: Path
    own_features: Path


class _Prepared:
    """The process that forks commands (`prepared.py`). It starts with the first command."""

    def __init__(self, place: Path) -> None:
        self._place = place
        command = [sys.executable, str(Path(__file__).with_name("prepared.py")), str(place / "texts.json")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        here = {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(command, text=True, env=os.environ | here, cwd=ROOT, **pipes)

    def run(self, arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        out, err = self._place / "out", self._place / "err"
        request = {"arguments": arguments, "environment": environment, "out": str(out), "err": str(err)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(f.read_text(encoding="utf-8") for f in (out, err)))

    def close(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture(scope="session")
def renewcast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Run `renewcast …` as a user does: in another process, with its own home and with custom features.

    With ``fresh`` a new process starts; otherwise it is forked from one that has finished its imports.
    """
    prepared = _Prepared(tmp_path_factory.mktemp("commands")) if hasattr(os, "fork") else None

    def run(
        *arguments: str | Path, home: Path, expect: int = 0, features: Path = OWN_FEATURES, fresh: bool = False
    ) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("RENEWCAST_", "MLFLOW_"))}
        environment |= {"RENEWCAST_HOME": str(home), "RENEWCAST_FEATURES": str(features)}
        texts = list(map(str, arguments))
        if fresh or prepared is None:
            command = [sys.executable, "-m", "renewcast", *texts]
            result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
        else:
            result = prepared.run(texts, environment)
        assert result.returncode == expect, result.stderr + result.stdout
        assert "Traceback" not in result.stderr
        return result

    yield run
    if prepared is not None:
        prepared.close()


def _train_world(place: Path, renewcast: Command) -> None:
    home, signals = place / "home", place / "signals"
    renewcast("simulate", signals, "--accounts", "400", "--weeks", "104", "--seed", "1", home=home, fresh=True)
    (place / "quick.toml").write_text(QUICK)
    result = renewcast("train", signals, "--config", place / "quick.toml", "--json", home=home, fresh=True)
    (place / "report.json").write_text(result.stdout)
    renewcast("score", signals, "--as-of", SCORED_AT, "--out", place / "scores.csv", home=home, fresh=True)
    (place / "ready").touch()


@pytest.fixture(scope="session")
def world(renewcast: Command, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Each worker has a copy of the home that the first of them trained; the files of the signals are never changed."""
    own = tmp_path_factory.mktemp("world")
    place = tmp_path_factory.getbasetemp().parent / "world" if "PYTEST_XDIST_WORKER" in os.environ else own / "trained"
    place.mkdir(exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        if not (place / "ready").exists():
            _train_world(place, renewcast)
    home = Path(shutil.copytree(place / "home", own / "home"))
    report = json.loads((place / "report.json").read_text())
    return World(place / "signals", place / "signals-truth.parquet", home, report, place / "scores.csv", OWN_FEATURES)
