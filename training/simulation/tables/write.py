"""Writing a simulation all at once: into a hidden sibling first, then into place, so nothing half-written is seen."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import BadRequest, HomeError
from features.utils.atomic_files import UNFINISHED, new_file, new_folder

TRUTH_SUFFIX = "-truth.parquet"
"""Ending of the file of true probabilities, after the name of its folder."""
METADATA_KEY = b"renewcast.simulation"
"""Key in the metadata of every file: only a folder that bears it may be replaced."""


@dataclass(frozen=True)
class SimulationPaths:
    """Where a simulation goes: the folder of tables and, beside it, its own file of true probabilities."""

    folder: Path
    truth: Path

    @classmethod
    def at(cls, out: Path) -> SimulationPaths:
        """The target of a path, once it is sure that nothing else would be overwritten.

        Raises
        ------
        BadRequest : ``out`` is a file, a folder that holds anything but an earlier simulation, or a file of the
            truth's name that is not a simulation's lies beside it.
        HomeError : the place cannot be read.
        """
        folder = out.resolve()
        target = cls(folder, folder.parent / f"{folder.name}{TRUTH_SUFFIX}")
        try:
            if folder.exists() and not folder.is_dir():
                raise BadRequest(f"{out} is a file", "a folder that is new or empty", "give another name for OUT")
            if folder.is_dir() and any(folder.iterdir()) and not _is_simulation(folder):
                raise BadRequest(
                    f"{out} holds files that are not an earlier simulation",
                    "a folder that is new, empty, or written by `renewcast simulate`",
                    "give another name for OUT",
                )
            if target.truth.exists() and not _is_marked(target.truth):
                raise BadRequest(
                    f"{out.parent / target.truth.name} is there and was not written by `renewcast simulate`",
                    "a place for the true probabilities",
                    "move that file, or give an OUT in another folder",
                )
        except OSError as error:
            raise HomeError(f"{out} cannot be read ({error.strerror})", "a folder that can be written") from None
        return target


@contextmanager
def atomic_output(target: SimulationPaths) -> Iterator[tuple[Path, Path]]:
    """A hidden folder and a hidden file to write to; both are put in place at the end, or removed on any failure.

    Raises
    ------
    HomeError : the place cannot be written.
    """
    new = target.folder.with_name(f".{target.folder.name}-{uuid.uuid4().hex}")
    with new_file(target.truth) as truth:
        with new_folder(new) as fresh:
            yield fresh, truth
        _move_into_place(new, target.folder)


def write_table(slices: Iterable[pa.Table], path: Path, told: str) -> int:
    """Write a table's slices (at least one) as one Parquet file with ``told`` as its mark; returns the rows written.

    Dictionaries are an encoding here, never a type: readers see plain strings.
    """
    slices = iter(slices)
    first = next(slices)
    rows = 0
    with pq.ParquetWriter(path, first.schema, compression="zstd", store_schema=False) as writer:
        for piece in chain([first], slices):
            writer.write_table(piece)
            rows += piece.num_rows
        writer.add_key_value_metadata({METADATA_KEY: told})
    return rows


def _move_into_place(new: Path, place: Path) -> None:
    """Rename a folder into its place. An earlier simulation there is set aside first, and returns if that fails."""
    old = new.with_name(f"{new.name}{UNFINISHED}")
    try:
        if place.exists():
            os.rename(place, old)
        os.rename(new, place)
    except BaseException:
        if old.exists():
            os.rename(old, place)
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _is_simulation(folder: Path) -> bool:
    """Whether every entry of a folder was written by a simulation."""
    return all(_is_marked(entry) for entry in folder.iterdir())


def _is_marked(path: Path) -> bool:
    """Whether a path is a file of a simulation."""
    if not path.is_file() or path.suffix != ".parquet":
        return False
    try:
        return METADATA_KEY in (pq.read_metadata(path).metadata or {})
    except pa.ArrowInvalid:
        return False
