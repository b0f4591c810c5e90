"""Writing what is kept: beside the place, then renamed into it, so that a reader finds all of it or none."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pyarrow as pa

from features.errors import HomeError


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, all of it or none.

    Raises
    ------
    HomeError
        If the place cannot be written.
    """
    beside = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise HomeError(f"cannot write {path}: {error.strerror}", "a place that can be written") from error
    finally:
        beside.unlink(missing_ok=True)


def write_table(path: Path, table: pa.Table) -> None:
    """Write an Arrow table to ``path``, all of it or none.

    Raises
    ------
    HomeError
        If the place cannot be written.
    """
    beside = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file in Arrow's file format has one dictionary for each of its columns.
        with pa.OSFile(str(beside), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table.unify_dictionaries())
        os.replace(beside, path)
    except OSError as error:
        raise HomeError(f"cannot write {path}: {error.strerror}", "a place that can be written") from error
    finally:
        beside.unlink(missing_ok=True)


def read_table(path: Path) -> pa.Table:
    """The table at ``path``, left on disk until it is looked at."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
