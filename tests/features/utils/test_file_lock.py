"""One at a time: whoever holds the lock is alone, and the end of a process, however it comes, lets go of it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from features.errors import HomeError
from features.utils.file_lock import alone

HOLDS = """
import sys, time
from pathlib import Path
from features.utils.file_lock import alone

with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_nothing_is_lost_between_reading_and_writing(tmp_path: Path) -> None:
    kept = tmp_path / "count"
    kept.write_text("0")

    def count(_: int) -> None:
        with alone(tmp_path / "lock"):
            kept.write_text(str(int(kept.read_text()) + 1))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(200)))
    assert kept.read_text() == "200"


def test_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.kill()
    with alone(tmp_path / "lock"):
        pass


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="cannot write"), alone(tmp_path / "file" / "lock"):
        pass
