"""Which files are spreadsheets. Other sources are opened without the modules that read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from features.contract.current_contract import current_tables
from features.sources.files import WILDCARDS, glob_paths
from features.sources.spreadsheet.workbook import SUFFIXES, parse_address

DATE_IN_NAME = re.compile(r"(?<!\d)(20\d{2})[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")


def is_spreadsheet(address: str) -> bool:
    """Return whether ``address`` is that of a spreadsheet, or of several.

    Raises
    ------
    SignalsError, BadRequest
        If an option of the address is unknown or not valid.
    """
    return bool(history_files(address)) or parse_address(address) is not None


def history_files(address: str) -> list[Path]:
    """Return the spreadsheets in a folder or pattern of files, if there are several and no table of the contract."""
    place = Path(address)
    if "://" in address:
        return []
    if place.is_dir():
        paths = sorted(place.iterdir())
    elif any(character in address for character in WILDCARDS):
        paths = glob_paths(place)
    else:
        return []
    found = sheet_files(paths)
    return found if len(found) > 1 and all(DATE_IN_NAME.search(path.stem) for path in found) else []


def sheet_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that may be sheets of different dates; none if one of the paths is a table of the contract."""
    tables = current_tables()
    if any(path.name.split(".")[0].casefold() in tables for path in paths):
        return []
    return sorted(
        path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file() and path.name[0] not in ".~"
    )
