"""The currency or percent sign with which a workbook shows a number.

A program stores 80% as 0.8 and € 1,000 as 1000. Only the format of the cell has the sign, and the reader of workbooks
leaves formats out, so they are read from the compressed file.
"""

from __future__ import annotations

import re
import zipfile
from itertools import product
from pathlib import Path

from features.sources.spreadsheet.extent import attributes_of, ods_tags, part_of, text_of_part, xlsx_cells

PERCENT = "%"
CURRENCY_MARK = re.compile(
    r"us\$|[$€£¥₹]|\bkr\b|(?<=\d)kr\b|\b(?:usd|eur|gbp|chf|cad|aud|nzd|sgd|hkd|mxn|zar|jpy|cny|krw|inr|ils|sek|nok|dkk"
    r"|isk|pln|czk|huf|ron|brl)\b",
    re.IGNORECASE,
)
"""A sign or code of a currency in a text."""
_STYLES = "xl/styles.xml"
_PERCENT_IDS = ("9", "10")
"""The formats of percentages that a workbook uses without defining them."""
_FORMAT = re.compile(r"<(?:\w+:)?numFmt\s[^<>]*>")
_CELL_FORMATS = re.compile(r"<(?:\w+:)?cellXfs\b.*?</(?:\w+:)?cellXfs>", re.DOTALL)
_CELL_FORMAT = re.compile(r"<(?:\w+:)?xf(?=[\s/>])[^<>]*>")
_STYLE = re.compile(rb"(?<![\w:])s\s*=\s*[\"']\s*(\d+)")
_CURRENCY = re.compile(r"\[\$([^\]\-]*)(?:-[^\]]*)?\]")
_BRACKETS = re.compile(r"\[[^\]]*\]")
_ODS_NAME = re.compile(rb"table:name\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_ODS_TYPE = re.compile(rb"office:value-type\s*=\s*[\"'](currency|percentage)")
_ODS_CURRENCY = re.compile(rb"office:currency\s*=\s*[\"']([^\"']{1,8})")

Marks = dict[tuple[int, int], str]
"""The sign of cells, by row and column from 0: `PERCENT`, or the sign or code of a currency."""


def format_mark(code: str) -> str:
    """Return the percent sign, or the sign or code of a currency, that a number format shows; empty if none.

    Examples
    --------
    >>> format_mark("0.0%"), format_mark("[$€-407] #,##0.00"), format_mark('#,##0 "kr"'), format_mark("#,##0.00")
    ('%', '€', 'kr', '')
    """
    first = code.split(";")[0]
    found: list[str] = [text.strip() for text in _CURRENCY.findall(first) if text.strip()]
    if found:
        return found[0]
    shown = _BRACKETS.sub("", first)
    if PERCENT in shown:
        return PERCENT
    named = CURRENCY_MARK.search(shown)
    return named[0] if named else ""


def xlsx_marks(path: Path, sheet: str) -> Marks:
    """Return the signs of the numbers in a sheet of an .xlsx workbook.

    Parameters
    ----------
    path : the workbook.
    sheet : the name of the sheet.
    """
    marks: Marks = {}
    with zipfile.ZipFile(path) as archive:
        names = {entry.filename.casefold(): entry for entry in archive.infolist()}
        part = part_of(archive, sheet)
        styles = _marked_styles(text_of_part(archive, names[_STYLES])) if _STYLES in names else {}
        if part is None or not styles:
            return marks
        for row, column, found in xlsx_cells(archive, names[part]):
            style = _STYLE.search(found[2])
            if style and (mark := styles.get(int(style[1]))):
                marks[row - 1, column - 1] = mark
    return marks


def ods_marks(path: Path, sheet: str) -> Marks:
    """Return the signs of the numbers in a sheet of an .ods workbook.

    Parameters
    ----------
    path : the workbook, whose extent has been checked.
    sheet : the name of the sheet.
    """
    marks: Marks = {}
    with zipfile.ZipFile(path) as archive:
        for tag in ods_tags(archive):
            given, kind = _ODS_NAME.search(tag.sheet), _ODS_TYPE.search(tag.found[3])
            if not tag.is_cell or kind is None or given is None or (given[1] or given[2] or b"") != sheet.encode():
                continue
            currency = _ODS_CURRENCY.search(tag.found[3])
            mark = PERCENT if kind[1] == b"percentage" else currency[1].decode() if currency else ""
            if mark:
                rows, columns = range(tag.row, tag.row + tag.rows), range(tag.column, tag.column + tag.repeated)
                marks |= dict.fromkeys(product(rows, columns), mark)
    return marks


def _marked_styles(styles: str) -> dict[int, str]:
    """Return the signs of the cell formats of a workbook that show one, by position."""
    codes = {each.get("numFmtId"): each.get("formatCode", "") for each in map(attributes_of, _FORMAT.findall(styles))}
    formats = _CELL_FORMATS.search(styles)
    marks = {}
    for i, tag in enumerate(_CELL_FORMAT.findall(formats[0]) if formats else ()):
        number = attributes_of(tag).get("numFmtId", "")
        mark = format_mark(codes[number]) if number in codes else PERCENT if number in _PERCENT_IDS else ""
        if mark:
            marks[i] = mark
    return marks
