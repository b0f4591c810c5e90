"""Writing whole files and folders, or nothing: beside the place, then renamed into it."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from features.errors import HomeError
from features.utils.private_files import make_folder, settle, settle_tree

CURE = "free some space, or choose a place that may be written to (RENEWCAST_HOME, or the output path)"

#: What is being written bears this ending, so that a listing can pass it over.
UNFINISHED = ".unfinished"

_under_way: set[Path] = set()


def write_file(path: Path, content: str | bytes) -> None:
    """Write ``content`` (text as UTF-8) to ``path``, replacing what was there, all of it or none.

    Raises
    ------
    HomeError : the place cannot be written.
    """
    with new_file(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path beside ``path``, with the same suffix, to write to; renamed over ``path`` once the block ends well.

    The block should only write. If it fails in any way, an interrupt included, ``path`` is as it was and nothing is
    left beside it.

    Raises
    ------
    HomeError : the place cannot be written.
    """
    beside = path.with_name(f".{path.stem}-{uuid.uuid4().hex}{UNFINISHED}{path.suffix}")
    with _told_as_home_error(path):
        _under_way.add(beside)
        try:
            make_folder(path.parent)
            yield beside
            settle(beside)
            _to_disk(beside)
            os.replace(beside, path)
            _to_disk(path.parent)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            _under_way.discard(beside)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside ``path`` to fill; renamed to ``path`` once the block ends well.

    If the block fails in any way, an interrupt included, there is no ``path`` and nothing is left beside it.

    Raises
    ------
    HomeError : the place cannot be written, or something is there already (a folder is never overwritten).
    """
    beside = path.with_name(f".{path.name}-{uuid.uuid4().hex}{UNFINISHED}")
    with _told_as_home_error(path):
        _under_way.add(beside)
        try:
            make_folder(path.parent)
            beside.mkdir()
            yield beside
            settle_tree(beside)
            for inner in sorted(beside.rglob("*"), reverse=True):
                _to_disk(inner)
            _to_disk(beside)
            if path.exists():
                raise HomeError(f"{path} exists already", "a folder that does not exist yet", "choose another name")
            os.rename(beside, path)
            _to_disk(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            _under_way.discard(beside)


def make_passing_folder() -> Path:
    """A new folder for temporary files that its owner alone may enter; it goes with the process, at the latest.

    Raises
    ------
    OSError : it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix="renewcast-")).resolve()
    _under_way.add(folder)
    return folder


def remove_passing_folder(folder: Path) -> None:
    """Remove what `make_passing_folder` made."""
    shutil.rmtree(folder, ignore_errors=True)
    _under_way.discard(folder)


def discard_unfinished() -> None:
    """Remove what this process is writing, before it ends without leaving its blocks."""
    for path in list(_under_way):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Ask the system to keep ``path`` (a file, or a folder's list of names) through a loss of power."""
    if os.name == "nt":
        # Windows opens no folder, and syncs only what is open for writing.
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _told_as_home_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HomeError(
            f"cannot write {path}: {error.strerror or error}", "a place that can be written", CURE
        ) from error
