"""Private files and folders under the home: modes 0600 and 0700, whatever the umask.

Windows has no such modes, and nothing is done there: a user's folders are private by inheritance. A process that writes
under a home sets a strict umask (`restrict_umask`), so that files created by libraries (SQLite, MLflow) are private
from the start. Files outside the home get the modes of the user's own umask.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

POSIX = os.name == "posix"
STRICT_UMASK = 0o077

_user_umask: int | None = None
_root: Path | None = None


def restrict_umask(root: Path) -> None:
    """Make files written by this process and its children private.

    Outside ``root``, files written with `features.utils.atomic_files` get the modes of the user's umask.
    """
    global _user_umask, _root
    _root = root
    if POSIX and _user_umask is None:
        _user_umask = os.umask(STRICT_UMASK)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents. Existing folders are unchanged.

    Raises
    ------
    OSError : the folder cannot be created.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        apply_file_mode(each)


def apply_file_mode(path: Path) -> None:
    """Set the mode of a new file or folder: private under the home, by the user's umask elsewhere."""
    if not POSIX or _root is None or _user_umask is None:
        return
    with suppress(OSError):
        if path.absolute().is_relative_to(_root):
            make_private(path)
        else:
            path.chmod((0o777 if path.is_dir() else 0o666) & ~_user_umask)


def apply_tree_modes(root: Path) -> None:
    """Apply `apply_file_mode` to a folder and everything in it."""
    for path in (root, *root.rglob("*")):
        apply_file_mode(path)


def make_private(path: Path) -> None:
    """Remove access for group and others. Links and files of other users are unchanged."""
    if not POSIX:
        return
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not path.is_symlink() and mode & STRICT_UMASK:
            path.chmod(mode & 0o700)


def make_tree_private(root: Path) -> None:
    """Apply `make_private` to a folder and everything in it, without following links."""
    if not POSIX:
        return
    make_private(root)
    for place, folders, files in os.walk(root):
        for name in (*folders, *files):
            make_private(Path(place, name))
