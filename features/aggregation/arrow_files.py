"""Arrow tables on disk, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from features.utils.atomic_files import new_file


def write_table(path: Path, table: pa.Table) -> None:
    """Write an Arrow table to ``path``, all of it or none.

    Raises
    ------
    HomeError
        If the place cannot be written.
    """
    # A file in Arrow's file format has one dictionary for each of its columns.
    with (
        new_file(path) as beside,
        pa.OSFile(str(beside), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table.unify_dictionaries())


def read_table(path: Path) -> pa.Table:
    """The table at ``path``, left on disk until it is looked at."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
