from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import BadRequest, HomeError
from training.simulation import simulate
from training.simulation.tables import write

SMALL = {"accounts": 20, "weeks": 26}


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_earlier_simulation_is_replaced_completely(tmp_path: Path) -> None:
    simulate(tmp_path / "signals", seed=1, **SMALL)
    before = _tree(tmp_path)
    simulate(tmp_path / "signals", seed=2, **SMALL)
    after = _tree(tmp_path)
    assert before.keys() == after.keys()
    assert before["signals-truth.parquet"] != after["signals-truth.parquet"]
    assert before["signals/usage.parquet"] != after["signals/usage.parquet"]


def test_simulations_in_one_folder_have_separate_truth_files(tmp_path: Path) -> None:
    first = simulate(tmp_path / "a", seed=1, **SMALL)
    before = _tree(tmp_path)
    second = simulate(tmp_path / "b", seed=2, **SMALL)
    assert first.truth != second.truth
    assert before.items() <= _tree(tmp_path).items()


@pytest.mark.parametrize(("failure", "raised"), [(KeyboardInterrupt, KeyboardInterrupt), (OSError, HomeError)])
def test_an_interruption_keeps_the_earlier_files_and_leaves_no_others(
    tmp_path: Path, failure: type[BaseException], raised: type[BaseException]
) -> None:
    def stop(share: float, what: str) -> None:
        if share > 0.5:
            raise failure

    with pytest.raises(raised):
        simulate(tmp_path / "signals", progress=stop, **SMALL)
    assert not list(tmp_path.iterdir())

    simulate(tmp_path / "signals", seed=1, **SMALL)
    before = _tree(tmp_path)
    with pytest.raises(raised):
        simulate(tmp_path / "signals", seed=2, progress=stop, **SMALL)
    assert _tree(tmp_path) == before


def test_a_failed_move_keeps_the_earlier_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(tmp_path / "signals", seed=1, **SMALL)
    before = _tree(tmp_path)
    rename = write.os.rename

    def fails_once(old: Path, new: Path) -> None:
        if new.name == "signals" and not old.name.endswith(write.UNFINISHED):
            raise OSError(28, "No space left on device")
        rename(old, new)

    monkeypatch.setattr(write.os, "rename", fails_once)
    with pytest.raises(HomeError, match="No space left"):
        simulate(tmp_path / "signals", seed=2, **SMALL)
    assert _tree(tmp_path) == before


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "signals").mkdir()
    assert simulate(tmp_path / "signals", **SMALL).folder == (tmp_path / "signals").resolve()


def test_other_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "accounts.parquet").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "signals-truth.parquet").write_text("mine")
    before = _tree(tmp_path)
    for out in ("a file", "folder", "other/signals", "other/signals-truth.parquet"):
        with pytest.raises(BadRequest):
            simulate(tmp_path / out, **SMALL)
    assert _tree(tmp_path) == before


def test_a_simulation_with_another_file_is_not_replaced(tmp_path: Path) -> None:
    simulate(tmp_path / "signals", **SMALL)
    (tmp_path / "signals" / "notes.txt").write_text("mine")
    with pytest.raises(BadRequest, match="not an earlier simulation"):
        simulate(tmp_path / "signals", **SMALL)
    assert (tmp_path / "signals" / "notes.txt").read_text() == "mine"
