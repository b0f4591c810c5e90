"""SIGTERM and SIGINT during a long command: one line, the exit code of the signal, no partial file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")


def stopped(arguments: list[str], home: Path, kind: signal.Signals, after: float, **more: str) -> tuple[int, str]:
    """Return exit code and standard error of a command that receives a signal ``after`` seconds of work.

    ``more`` holds environment variables.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RENEWCAST_", "MLFLOW_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "renewcast", *arguments], cwd=ROOT, text=True,
        env=environment | {"RENEWCAST_HOME": str(home), "PYTHONPATH": str(ROOT)} | more, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    # Wait until the command handles signals, which is after its first imports.
    mask, begun = 1 << (signal.SIGTERM - 1), time.monotonic()
    while time.monotonic() < begun + 60 and not _caught(process.pid) & mask:
        time.sleep(0.05)
    time.sleep(after)
    process.send_signal(kind)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def _caught(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        time.sleep(5)
        return -1
    return next(int(line.split()[1], 16) for line in status.read_text().splitlines() if line.startswith("SigCgt"))


_APP = """
import atexit, os, signal
import renewcast
from features.errors import BundleError
def app():
    {app}
renewcast.app = app
renewcast.main()
"""
_SIGNAL = "signal.raise_signal(signal.SIGTERM)"
_CATCH = f"try: {_SIGNAL}\n    except SystemExit: "


@pytest.mark.parametrize(
    ("app", "code", "errors"),
    [
        pytest.param(_CATCH + "raise BundleError('broken')", 143, "Stopped by SIGTERM before the end.\n", id="turned into an error"),
        pytest.param(_CATCH + "pass", 143, "Stopped by SIGTERM before the end.\n", id="ignored"),
        # An object of a module that is cleared when the interpreter ends, after the handlers.
        pytest.param("renewcast.late = type('Late', (), {'__del__': lambda _, kill=os.kill, pid=os.getpid(): kill(pid, 15)})()", 0, "", id="after the end"),
        pytest.param("raise BundleError('broken')", 2, "Error: broken\n", id="no signal"),
    ],
)
def test_the_exit_code_is_that_of_the_signal_or_of_the_command(tmp_path: Path, app: str, code: int, errors: str) -> None:
    environment = os.environ | {"RENEWCAST_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _APP.format(app=app)]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (code, errors)


@pytest.mark.parametrize(("kind", "after", "code"), [(signal.SIGTERM, 0.2, 143), (signal.SIGINT, 1.5, 130), pytest.param(signal.SIGTERM, 3.0, 143, marks=pytest.mark.slow)])
def test_simulate(tmp_path: Path, kind: signal.Signals, after: float, code: int) -> None:
    out = tmp_path / "out" / "signals"
    result = stopped(["simulate", str(out), "--accounts", "3000", "--weeks", "150"], tmp_path / "home", kind, after)
    assert result == (code, f"Stopped by {kind.name} before the end.\n")
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


@pytest.mark.parametrize(("command", "after"), [("score", 1.0), pytest.param("score", 2.5, marks=pytest.mark.slow), ("train", 2.0), pytest.param("train", 6.0, marks=pytest.mark.slow)])
def test_score_and_train(world: Any, tmp_path: Path, command: str, after: float) -> None:
    home, out = Path(shutil.copytree(world.home, tmp_path / "home")), tmp_path / "out"
    out.mkdir()
    before = (home / "champion.json").read_bytes()
    more = ["--as-of", "2026-09-30", "--out", str(out / "scores.csv"), "--publish"] if command == "score" else []
    code, errors = stopped([command, str(world.signals), *more], home, signal.SIGTERM, after, RENEWCAST_FEATURES=str(world.own_features))
    # On a fast machine the command may end before.
    if code != 0:
        assert (code, errors.splitlines()[-1]) == (143, "Stopped by SIGTERM before the end.")
        assert list(out.iterdir()) == []
    assert "Traceback" not in errors
    assert (home / "champion.json").read_bytes() == before
    assert [path for path in home.rglob("*unfinished*") if path.parent.name != "bundles"] == []
