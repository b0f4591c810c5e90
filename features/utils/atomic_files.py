"""Atomic writes of files and folders: write a temporary copy next to the target, then rename it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from features.errors import HomeError
from features.utils.private_files import apply_file_mode, apply_tree_modes, make_folder

CURE = "free some space, or choose a writable location (RENEWCAST_HOME, or the output path)"

#: Error numbers of a disk that is full, is read-only or has failed.
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})

#: Suffix of unfinished files and folders, so that listings can skip them.
UNFINISHED = ".unfinished"

_in_progress: set[Path] = set()


def write_file(path: Path, content: str | bytes) -> None:
    """Write ``content`` (text as UTF-8) to ``path``, replacing any existing file atomically.

    Raises
    ------
    HomeError : the path cannot be written.
    """
    with new_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the same suffix, and rename it to ``path`` when the block succeeds.

    The block should only write. If it fails for any reason, including an interrupt, ``path`` is unchanged and the
    temporary file is removed. A device or pipe, such as /dev/stdout, is not replaced: the content is copied to it.

    Raises
    ------
    HomeError : the path cannot be written.
    """
    if _is_device(path):
        with _os_errors_as_home_error(path), tempfile.TemporaryDirectory(prefix="renewcast-") as folder:
            content = Path(folder, f"content{path.suffix}")
            yield content
            with content.open("rb") as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        return
    partial = path.with_name(f".{path.stem}-{uuid.uuid4().hex}{UNFINISHED}{path.suffix}")
    with _os_errors_as_home_error(path):
        _in_progress.add(partial)
        try:
            make_folder(path.parent)
            yield partial
            apply_file_mode(partial)
            _fsync(partial)
            os.replace(partial, path)
            _fsync(path.parent)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            _in_progress.discard(partial)


def _is_device(path: Path) -> bool:
    """Return whether the path is that of a device or pipe, or of an open file (/dev/stdout, /dev/fd, /proc)."""
    if path.absolute().parts[1:2] in (("dev",), ("proc",)) and path.exists():
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder, and rename it to ``path`` when the block succeeds.

    If the block fails for any reason, including an interrupt, ``path`` is not created and the temporary folder is
    removed.

    Raises
    ------
    HomeError : the path cannot be written, or it exists already (a folder is never overwritten).
    """
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex}{UNFINISHED}")
    with _os_errors_as_home_error(path):
        _in_progress.add(partial)
        try:
            make_folder(path.parent)
            partial.mkdir()
            yield partial
            apply_tree_modes(partial)
            for inner in sorted(partial.rglob("*"), reverse=True):
                _fsync(inner)
            _fsync(partial)
            if path.exists():
                raise HomeError(f"{path} already exists", "a folder that does not exist yet", "choose another name")
            os.rename(partial, path)
            _fsync(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            _in_progress.discard(partial)


def make_temporary_folder() -> Path:
    """Create a folder for temporary files that only its owner can read; it is removed when the process ends.

    Raises
    ------
    OSError : the folder cannot be created.
    """
    folder = Path(tempfile.mkdtemp(prefix="renewcast-")).resolve()
    _in_progress.add(folder)
    return folder


def remove_temporary_folder(folder: Path) -> None:
    """Remove a folder created by `make_temporary_folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    _in_progress.discard(folder)


def discard_unfinished() -> None:
    """Remove the unfinished files and folders of this process, before it exits without unwinding its blocks."""
    for path in list(_in_progress):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    """Flush ``path`` (a file or a folder's entries) to disk, so that it survives a power loss."""
    if os.name == "nt":
        # Windows cannot open folders this way, and syncs only files that are open for writing.
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _os_errors_as_home_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: str | Path, error: OSError) -> HomeError:
    """Return the error to report if ``path`` cannot be written."""
    return HomeError(f"cannot write {path}: {error.strerror or error}", "a writable path with free space", CURE)
