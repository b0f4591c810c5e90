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

_CHUNK = 2**20
_TAG_LIMIT = 2**26
"""Maximum length of a tag with the text after it, in bytes."""
_FAR = 2**31
"""The extent of a workbook that no spreadsheet program writes."""
_MAX_REPEATED = 2**20
XLSX_TAG = re.compile(rb"<(?:\w+:)?(?:(row)|c)(?=[\s/>])([^<>]*?)(/?)>(\s*</)?")
XLSX_REFERENCE = re.compile(rb"(?<![\w:])r\s*=\s*[\"']\s*([A-Za-z]*)(\d*)")
ODS_TAG = re.compile(
    rb"<table:(?:(table)|(table-row)|(?:covered-)?table-cell)(?=[\s/>])([^<>]*?)(/?)>(?:\s*</table:(?:covered-)?table-cell)?"
)
ODS_REPEATED = re.compile(rb"number-(?:rows|columns)-repeated\s*=\s*[\"']\s*(\d+)")
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
    largest, row, column, repeated = (0, 0), 0, 0, 0
    with zipfile.ZipFile(path) as archive:
        for found in matches(archive, archive.getinfo("content.xml"), ODS_TAG):
            count = int(times[1]) if (times := ODS_REPEATED.search(found[3])) else 1
            if count > _MAX_REPEATED:
                return _FAR, _FAR
            if found[1]:
                row = column = repeated = 0
            elif found[2]:
                row, column, repeated = row + repeated, 0, count
            else:
                column += count
                if b"office:value" in found[3] or not (found[4] or found[0].rstrip().endswith(b"table-cell")):
                    largest = max(largest[0], row + repeated), max(largest[1], column)
    return largest


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
    rows = columns = row = column = 0
    for found in matches(archive, entry, XLSX_TAG):
        reference = XLSX_REFERENCE.search(found[2])
        if found[1]:
            row, column = int(reference[2]) if reference and reference[2] else row + 1, 0
            continue
        column += 1
        if reference:
            row, column = int(reference[2] or row), column_number(reference[1]) or column
        if not found[3] and not found[4]:
            rows, columns = max(rows, row), max(columns, column)
    return rows, columns


def column_number(letters: bytes) -> int:
    """Return the number of a column from its letters: 1 for A; 0 if there are none."""
    number = 0
    for letter in letters[:8].upper():
        number = 26 * number + letter - 64
    return number


def matches(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
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
