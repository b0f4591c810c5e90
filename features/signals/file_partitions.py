"""The files of a feed, identified by their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow.parquet as pq

from features.errors import RenewcastError
from features.utils.atomic_files import write_file
from features.utils.dates import epoch_micros, parse_instant
from features.utils.json_cache import read_cache

UNKNOWN_SPAN = (-(2**62), 2**62)
"""The span of a file without known instants."""
Record: TypeAlias = tuple[int, int, str, int, int]
"""Size and modification time of a file, and the digest and span that it had with them."""


@dataclass(frozen=True)
class FilePartition:
    """One file: its path, a digest of its content, and its first and last instant (microseconds since 1970)."""

    path: Path
    digest: str
    first: int
    last: int


def file_partitions(files: Sequence[Path], folder: Path) -> list[FilePartition]:
    """Describe ``files``, reading only those whose size or modification time differs from the record in ``folder``."""
    notes = folder / "files.json"
    recorded: dict[str, Record] = read_cache(notes, dict[str, Record]) or {}
    current: dict[str, Record] = {}
    partitions = []
    for path in files:
        about = path.stat()
        key, stamp = str(path.absolute()), (about.st_size, about.st_mtime_ns)
        note = recorded.get(key)
        if note is None or note[:2] != stamp:
            note = (*stamp, _digest(path), *_span(path))
        current[key] = note
        partitions.append(FilePartition(path, *note[2:]))
    if any(recorded.get(key) != note for key, note in current.items()):
        # Records of other feeds' files stay as long as the files exist.
        others = {key: note for key, note in recorded.items() if key not in current and Path(key).exists()}
        write_file(notes, json.dumps(others | current))
    return partitions


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _span(path: Path) -> tuple[int, int]:
    """Return the first and last instant from the file's statistics; `UNKNOWN_SPAN` if there are none."""
    about = pq.read_metadata(path)
    names = about.schema.to_arrow_schema().names
    if "occurred_at" not in names or not about.num_row_groups:
        return UNKNOWN_SPAN
    place = [about.row_group(0).column(i).path_in_schema for i in range(about.num_columns)].index("occurred_at")
    edges = []
    for group in range(about.num_row_groups):
        statistics = about.row_group(group).column(place).statistics
        if statistics is None or not statistics.has_min_max:
            return UNKNOWN_SPAN
        edges += [statistics.min, statistics.max]
    try:
        instants = [_micros(edge) for edge in edges]
    except (TypeError, RenewcastError):
        return UNKNOWN_SPAN
    return min(instants), max(instants)


def _micros(value: Any) -> int:
    if not isinstance(value, date | datetime):
        raise TypeError
    return epoch_micros(parse_instant(value))
