"""Which runs have not been completed, as the home itself knows it: a mark lies there from before a run's first bundle
until the run bears its tag. A run that was broken off in between, even killed, leaves its mark and its bundles behind.

The mark asks no registry, so it also holds where the run's own is away, or another one is in use by now.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from features.utils.atomic_files import UNFINISHED, write_file
from models.home import Home

RUN_ID_LENGTH = 8
"""So many letters of the run's id end the name of each of its bundles' folders: ``<version>-<run>``."""


def mark_started(home: Home, run_id: str) -> None:
    """Mark a run as not completed.

    Raises
    ------
    HomeError : the home cannot be written.
    """
    write_file(_mark(home, run_id), b"")


def mark_completed(home: Home, run_id: str) -> None:
    """Take the mark away, if there is one; where that fails, `renewcast runs` tries again."""
    with suppress(OSError):
        _mark(home, run_id).unlink(missing_ok=True)


def is_completed(home: Home, folder: Path | str) -> bool:
    """Whether the run that wrote this bundle was completed. Bundles of before there were marks count as such."""
    return not _mark(home, run_id_prefix(folder)).exists()


def run_id_prefix(folder: Path | str) -> str:
    """The beginning of the id of the run that wrote a bundle, from its folder's name; empty where it tells none."""
    return Path(folder).name.partition("-")[2]


def _mark(home: Home, run_id: str) -> Path:
    return home.bundles / f".{run_id[:RUN_ID_LENGTH]}{UNFINISHED}"
