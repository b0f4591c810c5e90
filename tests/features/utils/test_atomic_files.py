import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from features.errors import HomeError
from features.utils.atomic_files import new_file, new_folder, write_file


def test_write_file_replaces_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.json"
    write_file(file, "one")
    write_file(file, b"two")
    assert file.read_text() == "two"
    assert os.listdir(file.parent) == ["a.json"]


def _fill_file(path: Path, then: BaseException) -> None:
    with new_file(path) as partial:
        assert partial.suffix == path.suffix
        partial.write_text("half")
        raise then


def _fill_folder(path: Path, then: BaseException) -> None:
    with new_folder(path) as partial:
        (partial / "half").write_text("half")
        raise then


INTERRUPTIONS = [KeyboardInterrupt(), SystemExit(), ValueError()]


@pytest.mark.parametrize("then", INTERRUPTIONS)
def test_an_interrupted_file_leaves_the_old_one_and_nothing_else(tmp_path: Path, then: BaseException) -> None:
    file = tmp_path / "a.csv"
    write_file(file, "old")
    with pytest.raises(type(then)):
        _fill_file(file, then)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("then", INTERRUPTIONS)
def test_an_interrupted_folder_leaves_nothing(tmp_path: Path, then: BaseException) -> None:
    with pytest.raises(type(then)):
        _fill_folder(tmp_path / "3", then)
    assert os.listdir(tmp_path) == []


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    with new_folder(tmp_path / "3") as partial:
        (partial / "a").write_text("1")
        assert not (tmp_path / "3").exists()
    assert (tmp_path / "3" / "a").read_text() == "1"
    assert os.listdir(tmp_path) == ["3"]


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "old").write_text("old")
    with pytest.raises(HomeError, match="already exists"), new_folder(tmp_path / "3") as partial:
        (partial / "a").write_text("1")
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == ["3", "3/old"]


def test_an_unwritable_path_raises_an_error_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HomeError, match=r"cannot write.*\n.*\nFix: free some space"):
        write_file(tmp_path / "file" / "a.json", "x")


@pytest.mark.parametrize("fill", [_fill_file, _fill_folder])
def test_a_full_disk_raises_an_error_and_leaves_no_files(tmp_path: Path, fill: Callable[..., None]) -> None:
    with pytest.raises(HomeError, match=r"cannot write .*a\.csv: No space left on device"):
        fill(tmp_path / "a.csv", OSError(28, "No space left on device"))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_device_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    for name, kind in (("/dev/full", "No space left"), ("/dev/null", "")):
        before = os.listdir("/dev")
        if kind:
            with pytest.raises(HomeError, match=f"cannot write /dev/full: {kind}"):
                write_file(Path(name), "x")
        else:
            write_file(Path(name), "x")
        assert stat.S_ISCHR(Path(name).stat().st_mode)
        assert os.listdir("/dev") == before
    link = tmp_path / "link.csv"
    link.symlink_to("/dev/full")
    with pytest.raises(HomeError, match="No space left"):
        write_file(link, "x")
    assert link.is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_named_pipe_gets_the_content(tmp_path: Path) -> None:
    pipe, received = tmp_path / "pipe.json", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    write_file(pipe, "whole")
    reader.join(10)
    assert received == ["whole"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
