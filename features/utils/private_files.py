"""Folders and files under the home that only their owner may read: 0700 and 0600, whatever the umask. Windows knows no
such modes, and nothing is done there: a user's folders are private by inheritance.

A process that writes under a home takes a strict umask (`keep_private`), so that files which libraries make there
(SQLite, MLflow) are private from their first byte. What it writes elsewhere gets the modes of the user's own umask.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

POSIX = os.name == "posix"
STRICT_UMASK = 0o077

_user_umask: int | None = None
_root: Path | None = None


def keep_private(root: Path) -> None:
    """From now on, this process and its children write files for their owner only; outside ``root``, what
    `features.utils.atomic_files` writes has the modes that the user's umask gives."""
    global _user_umask, _root
    _root = root
    if POSIX and _user_umask is None:
        _user_umask = os.umask(STRICT_UMASK)


def make_folder(folder: Path) -> None:
    """Make a folder and the parents that are missing. Folders that exist are left alone.

    Raises
    ------
    OSError : it cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        settle(each)


def settle(path: Path) -> None:
    """Give a new file or folder the mode that its place asks for: private under the home, as the user's umask has it
    elsewhere."""
    if not POSIX or _root is None or _user_umask is None:
        return
    with suppress(OSError):
        if path.absolute().is_relative_to(_root):
            make_private(path)
        else:
            path.chmod((0o777 if path.is_dir() else 0o666) & ~_user_umask)


def settle_tree(root: Path) -> None:
    """`settle` a folder and everything in it."""
    for path in (root, *root.rglob("*")):
        settle(path)


def make_private(path: Path) -> None:
    """Take a file or folder away from group and others. Links, and what belongs to another user, stay as they are."""
    if not POSIX:
        return
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not path.is_symlink() and mode & STRICT_UMASK:
            path.chmod(mode & 0o700)


def make_tree_private(root: Path) -> None:
    """`make_private` a folder and everything under it; links are not followed."""
    if not POSIX:
        return
    make_private(root)
    for place, folders, files in os.walk(root):
        for name in (*folders, *files):
            make_private(Path(place, name))
