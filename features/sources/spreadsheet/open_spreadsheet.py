"""Open a spreadsheet with one row per account as a source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from features.contract.settings import subscription_settings
from features.errors import SignalsError
from features.sources.account_states import AccountStates
from features.sources.base import Source, from_tables
from features.sources.spreadsheet.accounts import read_accounts
from features.sources.spreadsheet.dated_sheets import DatedSheet, cutoff_after, open_dated_sheets
from features.sources.spreadsheet.layout import find_table
from features.sources.spreadsheet.recognition import Recognized, recognize
from features.sources.spreadsheet.sheet_files import DATE_IN_NAME, history_files
from features.sources.spreadsheet.signals import contract_tables, state_rows
from features.sources.spreadsheet.title_dates import rows_with_dates, title_date
from features.sources.spreadsheet.workbook import Address, parse_address, read_sheets
from features.utils.dates import midnight, to_iso
from features.utils.formatting import and_list

HISTORY = (
    "one sheet shows no change over time: trends, usage that falls, and a model that predicts churn need history. Keep "
    "every export in one folder, with its date in the file's name, and use the folder: two more, a quarter apart, show "
    "how ARR, seats and usage change, and about a year of monthly ones is usually enough to train on"
)
MAX_REMEMBERED = 2_000_000
"""How many cells are remembered between asking for the date of spreadsheets and opening them."""
_REMEMBERED: dict[tuple[Address, tuple[int, int, int] | None, str, tuple[str, ...]], Recognized] = {}


def open_spreadsheet(address: Address) -> Source:
    """Open a spreadsheet: its dated facts as tables of the contract, and everything else as states of the accounts.

    A sheet whose column with the date has several dates is a history.

    Parameters
    ----------
    address : the parsed address.

    Raises
    ------
    SignalsError
        If the file cannot be read, no header or account is recognized, or its rows contradict each other.
    """
    sheet = _recognized(address)
    if len(_stated_dates(sheet)) > 1 and address.as_of is None:
        return open_dated_sheets(_by_date(sheet), str(address.path))
    as_of, why = _date_of(sheet, address)
    naive = as_of.replace(tzinfo=None)
    found = read_accounts(sheet, naive)
    source = from_tables(contract_tables(found.accounts, naive), str(address.path))
    notes = [f"as of {to_iso(as_of)}, {why}", *sheet.notes, *sheet.table.notes, *found.notes, HISTORY]
    states = AccountStates(state_rows(found.accounts, naive))
    return Source(source.connection, source.tables, source.origin, notes=notes, states=states, data_through=as_of)


def open_sheet_history(paths: Sequence[Path], origin: str) -> Source:
    """Open files with the same accounts at different dates, such as the exports of each month.

    Parameters
    ----------
    paths : at least two spreadsheets.
    origin : the address, for messages.

    Raises
    ------
    SignalsError
        If a file cannot be read, or the sheets do not fit together.
    """
    sheets = []
    for path in paths:
        address = Address(path)
        sheet = _recognized(address)
        day = _date_of(sheet, address)[0]
        found = read_accounts(sheet, day.replace(tzinfo=None))
        notes = [*sheet.notes, *sheet.table.notes, *found.notes]
        sheets.append(DatedSheet(day, found.accounts, _key(sheet), notes, sheet.currency))
    return open_dated_sheets(sheets, origin)


def sheet_date(address: str) -> datetime | None:
    """Return the date of a spreadsheet, or of the last of several; None if the address is not that of one.

    Raises
    ------
    SignalsError
        If a sheet cannot be read.
    """
    paths = history_files(address)
    if paths:
        return cutoff_after(max(_date_of(_recognized(Address(path), again=True), Address(path))[0] for path in paths))
    parsed = parse_address(address)
    if parsed is None:
        return None
    sheet = _recognized(parsed, again=True)
    dates = _stated_dates(sheet)
    return cutoff_after(max(dates)) if len(dates) > 1 and parsed.as_of is None else _date_of(sheet, parsed)[0]


def _recognized(address: Address, *, again: bool = False) -> Recognized:
    """Read a spreadsheet and recognize its columns.

    Parameters
    ----------
    address : the parsed address.
    again : whether it will be needed once more, as by a command that asks for the date before it opens the sheet. Then
        it is remembered until the next call, if it is not large and its file does not change.
    """
    # The catalogue is imported late, because few sources need it.
    from features.custom.current_catalogue import current_catalogue

    status = address.path.stat() if address.path.is_file() else None
    stamp = None if status is None else (status.st_mtime_ns, status.st_size, status.st_ino)
    key = (address, stamp, subscription_settings().currency, tuple(current_catalogue()))
    sheet = _REMEMBERED.pop(key, None)
    if sheet is None:
        sheet = recognize(find_table(read_sheets(address)), key[-1], address.dates)
    if again and sheet.cells + sum(each.cells for each in _REMEMBERED.values()) <= MAX_REMEMBERED:
        _REMEMBERED[key] = sheet
    return sheet


def _key(sheet: Recognized) -> str:
    return "account_id" if "account_id" in sheet.columns else "name"


def _stated_dates(sheet: Recognized) -> list[datetime]:
    return sorted({midnight(at.replace(tzinfo=UTC)) for at in sheet.values("as_of") if at is not None})


def _by_date(sheet: Recognized) -> list[DatedSheet]:
    """Return the rows of each date as a sheet of its own."""
    sheets = []
    days = [None if at is None else midnight(at.replace(tzinfo=UTC)) for at in sheet.values("as_of")]
    for day in _stated_dates(sheet):
        found = read_accounts(sheet.only([i for i, at in enumerate(days) if at == day]), day.replace(tzinfo=None))
        notes = [*sheet.notes, *sheet.table.notes, *found.notes]
        sheets.append(DatedSheet(day, found.accounts, _key(sheet), notes, sheet.currency))
    return sheets


def _date_of(sheet: Recognized, address: Address) -> tuple[datetime, str]:
    """Return the date of a sheet: the stated one, its column with one, that in the file's name or above the header.

    Without one of these, it is the day on which the file was last changed.

    Raises
    ------
    SignalsError
        If the column has several dates, so that the file is a history of its own.
    """
    stated = _stated_dates(sheet)
    if len(stated) > 1 and address.as_of is None:
        raise SignalsError(
            f"{sheet.table.place}: {sheet.headers['as_of']!r} has {len(stated)} dates",
            "one date in each of several files",
            "open the file alone: it is a history of its own",
        )
    if address.as_of is not None:
        return address.as_of, "as stated"
    if stated:
        return stated[-1], f"the date in {sheet.headers['as_of']!r}"
    if found := DATE_IN_NAME.search(address.path.stem):
        try:
            day = date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            pass
        else:
            return datetime(day.year, day.month, day.day, tzinfo=UTC), "the date in the file's name"
    first = address.dates == "day-first" if address.dates else sheet.day_first
    if titled := title_date(sheet.table.titles, first):
        return titled.replace(tzinfo=UTC), "the date above the header"
    changed = midnight(datetime.fromtimestamp(address.path.stat().st_mtime, UTC))
    why = "the day on which the file was last changed; add ?as_of=DATE to the address for another date"
    unused = rows_with_dates(sheet.table.titles)
    if unused:
        rows = and_list(list(map(str, unused)))
        why += f" (a date in row {rows}, above the header, does not say that it is that of the sheet)"
    return changed, why
