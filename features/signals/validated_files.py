"""A record of the validated files of large feeds, so that only new files are checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from features.contract.schema import TABLES
from features.signals.file_partitions import FilePartition, file_partitions
from features.signals.validation import CheckReport, check_source
from features.sources.base import Source
from features.utils.atomic_files import write_file
from features.utils.dates import epoch_micros
from features.utils.json_cache import read_cache


@dataclass(frozen=True)
class _Valid:
    """The content of ``sound.json``: a digest of the contract, and the digests of the files that fulfil it."""

    contract: str
    files: list[str]


def check_new_files(source: Source, until: datetime | None, names: Sequence[str], folder: Path) -> CheckReport:
    """Check a source, but only files of the tables ``names`` that were not validated before.

    Parameters
    ----------
    source, until : as in `features.signals.validation.check_source`.
    names : tables stored in files (`Source.files`).
    folder : the folder of the record.

    Returns
    -------
    CheckReport
        If a new file violates the contract, the report of the whole source, so that row positions are correct.

    Raises
    ------
    HomeError
        If the folder cannot be written.
    """
    notes = folder / "sound.json"
    valid = _read(notes)
    partitions = {name: file_partitions(source.files[name], folder) for name in names}
    new = {name: [part for part in partitions[name] if part.digest not in valid] for name in names}
    report = check_source(source, until, {name: [part.path for part in new[name]] for name in names}, look=False)
    if not report.ok:
        return check_source(source, until, look=False)
    added = {part.digest for name in names for part in _fully_read(new[name], until)}
    if added:
        write_file(notes, json.dumps(asdict(_Valid(_contract(), sorted(valid | added)))))
    return report


def _fully_read(parts: Sequence[FilePartition], until: datetime | None) -> list[FilePartition]:
    """Return the files without rows after ``until``."""
    return [part for part in parts if until is None or part.last < epoch_micros(until)]


def _contract() -> str:
    """Return a digest of the contract."""
    return hashlib.sha256(repr(TABLES).encode()).hexdigest()


def _read(notes: Path) -> set[str]:
    record = read_cache(notes, _Valid)
    return set(record.files) if record is not None and record.contract == _contract() else set()
