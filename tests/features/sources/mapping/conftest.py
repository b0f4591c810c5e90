"""Mappings over a few rows in CSV files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from features.sources.base import Source
from features.sources.open_source import open_source

OpenMapped = Callable[..., Source]
Rows = list[dict[str, Any]]


def write_csv(path: Path, text: str) -> None:
    """Write a table whose cells are separated by blanks; ``-`` is an empty cell and ``_`` a blank."""
    lines = [line.split() for line in text.strip().splitlines()]
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [",".join("" if cell == "-" else cell.replace("_", " ") for cell in line) for line in lines]
    path.write_text("\n".join([",".join(lines[0]), *cells[1:]]) + "\n", encoding="utf-8")


def rows_of(source: Source, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return the sorted rows of a table, with instants as text."""
    frame = source.tables[table].to_pyarrow().to_pylist()
    return sorted((tuple(_plain(row[column]) for column in columns) for row in frame), key=str)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


@pytest.fixture
def open_mapped(tmp_path: Path) -> OpenMapped:
    """Return a function that opens the text of a mapping over CSV files by path."""

    def open_text(text: str, files: Mapping[str, str]) -> Source:
        for name, rows in files.items():
            write_csv(tmp_path / f"{name}.csv", rows)
        (tmp_path / "mapping.toml").write_text(text, encoding="utf-8")
        return open_source(tmp_path / "mapping.toml")

    return open_text
