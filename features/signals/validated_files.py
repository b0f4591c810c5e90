"""Which files of large feeds were found sound before, so that only new ones are looked through."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from features.contract.schema import TABLES
from features.signals.file_partitions import Lot, lots_of
from features.signals.validation import CheckReport, check
from features.sources.base import Source
from features.utils.atomic_files import write_file
from features.utils.dates import epoch_micros


def check_new(source: Source, until: datetime | None, names: Sequence[str], folder: Path) -> CheckReport:
    """`features.signals.validation.check`, looking through files of the tables ``names`` only if they were not found
    sound before.

    Parameters
    ----------
    source, until : as for the check.
    names : tables that lie in files (`Source.files`).
    folder : where it is noted which files were found sound.

    Returns
    -------
    CheckReport
        If a new file breaks the contract, that of the whole source, so that the rows' positions are right.

    Raises
    ------
    HomeError
        If the folder cannot be written.
    """
    notes = folder / "sound.json"
    sound = _read(notes)
    lots = {name: lots_of(source.files[name], folder) for name in names}
    new = {name: [lot for lot in lots[name] if lot.digest not in sound] for name in names}
    report = check(source, until, {name: [lot.path for lot in new[name]] for name in names}, look=False)
    if not report.ok:
        return check(source, until, look=False)
    found = {lot.digest for name in names for lot in _seen_whole(new[name], until)}
    if found:
        write_file(notes, json.dumps({"contract": _contract(), "files": sorted(sound | found)}))
    return report


def _seen_whole(lots: Sequence[Lot], until: datetime | None) -> list[Lot]:
    """The files of which no row was passed over for being too late."""
    return [lot for lot in lots if until is None or lot.last < epoch_micros(until)]


def _contract() -> str:
    """What a file was held against."""
    return hashlib.sha256(repr(TABLES).encode()).hexdigest()


def _read(notes: Path) -> set[str]:
    try:
        told: Mapping[str, object] = json.loads(notes.read_bytes())
        files = told["files"] if told["contract"] == _contract() else []
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return set(files) if isinstance(files, list) else set()
