"""An erasure never runs next to a command that writes data of accounts."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from features.errors import HomeError
from models.home import Home
from models.home_writers import WRITERS, no_other_writer, writing

WRITES = """
import sys, time
from pathlib import Path
from models.home import Home
from models.home_writers import writing

with writing(Home(Path(sys.argv[1])), "training"):
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").ensure()


def test_an_erasure_is_refused_while_another_process_writes_until_that_ends(home: Home) -> None:
    command = [sys.executable, "-c", WRITES, str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        with pytest.raises(HomeError, match=f"a training \\(process {process.pid}\\) is writing"), no_other_writer(home):
            pass
        process.kill()
    with no_other_writer(home):
        pass
    assert list((home.root / WRITERS).iterdir()) == [], "the file of a stopped process is deleted"


def test_several_commands_write_at_the_same_time_and_leave_no_file(home: Home) -> None:
    with writing(home, "scoring"), writing(home, "review"):
        assert len(list((home.root / WRITERS).iterdir())) == 2
        with pytest.raises(HomeError, match="is writing"), no_other_writer(home):
            pass
    assert list((home.root / WRITERS).iterdir()) == []


def test_a_command_that_starts_during_an_erasure_waits_for_its_end(home: Home) -> None:
    order: list[str] = []

    def write() -> None:
        with writing(home, "scoring"):
            order.append("written")

    with no_other_writer(home):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        order.append("erased")
    thread.join(10)
    assert order == ["erased", "written"]


def test_the_files_of_the_locks_belong_to_the_home(home: Home) -> None:
    with writing(home, "scoring"), writing(home.ensure(), "scoring"):
        assert home.require_own() == home
