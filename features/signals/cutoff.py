"""The date of an assessment: the one that was requested, or the end of the data."""

from __future__ import annotations

from datetime import datetime

from features.errors import BadRequest, SignalsError
from features.signals.data_through import newest_instant
from features.sources.base import DUCKDB
from features.sources.files import WILDCARDS, glob_paths
from features.sources.open_source import open_source
from features.sources.spreadsheet.sheet_files import is_spreadsheet
from features.sources.spreadsheet.workbook import without_options
from features.utils.cli import print_note
from features.utils.dates import DAY, midnight, parse_cutoff, to_iso


def cutoff_of(signals: str, as_of: str | None, engine: str = DUCKDB) -> datetime:
    """Return the instant up to which signals are read.

    Parameters
    ----------
    signals : the address of the signals.
    as_of : the requested date; None for the date of a spreadsheet, or else the end of the data, which is printed as a
        note.
    engine : the query engine.

    Raises
    ------
    BadRequest
        If the date is not valid, or a spreadsheet is of a later date.
    SignalsError
        If the signals cannot be read, or there is no such file or folder.
    """
    date = _sheet_date(signals)
    if as_of is None:
        if date is not None:
            return date
        _require_present(signals)
        end = end_of_data(signals, engine)
        print_note(f"as of {to_iso(end)}, the end of the data; --as-of DATE chooses another date")
        return end
    instant = parse_cutoff(as_of)
    if date is not None and instant < date:
        raise BadRequest(
            f"the spreadsheet shows the accounts at {to_iso(date)}, and not at {to_iso(instant)}",
            "the date of the sheet or a later one",
            "leave out --as-of, or add ?as_of=DATE to the address if that is the date of the sheet",
        )
    return instant


def end_of_data(signals: str, engine: str) -> datetime:
    """Return the midnight (UTC) after the newest row of the signals; see `features.signals.data_through`.

    Parameters
    ----------
    signals : the address of the signals.
    engine : the query engine.

    Raises
    ------
    SignalsError
        If the signals cannot be read, or no row has a date in the past.
    """
    source = open_source(signals, engine)
    try:
        newest = newest_instant(source)
    finally:
        source.connection.disconnect()
    # Rows are known before an instant, so those of the newest midnight are read only by the next one.
    return newest if newest == source.data_through else midnight(newest) + DAY


def _sheet_date(signals: str) -> datetime | None:
    if not is_spreadsheet(signals):
        return None
    # Imported late: most commands read other sources.
    from features.sources.spreadsheet.open_spreadsheet import sheet_date

    return sheet_date(signals)


def _require_present(signals: str) -> None:
    """Reject the address of a file or folder that does not exist; others are checked when they are opened.

    Raises
    ------
    SignalsError
        If there is nothing at the address.
    """
    if "://" in signals:
        return
    path = without_options(signals)
    if not (glob_paths(path) if any(character in str(path) for character in WILDCARDS) else path.exists()):
        raise SignalsError(
            f"no such file or folder: {signals}",
            "the address of a spreadsheet, or of other signals",
            "check the path, or give the whole path",
        )
