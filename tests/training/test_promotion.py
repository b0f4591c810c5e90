"""Promotion replaces the pointer whole, keeps the other target's champion, and moves the registry's alias."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from features.atomic import UNFINISHED
from models.champion import Pointed, Pointer, read_pointer, write_pointer
from models.home import Home
from models.targets import Target
from training import promotion, tracking


class _Bundle:
    """As much of a bundle as promotion looks at."""

    def __init__(self, folder: Path, version: str) -> None:
        self.folder = folder
        self.manifest = type("Manifest", (), {"version": version})()


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> list[dict[Target, str]]:
    calls: list[dict[Target, str]] = []
    monkeypatch.setattr(tracking, "mark_champion", lambda _home, versions: calls.append(versions))
    return calls


def _home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    pointer = Pointer.model_validate_json(
        '{"churn": {"version": "1", "folder": "bundles/churn/1"}, "promoted_at": "2026-01-01T00:00:00Z"}'
    )
    write_pointer(home, pointer)
    return home


def test_the_other_target_keeps_its_champion(tmp_path: Path, marked: list[dict[Target, str]]) -> None:
    home = _home(tmp_path)
    bundle: Any = _Bundle(home.bundle_folder("expansion", "4-abc"), "4")
    promotion.promote(home, {"expansion": bundle}, "five-dimensions", "Ada", "it is better")
    pointer = read_pointer(home)
    assert pointer is not None
    assert pointer.churn == Pointed(version="1", folder="bundles/churn/1")
    assert pointer.expansion == Pointed(version="4", folder="bundles/expansion/4-abc")
    assert marked == [{"expansion": "4"}]


def test_nothing_to_promote_changes_nothing(tmp_path: Path, marked: list[dict[Target, str]]) -> None:
    home = _home(tmp_path)
    before = home.champion_file.read_bytes()
    promotion.promote(home, {}, "five-dimensions", "Ada", "nothing")
    assert home.champion_file.read_bytes() == before
    assert marked == []


def test_an_interrupt_while_writing_leaves_the_old_champion(
    tmp_path: Path, marked: list[dict[Target, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _home(tmp_path)
    before = home.champion_file.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("features.atomic.os.replace", interrupted)
    bundle: Any = _Bundle(home.bundle_folder("churn", "2"), "2")
    with pytest.raises(KeyboardInterrupt):
        promotion.promote(home, {"churn": bundle}, "five-dimensions", "Ada", "it is better")
    assert home.champion_file.read_bytes() == before
    assert marked == []


PROMOTES_FOR_EVER = """
import itertools, sys
from pathlib import Path
from models.home import Home
from training import promotion, tracking

tracking.mark_champion = lambda home, versions: None
home = Home(Path(sys.argv[1]))
for n in itertools.count(2):
    folder = home.bundle_folder("churn", str(n))
    manifest = type("Manifest", (), {"version": str(n)})
    bundle = type("Bundle", (), {"folder": folder, "manifest": manifest})
    promotion.promote(home, {"churn": bundle}, "five-dimensions", "Ada", "x" * 2000)
    print(n, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signal that cannot be caught")
def test_killed_at_any_instant_there_is_a_whole_champion(tmp_path: Path) -> None:
    """The last promotion that was told of, or the one under way; its history ends with it; the next one goes on."""
    home, dice = _home(tmp_path), random.Random(4)
    for killed in range(1, 4):
        command = [sys.executable, "-c", PROMOTES_FOR_EVER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [int(process.stdout.readline()) for _ in range(dice.randrange(2, 30))]
            time.sleep(dice.uniform(0, 0.004))
            process.send_signal(signal.SIGKILL)
            told += [int(line) for line in process.stdout if line.endswith("\n")]
        pointer = read_pointer(home)
        assert pointer is not None
        assert pointer.churn is not None
        assert int(pointer.churn.version) - told[-1] in (0, 1)
        assert pointer.history[-1].champion == pointer.churn
        # What was being written is left beside it, under a name that no reader takes for it.
        unfinished = [file for file in home.root.iterdir() if file != home.champion_file]
        assert len(unfinished) <= killed
        assert all(UNFINISHED in file.name for file in unfinished)
