"""Marker files in the home for runs that are not completed.

A marker exists from before a run's first bundle until the run has its completion tag. A run that was interrupted or
killed in between leaves its marker and its bundles behind. The markers need no registry, so they also work if the run's
registry is unreachable or no longer in use.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from features.utils.atomic_files import UNFINISHED, write_file
from models.home import Home

RUN_ID_LENGTH = 8
"""Length of the run ID's prefix in the folder name of a bundle: ``<version>-<run>``."""


def mark_started(home: Home, run_id: str) -> None:
    """Mark a run as not completed.

    Parameters
    ----------
    home : the home.
    run_id : the MLflow run.

    Raises
    ------
    HomeError
        If the home cannot be written.
    """
    write_file(_marker(home, run_id), b"")


def mark_completed(home: Home, run_id: str) -> None:
    """Remove the marker of a run, if there is one. If that fails, `renewcast runs` tries again.

    Parameters
    ----------
    home : the home.
    run_id : the MLflow run.
    """
    with suppress(OSError):
        _marker(home, run_id).unlink(missing_ok=True)


def is_completed(home: Home, folder: Path | str) -> bool:
    """Return whether the run that wrote this bundle was completed.

    Bundles written before markers existed count as completed.
    """
    return not _marker(home, run_id_prefix(folder)).exists()


def run_id_prefix(folder: Path | str) -> str:
    """Return the prefix of the ID of the run that wrote a bundle, from its folder's name; empty if there is none."""
    return Path(folder).name.partition("-")[2]


def _marker(home: Home, run_id: str) -> Path:
    return home.bundles / f".{run_id[:RUN_ID_LENGTH]}{UNFINISHED}"
