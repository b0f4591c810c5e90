"""A small writer of .xlsx files, so that the tests own the workbooks that they read."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from xml.sax.saxutils import escape

Value = str | float | date | bool | None
_TYPES = """<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>{sheets}</Types>"""
_SHEET_TYPE = '<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
_RELS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{entries}</Relationships>'
_REL = '<Relationship Id="rId{i}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/>'
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
# Style 1 shows a number as a date.
_STYLES = f'<styleSheet {_MAIN}><fonts count="1"><font/></fonts><fills count="1"><fill/></fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>'


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[Value]]], merged: Sequence[str] = ()) -> Path:
    """Write sheets by name; ``merged`` are the merged ranges of the first one, such as A2:A3."""
    count = len(sheets)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES.format(sheets="".join(_SHEET_TYPE.format(i=i + 1) for i in range(count))))
        archive.writestr("_rels/.rels", _RELS.format(entries=_REL.format(i=1, kind="officeDocument", target="xl/workbook.xml")))
        names = "".join(
            f'<sheet name="{escape(name)}" sheetId="{i + 1}" r:id="rId{i + 1}"/>' for i, name in enumerate(sheets)
        )
        relationships = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
        archive.writestr("xl/workbook.xml", f"<workbook {_MAIN} {relationships}><sheets>{names}</sheets></workbook>")
        entries = "".join(_REL.format(i=i + 1, kind="worksheet", target=f"worksheets/sheet{i + 1}.xml") for i in range(count))
        archive.writestr("xl/_rels/workbook.xml.rels", _RELS.format(entries=entries + _REL.format(i=count + 1, kind="styles", target="styles.xml")))
        archive.writestr("xl/styles.xml", _STYLES)
        for i, rows in enumerate(sheets.values()):
            ranges = "".join(f'<mergeCell ref="{ref}"/>' for ref in merged) if i == 0 else ""
            merge = f'<mergeCells count="{len(merged)}">{ranges}</mergeCells>' if ranges else ""
            data = "".join(_row(number, row) for number, row in enumerate(rows, 1))
            archive.writestr(f"xl/worksheets/sheet{i + 1}.xml", f"<worksheet {_MAIN}><sheetData>{data}</sheetData>{merge}</worksheet>")
    return path


def _row(number: int, row: Sequence[Value]) -> str:
    cells = "".join(_cell(f"{chr(65 + i)}{number}", value) for i, value in enumerate(row) if value is not None)
    return f'<row r="{number}">{cells}</row>'


def _cell(ref: str, value: Value) -> str:
    if isinstance(value, str):
        return f'<c r="{ref}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    if isinstance(value, bool):
        return f'<c r="{ref}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, date):
        return f'<c r="{ref}" s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    return f'<c r="{ref}"><v>{value}</v></c>'
