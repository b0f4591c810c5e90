"""Open a spreadsheet with one row per account as a source."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from features.errors import SignalsError
from features.sources.account_states import AccountStates
from features.sources.base import Source, from_tables
from features.sources.spreadsheet.accounts import read_accounts
from features.sources.spreadsheet.layout import find_table
from features.sources.spreadsheet.recognition import Recognized, recognize
from features.sources.spreadsheet.signals import contract_tables, state_rows
from features.sources.spreadsheet.workbook import Address, parse_address, read_sheets
from features.utils.dates import midnight, to_iso

HISTORY = (
    "one sheet shows no change over time: trends, usage that falls, and a model that predicts churn need history. Keep "
    "every export: two more, a quarter apart, show how ARR, seats and usage change, and about a year of monthly ones, "
    "or the tables of the billing system and the product, are enough to train on (docs/how-to/spreadsheets.md)"
)
_DATE_IN_NAME = re.compile(r"(?<!\d)(20\d{2})[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")


def open_spreadsheet(address: Address) -> Source:
    """Open a spreadsheet: its dated facts as tables of the contract, and everything else as states of the accounts.

    Parameters
    ----------
    address : the parsed address.

    Raises
    ------
    SignalsError
        If the file cannot be read, no header or account is recognized, or its rows contradict each other.
    """
    # The catalogue is imported late, because few sources need it.
    from features.custom.current_catalogue import current_catalogue

    sheet = recognize(find_table(read_sheets(address)), tuple(current_catalogue()), address.dates)
    as_of, why = _date_of(sheet, address)
    naive = as_of.replace(tzinfo=None)
    found = read_accounts(sheet, naive)
    tables = contract_tables(found.accounts, naive)
    source = from_tables(tables, str(address.path))
    notes = [f"as of {to_iso(as_of)}, {why}", *sheet.notes, *sheet.table.notes, *found.notes, HISTORY]
    states = AccountStates(state_rows(found.accounts, naive))
    return Source(source.connection, source.tables, source.origin, notes=notes, states=states, data_through=as_of)


def sheet_date(address: str) -> datetime | None:
    """Return the date of a spreadsheet; None if the address is not that of one.

    Raises
    ------
    SignalsError
        If the sheet cannot be read.
    """
    parsed = parse_address(address)
    if parsed is None:
        return None
    return _date_of(recognize(find_table(read_sheets(parsed)), dates=parsed.dates), parsed)[0]


def _date_of(sheet: Recognized, address: Address) -> tuple[datetime, str]:
    """Return the date of a sheet: the stated one, its column with one, that in the file's name, or the last change.

    Raises
    ------
    SignalsError
        If the column has several dates.
    """
    stated = {at for at in sheet.values("as_of") if at is not None}
    if len(stated) > 1:
        raise SignalsError(
            f"{sheet.table.place}: {sheet.headers['as_of']!r} has {len(stated)} dates",
            "the accounts at one date",
            "save one date as a sheet of its own, or map the table with the pack `snapshots`",
        )
    if address.as_of is not None:
        return address.as_of, "as stated"
    if stated:
        return midnight(stated.pop().replace(tzinfo=UTC)), f"the date in {sheet.headers['as_of']!r}"
    if found := _DATE_IN_NAME.search(address.path.stem):
        try:
            day = date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            pass
        else:
            return datetime(day.year, day.month, day.day, tzinfo=UTC), "the date in the file's name"
    changed = datetime.fromtimestamp(address.path.stat().st_mtime, UTC)
    return midnight(
        changed
    ), "the day on which the file was last changed; add ?as_of=DATE to the address for another date"
