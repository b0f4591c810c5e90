"""The lock is exclusive, and it is released when its process ends for any reason."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from features.errors import HomeError
from features.utils.file_lock import exclusive_lock

HOLDS = """
import sys, time
from pathlib import Path
from features.utils.file_lock import exclusive_lock

with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_no_update_is_lost_between_reading_and_writing(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    counter.write_text("0")

    def count(_: int) -> None:
        with exclusive_lock(tmp_path / "lock"):
            counter.write_text(str(int(counter.read_text()) + 1))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(200)))
    assert counter.read_text() == "200"


def test_a_killed_process_releases_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.kill()
    with exclusive_lock(tmp_path / "lock"):
        pass


def test_an_unwritable_path_raises_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="cannot write"), exclusive_lock(tmp_path / "file" / "lock"):
        pass
