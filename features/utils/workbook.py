"""Workbooks (.xlsx): typed cells, a frozen header with filters, and formats by kind of value.

Text is never a formula.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, Literal

from features.errors import BadRequest
from features.utils.formatting import date_form

CellKind = Literal["text", "truth", "whole", "number", "points", "money", "share", "date", "instant"]
"""The kind of the values of a column.

``whole`` and ``number`` are plain numbers, ``points`` has one decimal, ``money`` is an amount in the currency of the
signals, ``share`` is a number from 0 to 1 that is shown as a percentage, ``date`` is a `datetime.date` and ``instant``
a `datetime.datetime`, shown in UTC.
"""

FORMATS: dict[str, str] = {
    "whole": "#,##0",
    "points": "0.0",
    "money": "#,##0",
    "share": "0.0%",
}
"""The number format of each kind; dates have that of `features.utils.formatting.date_form`, others the general one."""
MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ROWS, MAX_COLUMNS, MAX_TEXT = 1_048_576, 16_384, 32_767
"""What one sheet of the format can hold: rows with the header, columns, and characters of a cell."""
WIDTHS = (9, 48)
"""The least and the greatest width of a column, in characters."""
_FIRST_DAY = date(1900, 3, 1)
"""Spreadsheets count the days before it in different ways, so earlier dates are text."""
_CREATED = datetime(2000, 1, 1)
"""A fixed date of creation, so that the same rows give the same bytes."""
_MEASURED_ROWS = 1_000
_NO_CHARACTERS = re.compile("[\ud800-\udfff\ufffe\uffff]")
"""Code points that XML does not allow and XlsxWriter does not escape."""


@dataclass(frozen=True)
class SheetColumn:
    """One column: its heading and the kind of its values."""

    title: str
    kind: CellKind


@dataclass(frozen=True)
class Sheet:
    """One sheet.

    Parameters
    ----------
    name : at most 31 characters, without any of ``[]:*?/\\``.
    columns : its columns.
    rows : one value for each column; None is an empty cell.
    """

    name: str
    columns: Sequence[SheetColumn]
    rows: Sequence[Sequence[Any]]


def write_workbook(target: Path | BinaryIO, sheets: Sequence[Sheet]) -> None:
    """Write sheets to an .xlsx file. The same sheets give the same bytes.

    A number has 15 digits, as in every spreadsheet. A NaN is an empty cell, as None is.

    Parameters
    ----------
    target : the file or the stream to write to.
    sheets : at least one.

    Raises
    ------
    BadRequest
        If a sheet has more rows, columns or characters in a cell than the format allows.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from io import BytesIO
    >>> stream = BytesIO()
    >>> columns = [SheetColumn("Account", "text"), SheetColumn("Churn risk", "share")]
    >>> write_workbook(stream, [Sheet("Accounts", columns, [["=1+1", 0.25], ["b", None]])])
    >>> stream.getvalue()[:2]
    b'PK'
    """
    for sheet in sheets:
        _check_size(sheet)
    # Imported here because only exports need it.
    import xlsxwriter

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(target) if isinstance(target, Path) else target, options) as book:
        book.set_properties({"created": _CREATED})
        head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        dates = date_form().workbook
        formats = {
            kind: book.add_format({"num_format": form})
            for kind, form in {**FORMATS, "date": dates, "instant": f"{dates} hh:mm"}.items()
        }
        for sheet in sheets:
            page = book.add_worksheet(sheet.name)
            page.freeze_panes(1, 1)
            if sheet.columns:
                page.autofilter(0, 0, len(sheet.rows), len(sheet.columns) - 1)
            for place, column in enumerate(sheet.columns):
                page.set_column(place, place, _width(sheet, place))
                page.write_string(0, place, column.title, head)
            for number, row in enumerate(sheet.rows, start=1):
                for place, (column, value) in enumerate(zip(sheet.columns, row, strict=True)):
                    _write_cell(page, number, place, value, formats.get(column.kind))


def _write_cell(page: Any, row: int, place: int, value: Any, form: Any) -> None:
    if value is None or (isinstance(value, float) and value != value):
        return
    if isinstance(value, bool):
        page.write_boolean(row, place, value)
    elif isinstance(value, int | float) and isfinite(value):
        page.write_number(row, place, value, form)
    elif isinstance(value, date) and (day := _plain_instant(value)) is not None:
        page.write_datetime(row, place, day, form)
    else:
        text = value.isoformat() if isinstance(value, date) else str(value)
        page.write_string(row, place, _NO_CHARACTERS.sub("\ufffd", text))


def _plain_instant(value: date) -> date | None:
    """Return a date, or an instant in UTC without its zone, which the format lacks; None if it is too early."""
    if isinstance(value, datetime):
        value = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo is not None else value
        return value if value.date() >= _FIRST_DAY else None
    return value if value >= _FIRST_DAY else None


def _width(sheet: Sheet, place: int) -> int:
    """Return the width of a column: that of its longest value among the first rows, within `WIDTHS`."""
    title, kind = sheet.columns[place].title, sheet.columns[place].kind
    longest = max(map(len, title.split()), default=0) + 3
    for row in sheet.rows[:_MEASURED_ROWS]:
        value = row[place]
        text = value if isinstance(value, str) else f"{value:,.1f}" if isinstance(value, float) else str(value or "")
        longest = max(longest, len(text) + 1)
    return min(max(longest, WIDTHS[0], 19 if kind == "instant" else 13 if kind == "date" else 0), WIDTHS[1])


def _check_size(sheet: Sheet) -> None:
    cure = "write a .csv or .parquet file"
    if len(sheet.rows) >= MAX_ROWS:
        raise BadRequest(f"{len(sheet.rows):,} rows", f"at most {MAX_ROWS - 1:,} in a workbook", cure)
    if len(sheet.columns) > MAX_COLUMNS:
        raise BadRequest(f"{len(sheet.columns):,} columns", f"at most {MAX_COLUMNS:,} in a workbook", cure)
    longest = max((len(value) for row in sheet.rows for value in row if isinstance(value, str)), default=0)
    if longest > MAX_TEXT:
        raise BadRequest(f"a text of {longest:,} characters", f"at most {MAX_TEXT:,} in a cell of a workbook", cure)
