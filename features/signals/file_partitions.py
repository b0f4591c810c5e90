"""The files that a feed lies in, known by their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from features.errors import RenewcastError
from features.utils.atomic_files import write_file
from features.utils.dates import epoch_micros, parse_instant

ALWAYS = (-(2**62), 2**62)
"""The span of a file that does not tell its instants."""


@dataclass(frozen=True)
class Lot:
    """One file: where it is, what is in it (a digest of its bytes), and its first and last instant (microseconds since
    1970)."""

    path: Path
    digest: str
    first: int
    last: int


def lots_of(files: Sequence[Path], folder: Path) -> list[Lot]:
    """The lots of ``files``. A file is read only if its size or its time of change is not as noted in ``folder``."""
    notes = folder / "files.json"
    noted = _read(notes)
    found, lots = {}, []
    for path in files:
        about = path.stat()
        key, stamp = str(path.absolute()), [about.st_size, about.st_mtime_ns]
        note = noted.get(key)
        if note is None or note[:2] != stamp:
            note = [*stamp, _digest(path), *_span(path)]
        found[key] = note
        lots.append(Lot(path, *note[2:]))
    if any(noted.get(key) != note for key, note in found.items()):
        # Files elsewhere are another feed's, and their notes stay as long as they do.
        others = {key: note for key, note in noted.items() if key not in found and Path(key).exists()}
        write_file(notes, json.dumps(others | found))
    return lots


def _read(notes: Path) -> dict[str, list[Any]]:
    try:
        return dict(json.loads(notes.read_bytes()))
    except (OSError, ValueError):
        return {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _span(path: Path) -> tuple[int, int]:
    """The first and last instant by the file's own statistics; `ALWAYS` where it has none."""
    about = pq.read_metadata(path)
    names = about.schema.to_arrow_schema().names
    if "occurred_at" not in names or not about.num_row_groups:
        return ALWAYS
    place = [about.row_group(0).column(i).path_in_schema for i in range(about.num_columns)].index("occurred_at")
    edges = []
    for group in range(about.num_row_groups):
        statistics = about.row_group(group).column(place).statistics
        if statistics is None or not statistics.has_min_max:
            return ALWAYS
        edges += [statistics.min, statistics.max]
    try:
        instants = [_micros(edge) for edge in edges]
    except (TypeError, RenewcastError):
        return ALWAYS
    return min(instants), max(instants)


def _micros(value: Any) -> int:
    if not isinstance(value, date | datetime):
        raise TypeError
    return epoch_micros(parse_instant(value))
