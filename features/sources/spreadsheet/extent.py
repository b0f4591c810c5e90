"""How far the cells of a workbook reach.

The reader of workbooks makes room for every cell up to the last one with a value. One cell in the last row and column
would need more memory than there is, so that the extent is read from the compressed file first.
"""

from __future__ import annotations

import html
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_CHUNK = 2**20
_TAG_LIMIT = 2**26
"""Maximum length of a tag with the text after it, in bytes."""
_FAR = 2**31
"""The extent of a workbook that no spreadsheet program writes."""
_MAX_REPEATED = 2**20
_XLSX_TAG = re.compile(rb"<(?:\w+:)?(?:(row)|c)(?=[\s/>])([^<>]*?)(/?)>(\s*</)?")
_XLSX_REFERENCE = re.compile(rb"(?<![\w:])r\s*=\s*[\"']\s*([A-Za-z]*)(\d*)")
_ODS_TAG = re.compile(
    rb"<table:(?:(table)|(table-row)|(?:covered-)?table-cell)(?=[\s/>])([^<>]*?)(/?)>(?:\s*</table:(?:covered-)?table-cell)?"
)
_ODS_REPEATED = re.compile(rb"number-(?:rows|columns)-repeated\s*=\s*[\"']\s*(\d+)")
_SHEET = re.compile(r"<(?:\w+:)?sheet\s[^<>]*>")
_RELATIONSHIP = re.compile(r"<(?:\w+:)?Relationship\s[^<>]*>")
_ATTRIBUTE = re.compile(r"([\w:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


def xlsx_extent(path: Path, sheet: str) -> tuple[int, int]:
    """Return the last row and the last column with a value in a sheet of an .xlsx workbook, from 1.

    Parameters
    ----------
    path : the workbook.
    sheet : the name of the sheet. If the workbook does not say where it is, the largest extent of all parts counts.
    """
    with zipfile.ZipFile(path) as archive:
        part = part_of(archive, sheet)
        parts = [entry for entry in archive.infolist() if part is None or entry.filename.casefold() == part]
        extents = [_xlsx_part_extent(archive, entry) for entry in parts]
    return max(rows for rows, _ in extents), max(columns for _, columns in extents)


def ods_extent(path: Path) -> tuple[int, int]:
    """Return the last row and the last column with a value in the largest sheet of an .ods workbook, from 1."""
    largest = 0, 0
    with zipfile.ZipFile(path) as archive:
        for tag in ods_tags(archive):
            if tag.repeated > _MAX_REPEATED:
                return _FAR, _FAR
            found = tag.found
            if tag.is_cell and (
                b"office:value" in found[3] or not (found[4] or found[0].rstrip().endswith(b"table-cell"))
            ):
                largest = max(largest[0], tag.row + tag.rows), max(largest[1], tag.column + tag.repeated)
    return largest


class OdsTag(NamedTuple):
    """The tag of a sheet, a row or a cell of an .ods workbook.

    Parameters
    ----------
    sheet : the attributes of its sheet.
    row, column : its first row and column, from 0.
    rows : how often its row is repeated.
    repeated : how often it is repeated itself.
    found : the tag; group 3 has its attributes.
    """

    sheet: bytes
    row: int
    column: int
    rows: int
    repeated: int
    found: re.Match[bytes]

    @property
    def is_cell(self) -> bool:
        """Whether it is the tag of a cell."""
        return not self.found[1] and not self.found[2]


def ods_tags(archive: zipfile.ZipFile) -> Iterator[OdsTag]:
    """Yield the tags of all sheets of an .ods workbook in order."""
    sheet, row, column, rows = b"", 0, 0, 0
    for found in _matches(archive, archive.getinfo("content.xml"), _ODS_TAG):
        repeated = int(times[1]) if (times := _ODS_REPEATED.search(found[3])) else 1
        if found[1]:
            sheet, row, column, rows = found[3], 0, 0, 0
        elif found[2]:
            row, column, rows = row + rows, 0, repeated
        tag = OdsTag(sheet, row, column, rows, repeated, found)
        yield tag
        if tag.is_cell:
            column += repeated


def part_of(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the name of the part of an .xlsx workbook with a sheet, in lower case; None if it is not found."""
    names = {entry.filename.casefold(): entry for entry in archive.infolist()}
    try:
        book = text_of_part(archive, names["xl/workbook.xml"])
        relationships = text_of_part(archive, names["xl/_rels/workbook.xml.rels"])
    except KeyError:
        return None
    targets = {
        each.get("Id"): each.get("Target", "") for each in map(attributes_of, _RELATIONSHIP.findall(relationships))
    }
    ids = [
        next((value for name, value in each.items() if name.endswith(":id")), None)
        for each in map(attributes_of, _SHEET.findall(book))
        if each.get("name") == sheet
    ]
    if len(ids) != 1:
        return None
    target = (targets.get(ids[0]) or "").casefold()
    part = target[1:] if target.startswith("/") else target if target.startswith("xl/") else f"xl/{target}"
    return part if part in names else None


def attributes_of(tag: str) -> dict[str, str]:
    """Return the attributes of an XML tag by name."""
    return {name: html.unescape(one or two) for name, one, two in _ATTRIBUTE.findall(tag)}


def text_of_part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    """Return the beginning of a part of a workbook, at most 64 MiB, as text."""
    with archive.open(entry) as stream:
        return stream.read(_TAG_LIMIT).decode("utf-8", "replace")


def _xlsx_part_extent(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[int, int]:
    rows = columns = 0
    for row, column, found in xlsx_cells(archive, entry):
        if not found[3] and not found[4]:
            rows, columns = max(rows, row), max(columns, column)
    return rows, columns


def xlsx_cells(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[tuple[int, int, re.Match[bytes]]]:
    """Yield the cells of a sheet of an .xlsx workbook: row and column from 1, and the tag (`_XLSX_TAG`)."""
    row = column = 0
    for found in _matches(archive, entry, _XLSX_TAG):
        reference = _XLSX_REFERENCE.search(found[2])
        if found[1]:
            row, column = int(reference[2]) if reference and reference[2] else row + 1, 0
            continue
        column += 1
        if reference:
            row, column = int(reference[2] or row), _column_number(reference[1]) or column
        yield row, column, found


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters[:8].upper():
        number = 26 * number + letter - 64
    return number


def _matches(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Yield the tags of a part without reading it as a whole.

    Raises
    ------
    ValueError
        If a tag has no end.
    """
    rest = b""
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK):
            rest += chunk
            # All tags before the last one are complete, and so is each of them with the one that follows it.
            cut = rest.rfind(b"<", 0, max(rest.rfind(b"<"), 0))
            if cut < 0:
                if len(rest) > _TAG_LIMIT:
                    raise ValueError("a tag has no end")
                continue
            for found in pattern.finditer(rest):
                if found.start() >= cut:
                    break
                yield found
            rest = rest[cut:]
    yield from pattern.finditer(rest)
