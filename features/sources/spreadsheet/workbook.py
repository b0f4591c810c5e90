"""The cells of a spreadsheet: a sheet of a workbook (.xlsx, .xls, .ods), or a CSV file that such a program saved.

A file may have other lines above its header, so that nothing about its columns is assumed here.
"""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

from features.errors import SignalsError
from features.sources.spreadsheet.extent import ods_extent, xlsx_extent
from features.sources.spreadsheet.number_formats import Marks, ods_marks, xlsx_marks
from features.utils.dates import parse_cutoff

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook


class FormattedNumber(float):
    """A number that a workbook shows with a sign.

    Parameters
    ----------
    value : the number as it is stored: 0.8 for 80%.
    mark : ``%``, or the sign or code of a currency.
    """

    __slots__ = ("mark",)

    mark: str

    def __new__(cls, value: float, mark: str) -> FormattedNumber:
        """Return a number with its sign."""
        number = super().__new__(cls, value)
        number.mark = mark
        return number


Cell: TypeAlias = str | float | bool | datetime | date | None
"""A value as the spreadsheet has it; an empty cell is None."""
XLSX = (".xlsx", ".xlsm")
WORKBOOKS = (*XLSX, ".xls", ".ods")
TEXTS = (".csv", ".tsv")
SUFFIXES = (*TEXTS, *WORKBOOKS)
SIZE_LIMIT = 100 * 2**20
"""Maximum size of a file, and of the contents of a compressed workbook, in bytes."""
ROW_LIMIT = 200_000
COLUMN_LIMIT = 2_000
CELL_LIMIT = 10_000_000
"""Maximum number of cells up to the last row and column, empty ones too: each needs memory."""
DELIMITERS = (",", ";", "\t", "|")
DATE_ORDERS = ("day-first", "month-first")
_OPTIONS = {"sheet": "the name of a sheet", "dates": " or ".join(DATE_ORDERS), "as_of": "the date of the sheet"}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Address:
    """The address of a spreadsheet, such as ``customers.xlsx?sheet=Accounts`` or ``customers.xlsx#Accounts``.

    Parameters
    ----------
    path : the file.
    sheet : the name of the sheet; empty for the first one with a header.
    dates : ``day-first`` or ``month-first`` for dates such as 3/4/2026; empty to decide from the values.
    as_of : the date of the sheet; None to read it from the sheet, the name of the file or its last change.
    """

    path: Path
    sheet: str = ""
    dates: str = ""
    as_of: datetime | None = None


@dataclass(frozen=True)
class Sheet:
    """The cells of one sheet.

    Parameters
    ----------
    place : the file and the sheet, for messages.
    rows : its rows from the first one on, so that the position of a row is its number in the program.
    merged : the merged ranges as (first row, first column, last row, last column), from 0.
    """

    place: str
    rows: Sequence[Sequence[Cell]]
    merged: tuple[tuple[int, int, int, int], ...] = ()


def parse_address(text: str) -> Address | None:
    """Return the parts of the address of a spreadsheet; None if it is not one, or there is no such file.

    Raises
    ------
    SignalsError
        If an option of the address is unknown.
    BadRequest
        If the date in it is not valid.

    Examples
    --------
    >>> parse_address("no-such-file.xlsx#Accounts") is None
    True
    """
    if (whole := Path(text)).suffix.lower() in SUFFIXES and whole.is_file():
        return Address(whole)
    for mark in ("?", "#"):
        head, found, rest = text.rpartition(mark)
        path = Path(head)
        if not found or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if mark == "#":
            return Address(path, rest)
        options = dict(parse_qsl(rest, keep_blank_values=True))
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown or options.get("dates", "") not in ("", *DATE_ORDERS):
            wrong = unknown[0][:40] if unknown else "dates"
            raise SignalsError(
                f"the address of {path.name} has an option that cannot be used: {wrong}",
                ", ".join(f"{name}={values}" for name, values in _OPTIONS.items()),
                f"write {path.name}?sheet=NAME&dates=day-first&as_of=2026-09-30",
            )
        as_of = parse_cutoff(options["as_of"]) if options.get("as_of") else None
        return Address(path, options.get("sheet", ""), options.get("dates", ""), as_of)
    return None


def without_options(text: str) -> Path:
    """Return the file or folder of an address, without the options of a spreadsheet.

    Examples
    --------
    >>> without_options("no-such-file.xlsx?sheet=Accounts").name
    'no-such-file.xlsx'
    """
    for mark in ("?", "#"):
        head = text.rpartition(mark)[0]
        if Path(head).suffix.lower() in SUFFIXES:
            return Path(head)
    return Path(text)


def read_sheets(address: Address) -> list[Sheet]:
    """Read the sheets that may contain the accounts: the named one, or all visible ones in order.

    Raises
    ------
    SignalsError
        If the file cannot be read, is too large, or has no such sheet.
    """
    path = address.path
    if path.stat().st_size > SIZE_LIMIT:
        raise _too_large(path, f"{SIZE_LIMIT // 2**20} MiB")
    if path.suffix.lower() in TEXTS:
        if address.sheet:
            raise SignalsError(f"{path.name} has no sheets", "a workbook", "leave out the name of the sheet")
        return [Sheet(path.name, _read_text(path))]
    book = _open_workbook(path)
    names = [each.name for each in book.sheets_metadata if str(each.visible).endswith("Visible")] or book.sheet_names
    if address.sheet:
        same = [name for name in book.sheet_names if name.casefold() == address.sheet.strip().casefold()]
        if not same:
            raise SignalsError(
                f"{path.name} has no sheet of the name in the address",
                f"one of its {len(book.sheet_names)} sheets",
                "check the spelling, or leave it out: the first sheet with a header is then read",
            )
        names = same[:1]
    return [_read_sheet(path, book, name) for name in names]


