"""The date of an assessment: the one that was requested, or that of a spreadsheet."""

from __future__ import annotations

from datetime import datetime

from features.errors import BadRequest, SignalsError
from features.sources.files import WILDCARDS, glob_paths
from features.utils.dates import parse_cutoff, to_iso


def cutoff_of(signals: str, as_of: str | None) -> datetime:
    """Return the instant up to which signals are read.

    Parameters
    ----------
    signals : the address of the signals.
    as_of : the requested date; None for the date of a spreadsheet.

    Raises
    ------
    BadRequest
        If the date is missing or not valid, or a spreadsheet is of a later date.
    SignalsError
        If a spreadsheet cannot be read, or there is no such file or folder.
    """
    # Imported late: most commands read other sources.
    from features.sources.spreadsheet.open_spreadsheet import sheet_date

    date = sheet_date(signals)
    if as_of is None:
        if date is None:
            _require_present(signals)
            raise BadRequest(
                "--as-of is missing", "--as-of DATE", "`renewcast check` prints the date through which the data reach"
            )
        return date
    instant = parse_cutoff(as_of)
    if date is not None and instant < date:
        raise BadRequest(
            f"the spreadsheet shows the accounts at {to_iso(date)}, and not at {to_iso(instant)}",
            "the date of the sheet or a later one",
            "leave out --as-of, or add ?as_of=DATE to the address if that is the date of the sheet",
        )
    return instant


def _require_present(signals: str) -> None:
    """Reject the address of a file or folder that does not exist; others are checked when they are opened.

    Raises
    ------
    SignalsError
        If there is nothing at the address.
    """
    from features.sources.spreadsheet.workbook import without_options

    if "://" in signals:
        return
    path = without_options(signals)
    if not (glob_paths(path) if any(character in str(path) for character in WILDCARDS) else path.exists()):
        raise SignalsError(
            f"no such file or folder: {signals}",
            "the address of a spreadsheet, or of other signals",
            "check the path, or give the whole path",
        )
