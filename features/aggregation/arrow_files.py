"""Arrow tables on disk, written atomically."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from features.utils.atomic_files import new_file


def write_table(path: Path, table: pa.Table) -> None:
    """Write an Arrow table to ``path`` atomically.

    Raises
    ------
    HomeError
        If the file cannot be written.
    """
    # A file in Arrow's file format has exactly one dictionary per column.
    with (
        new_file(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table.unify_dictionaries())


def read_table(path: Path) -> pa.Table:
    """Map the table at ``path`` into memory; its columns are read from disk when used."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
