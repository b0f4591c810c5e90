"""A full disk or a closed pipe ends a command with its exit code, without a traceback or a half-written file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FULL = Path("/dev/full")
PREPARE = "import sys, renewcast, typer; from features.utils.console import Console\n"
#: Output that fits into the buffer fails when it is flushed; other output fails when it is written.
PRINTS = {
    "short": "typer.echo('x')",
    "buffered": "sys.stdout.write('x')",
    "long": "sys.stdout.write('x' * 10**6)",
    "table": "Console().print('x' * 10**6)",
}

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


def run(code: str, home: Path, stdout: int, *arguments: str, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    """Return exit code and standard error of a process that runs ``code``."""
    environment = os.environ | {"RENEWCAST_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PREPARE + code, *arguments]
    result = subprocess.run(command, env=environment, cwd=ROOT, stdout=stdout, stderr=stderr, text=True, timeout=60, check=False)
    return result.returncode, result.stderr or ""


@pytest.mark.parametrize("printing", PRINTS)
def test_standard_output_on_a_full_disk(tmp_path: Path, printing: str) -> None:
    code = f"renewcast.app = lambda: {PRINTS[printing]}\nrenewcast.main()"
    with FULL.open("wb") as full:
        failed, errors = run(code, tmp_path, full.fileno())
        assert (failed, errors.splitlines()) == (
            2,
            [
                "Error: cannot write the output: No space left on device",
                "Expected: a writable path with free space",
                "Fix: free some space, or choose a writable location (RENEWCAST_HOME, or the output path)",
            ],
        )
        assert run(code, tmp_path, full.fileno(), stderr=full.fileno())[0] == 2


@pytest.mark.parametrize("code", [*(f"renewcast.app = lambda: {each}\nrenewcast.main()" for each in PRINTS.values()), pytest.param("renewcast.main()", marks=pytest.mark.slow)])
def test_a_closed_pipe_ends_the_command_quietly(tmp_path: Path, code: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run(code, tmp_path, writer, "home") == (141, "")
    finally:
        os.close(writer)


@pytest.mark.slow
def test_without_standard_output_a_command_runs(tmp_path: Path) -> None:
    script = f"{sys.executable} -m renewcast home >&-"
    environment = os.environ | {"RENEWCAST_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    result = subprocess.run(script, shell=True, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
