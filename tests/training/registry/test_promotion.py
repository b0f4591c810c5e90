"""Promotion replaces the pointer atomically, keeps the other champion, loses no change and updates the alias."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from features.errors import BadRequest
from features.utils.atomic_files import UNFINISHED
from models.artifacts.champion_pointer import ChampionEntry, ChampionPointer, read_pointer, write_pointer
from models.home import Home
from training.registry import promotion, run_completion


class _Bundle:
    """As much of a bundle as promotion looks at."""

    def __init__(self, folder: Path, version: str) -> None:
        self.folder = folder
        self.manifest = type("Manifest", (), {"version": version, "portfolio": None})()


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> list[ChampionPointer | None]:
    """The pointers that the alias has followed."""
    visited: list[ChampionPointer | None] = []
    monkeypatch.setattr(promotion, "sync_alias", lambda home: visited.append(read_pointer(home)))
    return visited


def _home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    pointer = ChampionPointer.model_validate_json(
        '{"churn": {"version": "1", "folder": "bundles/churn/1"}, "promoted_at": "2026-01-01T00:00:00Z"}'
    )
    write_pointer(home, pointer)
    return home


def test_the_other_target_keeps_its_champion(tmp_path: Path, followed: list[ChampionPointer | None]) -> None:
    home = _home(tmp_path)
    bundle: Any = _Bundle(home.bundle_folder("expansion", "4-abc"), "4")
    promotion.promote(home, {"expansion": bundle}, "five-dimensions", "Ada", "it is better")
    pointer = read_pointer(home)
    assert pointer is not None
    assert pointer.churn == ChampionEntry(version="1", folder="bundles/churn/1")
    assert pointer.expansion == ChampionEntry(version="4", folder="bundles/expansion/4-abc")
    assert followed == [pointer]


@pytest.mark.parametrize(
    ("who", "why"), [("Ada", ""), ("Ada", "  "), (" ", "it is better"), ("Ada", "x" * 2001), ("A" * 201, "it is better")]
)
def test_a_decision_needs_an_author_and_a_reason_of_limited_length(tmp_path: Path, who: str, why: str) -> None:
    home = _home(tmp_path)
    before = home.champion_file.read_bytes()
    with pytest.raises(BadRequest, match=r"the (author|reason)"):
        promotion.promote_version(home, "churn", "1", who, why)
    with pytest.raises(BadRequest, match=r"the (author|reason)"):
        promotion.rollback(home, "churn", who, why)
    assert home.champion_file.read_bytes() == before


def test_nothing_to_promote_changes_nothing(tmp_path: Path, followed: list[ChampionPointer | None]) -> None:
    home = _home(tmp_path)
    before = home.champion_file.read_bytes()
    promotion.promote(home, {}, "five-dimensions", "Ada", "nothing")
    assert home.champion_file.read_bytes() == before
    assert followed == []


def test_an_interrupt_while_writing_leaves_the_old_champion(
    tmp_path: Path, followed: list[ChampionPointer | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _home(tmp_path)
    before = home.champion_file.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("features.utils.atomic_files.os.replace", interrupted)
    bundle: Any = _Bundle(home.bundle_folder("churn", "2"), "2")
    with pytest.raises(KeyboardInterrupt):
        promotion.promote(home, {"churn": bundle}, "five-dimensions", "Ada", "it is better")
    assert home.champion_file.read_bytes() == before
    assert followed == []


PROMOTES_FOR_EVER = """
import itertools, sys
from pathlib import Path
from models.home import Home
from training.registry import promotion

promotion.sync_alias = lambda home: None
home = Home(Path(sys.argv[1]))
for n in itertools.count(2):
    folder = home.bundle_folder("churn", str(n))
    manifest = type("Manifest", (), {"version": str(n), "portfolio": None})
    bundle = type("Bundle", (), {"folder": folder, "manifest": manifest})
    promotion.promote(home, {"churn": bundle}, "five-dimensions", "Ada", "x" * 2000)
    print(n, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no signal that cannot be caught")
def test_a_kill_at_any_time_leaves_a_complete_champion(tmp_path: Path) -> None:
    """The last promotion that was reported, or the one in progress; its history ends with it; the next one goes on."""
    home, dice = _home(tmp_path), random.Random(4)
    for killed in range(1, 4):
        command = [sys.executable, "-c", PROMOTES_FOR_EVER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            output = [int(process.stdout.readline()) for _ in range(dice.randrange(2, 30))]
            time.sleep(dice.uniform(0, 0.004))
            process.send_signal(signal.SIGKILL)
            output += [int(line) for line in process.stdout if line.endswith("\n")]
        pointer = read_pointer(home)
        assert pointer is not None
        assert pointer.churn is not None
        assert int(pointer.churn.version) - output[-1] in (0, 1)
        assert pointer.history[-1].champion == pointer.churn
        # An interrupted write leaves a file under a name that no reader uses.
        unfinished = [file for file in home.root.iterdir() if file.name not in (home.champion_file.name, promotion.LOCK)]
        assert len(unfinished) <= killed
        assert all(UNFINISHED in file.name for file in unfinished)


PROMOTES_TEN_TIMES = """
import sys
from pathlib import Path
from models.home import Home
from training.registry import promotion

promotion.sync_alias = lambda home: None
home = Home(Path(sys.argv[1]))
for n in range(10):
    folder = home.bundle_folder("churn", str(n))
    manifest = type("Manifest", (), {"version": str(n), "portfolio": None})
    bundle = type("Bundle", (), {"folder": folder, "manifest": manifest})
    promotion.promote(home, {"churn": bundle}, "five-dimensions", sys.argv[2], "the same home, at the same time")
"""


@pytest.mark.slow
def test_concurrent_promotions_are_all_recorded(tmp_path: Path) -> None:
    home, people = _home(tmp_path), ["Ada", "Grace", "Mary"]
    commands = [[sys.executable, "-c", PROMOTES_TEN_TIMES, str(tmp_path), who] for who in people]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    pointer = read_pointer(home)
    assert pointer is not None
    for who in people:
        assert [change.champion.version for change in pointer.history if change.who == who] == [str(n) for n in range(10)]
    assert pointer.churn == pointer.history[-1].champion


def test_a_version_of_an_interrupted_run_is_refused(
    tmp_path: Path, followed: list[ChampionPointer | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _home(tmp_path)
    before = home.champion_file.read_bytes()
    for version in ("3-0123abcd", "2-4567cdef"):
        home.bundle_folder("churn", version).mkdir(parents=True)
    run_completion.mark_started(home, "0123abcd" * 4)
    with pytest.raises(BadRequest, match=r"version 3 for churn was interrupted[\s\S]*Expected: one of 2\nFix: train again"):
        promotion.promote_version(home, "churn", "3", "Ada", "a test")
    assert (home.champion_file.read_bytes(), followed) == (before, [])

    def loaded(folder: Path, _target: str) -> Any:
        bundle: Any = _Bundle(folder, folder.name.partition("-")[0])
        bundle.manifest.gates, bundle.manifest.created_at = {}, 0
        return bundle

    monkeypatch.setattr(promotion, "load_bundle", loaded)
    run_completion.mark_completed(home, "0123abcd" * 4)
    assert promotion.promote_version(home, "churn", "3", "Ada", "a test").manifest.version == "3"
    # Another registry assigned the same number to an interrupted run: the completed one is promoted.
    home.bundle_folder("churn", "3-89ab0000").mkdir()
    run_completion.mark_started(home, "89ab0000" * 4)
    assert promotion.promote_version(home, "churn", "3", "Ada", "a test").folder.name == "3-0123abcd"