def _read_sheet(path: Path, book: CalamineWorkbook, name: str) -> Sheet:
    try:
        if zipfile.is_zipfile(path) and path.suffix.lower() in XLSX:
            _require_extent(path, *xlsx_extent(path, name))
        sheet = book.get_sheet_by_name(name)
        _require_extent(path, sheet.total_height, sheet.total_width)
        rows = [[_cell(value) for value in row] for row in sheet.to_python(skip_empty_area=False)]
        for (row, column), mark in _marks(path, name).items():
            if row < len(rows) and column < len(rows[row]) and type(value := rows[row][column]) is float:
                rows[row][column] = FormattedNumber(value, mark)
    except SignalsError:
        raise
    except Exception as error:  # noqa: BLE001 the reader's errors have no common class
        raise _unreadable(path, type(error).__name__) from None
    return Sheet(f"{path.name}, sheet {book.sheet_names.index(name) + 1}", rows, _merged(sheet))


def _marks(path: Path, name: str) -> Marks:
    """Return the signs with which a sheet shows its numbers; none for formats that cannot say."""
    suffix = path.suffix.lower()
    if not zipfile.is_zipfile(path):
        return {}
    return xlsx_marks(path, name) if suffix in XLSX else ods_marks(path, name) if suffix == ".ods" else {}


def _require_extent(path: Path, rows: int, columns: int) -> None:
    """Reject a sheet that reaches too far.

    Raises
    ------
    SignalsError
        If it does.
    """
    if rows > ROW_LIMIT or columns > COLUMN_LIMIT:
        raise _too_large(path, f"{ROW_LIMIT:,} rows and {COLUMN_LIMIT:,} columns")
    if rows * columns > CELL_LIMIT:
        raise _too_large(path, f"{CELL_LIMIT:,} cells, with the empty ones up to the last row and column")


def _merged(sheet: CalamineSheet) -> tuple[tuple[int, int, int, int], ...]:
    """Return the merged ranges; only some formats have them."""
    try:
        ranges = sheet.merged_cell_ranges or []
    except Exception:  # noqa: BLE001 the reader's errors have no common class
        return ()
    return tuple((top, left, bottom, right) for (top, left), (bottom, right) in ranges)


def _open_workbook(path: Path) -> CalamineWorkbook:
    from python_calamine import CalamineWorkbook

    try:
        if path.suffix.lower() != ".xls" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > 4 * SIZE_LIMIT:
                    raise _too_large(path, f"{4 * SIZE_LIMIT // 2**20} MiB without compression")
            if path.suffix.lower() == ".ods":
                # Opening it reads all of its sheets.
                _require_extent(path, *ods_extent(path))
        return CalamineWorkbook.from_path(str(path))
    except SignalsError:
        raise
    except Exception as error:  # noqa: BLE001 the reader's errors have no common class
        raise _unreadable(path, type(error).__name__) from None


def _cell(value: Any) -> Cell:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | datetime | date):
        return value
    if isinstance(value, int | float):
        return float(value)
    # A span or a time of day is not a date, and nothing else is expected.
    return None if value is None or isinstance(value, timedelta) else str(value)


def _text(value: str) -> str | None:
    return " ".join(value.replace("\u00a0", " ").replace("\u202f", " ").split()) or None


def _read_text(path: Path) -> list[list[Cell]]:
    content = path.read_bytes()
    if content.startswith(b"PK\3\4"):
        raise SignalsError(
            f"{path.name}: the file is an Excel workbook or another archive", "CSV", "name the workbook .xlsx"
        )
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SignalsError(
            f"{path.name}: row {content[: error.start].count(10) + 1} is not UTF-8",
            "CSV in UTF-8",
            "save it as CSV UTF-8, or as a workbook (.xlsx)",
        ) from None
    csv.field_size_limit(2**20)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True):
            rows.append(row)
    except csv.Error as error:
        raise _malformed(path, len(rows) + 1, str(error)) from None
    if len(rows) > ROW_LIMIT or max((len(row) for row in rows), default=0) > COLUMN_LIMIT:
        raise _too_large(path, f"{ROW_LIMIT:,} rows and {COLUMN_LIMIT:,} columns")
    return [[_text(value) for value in row] for row in rows]


def _delimiter(text: str) -> str:
    """Return the delimiter by which the first lines have the most values; lines above a header have few."""
    lines = text.splitlines()[:40]
    return max(DELIMITERS, key=lambda mark: max((line.count(mark) for line in lines), default=0))


def _malformed(path: Path, row: int, message: str) -> SignalsError:
    what = (
        "has an unclosed quotation mark"
        if "unexpected end" in message
        else "has a value that is longer than a megabyte, or a quotation mark that is never closed"
        if "limit" in message
        else "has text after a closing quotation mark"
    )
    return SignalsError(
        f"{path.name}: row {row} {what}",
        "values in quotation marks that are closed before the next delimiter, and doubled quotation marks within them",
        "export it again, or save it as a workbook (.xlsx)",
    )


def _too_large(path: Path, limit: str) -> SignalsError:
    return SignalsError(
        f"{path.name} is too large for a spreadsheet", f"at most {limit}", "export it as a folder of tables instead"
    )


def _unreadable(path: Path, why: str) -> SignalsError:
    return SignalsError(
        f"{path.name} cannot be read ({why})", "a spreadsheet", "open it, and save it again as .xlsx or CSV"
    )
