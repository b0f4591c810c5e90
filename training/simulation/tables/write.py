"""Atomic output of a simulation: written to a hidden folder first, then moved into place."""

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
"""Suffix of the file of true probabilities, after the name of the folder."""
METADATA_KEY = b"renewcast.simulation"
"""Metadata key of every written file. Only folders with such files may be replaced."""


@dataclass(frozen=True)
class SimulationPaths:
    """Output paths of a simulation: the folder of tables, and the file of true probabilities next to it."""

    folder: Path
    truth: Path

    @classmethod
    def at(cls, out: Path) -> SimulationPaths:
        """Return the output paths, after a check that no other files would be overwritten.

        Raises
        ------
        BadRequest
            ``out`` is a file, or the folder or the truth file exists and is not an earlier simulation.
        HomeError
            The folder cannot be read.
        """
        folder = out.resolve()
        target = cls(folder, folder.parent / f"{folder.name}{TRUTH_SUFFIX}")
        try:
            if folder.exists() and not folder.is_dir():
                raise BadRequest(f"{out} is a file", "a new or empty folder", "choose another folder")
            if folder.is_dir() and any(folder.iterdir()) and not _is_simulation(folder):
                raise BadRequest(
                    f"{out} contains files that are not an earlier simulation",
                    "a folder that is new, empty, or written by `renewcast simulate`",
                    "choose another folder",
                )
            if target.truth.exists() and not _is_marked(target.truth):
                raise BadRequest(
                    f"{out.parent / target.truth.name} exists and was not written by `renewcast simulate`",
                    "a path for the true probabilities that does not exist yet",
                    "move that file, or choose another folder",
                )
        except OSError as error:
            raise HomeError(f"{out} cannot be read ({error.strerror})", "a writable folder") from None
        return target


@contextmanager
def atomic_output(target: SimulationPaths) -> Iterator[tuple[Path, Path]]:
    """Provide a hidden folder and file to write to; they are moved into place at the end, or removed on failure.

    Raises
    ------
    HomeError
        The folder cannot be written.
    """
    new = target.folder.with_name(f".{target.folder.name}-{uuid.uuid4().hex}")
    with new_file(target.truth) as truth:
        with new_folder(new) as folder:
            yield folder, truth
        _move_into_place(new, target.folder)


def write_parquet(slices: Iterable[pa.Table], path: Path, metadata: str) -> int:
    """Write the slices of a table as one Parquet file.

    Dictionary columns are written as plain strings.

    Parameters
    ----------
    slices : at least one.
    path : the file.
    metadata : metadata to store under `METADATA_KEY`.

    Returns
    -------
    The number of rows written.
    """
    slices = iter(slices)
    first = next(slices)
    rows = 0
    with pq.ParquetWriter(path, first.schema, compression="zstd", store_schema=False) as writer:
        for table_slice in chain([first], slices):
            writer.write_table(table_slice)
            rows += table_slice.num_rows
        writer.add_key_value_metadata({METADATA_KEY: metadata})
    return rows


def _move_into_place(new: Path, destination: Path) -> None:
    """Move a folder into place. An earlier simulation is moved away first, and restored on failure."""
    old = new.with_name(f"{new.name}{UNFINISHED}")
    try:
        if destination.exists():
            os.rename(destination, old)
        os.rename(new, destination)
    except BaseException:
        if old.exists():
            os.rename(old, destination)
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _is_simulation(folder: Path) -> bool:
    """Whether every file of a folder was written by a simulation."""
    return all(_is_marked(entry) for entry in folder.iterdir())


def _is_marked(path: Path) -> bool:
    """Whether a path is a file written by a simulation."""
    if not path.is_file() or path.suffix != ".parquet":
        return False
    try:
        return METADATA_KEY in (pq.read_metadata(path).metadata or {})
    except pa.ArrowInvalid:
        return False
