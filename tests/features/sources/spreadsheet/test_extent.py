"""Cells that reach too far are refused before room is made for them."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from features.errors import SignalsError
from features.sources.open_source import open_source
from features.sources.spreadsheet.extent import ods_extent, xlsx_extent
from tests.features.sources.spreadsheet.workbook_writer import write_workbook

CELLS: list[list[str | float | None]] = [["Account", "ARR"], ["Acme", 100], ["Beta", 200]]
OTHER: list[list[str | float | None]] = [["Notes"], ["far"]]


def _with_rows(path: Path, rows: str, sheet: int = 1) -> Path:
    """Add rows to a sheet of a workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    part = f"xl/worksheets/sheet{sheet}.xml"
    parts[part] = parts[part].replace("</sheetData>", f"{rows}</sheetData>")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize(
    ("rows", "limit"),
    [
        ('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', "200,000 rows and 2,000 columns"),
        ('<row r="4"><c r="XFD4" t="inlineStr"><is><t>a</t></is></c></row>', "200,000 rows and 2,000 columns"),
        ('<row r="1048575"/><row><c><v>1</v></c></row>', "200,000 rows and 2,000 columns"),
        ('<row r="199999"><c s="1" r="BXX199999"><f>1</f><v>1</v></c></row>', "10,000,000 cells"),
    ],
)
def test_a_cell_far_away_is_refused(tmp_path: Path, rows: str, limit: str) -> None:
    path = _with_rows(write_workbook(tmp_path / "c-2026-09-30.xlsx", {"S": CELLS}), rows)
    with pytest.raises(SignalsError, match=f"too large for a spreadsheet\nExpected: at most {limit}"):
        open_source(path)


def test_cells_without_a_value_and_sheets_that_are_not_read_do_not_count(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "c-2026-09-30.xlsx", {"A & B": CELLS, "Far": OTHER})
    _with_rows(path, '<row r="1048576"><c r="XFD1048576" s="1"/><c r="XFC1048576" s="1"></c></row>')
    _with_rows(path, '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', sheet=2)
    assert xlsx_extent(path, "A & B") == (3, 2)
    assert xlsx_extent(path, "Far") == xlsx_extent(path, "another") == (1_048_576, 16_384)
    assert open_source(f"{path}#A & B").tables


def test_the_extent_does_not_depend_on_how_the_file_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_workbook(tmp_path / "c.xlsx", {"S": [[i, None, "text"] for i in range(50)]})
    _with_rows(path, '<row r="60"><c r="Z60"></c><c r="E60"><v>1</v></c><c r="AA60" /></row>')
    for size in (1, 7, 64, 1000):
        monkeypatch.setattr("features.sources.spreadsheet.extent._CHUNK", size)
        assert xlsx_extent(path, "S") == (60, 5)


def _ods(path: Path, rows: str) -> Path:
    content = f"""<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet><table:table table:name="S">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>')
        archive.writestr("content.xml", content)
    return path


ROWS = re.sub(r"\[(\w+)\]", r'<table:table-cell office:value-type="string"><text:p>\1</text:p></table:table-cell>',
    '<table:table-row>[Account][ARR]</table:table-row><table:table-row>[Acme]<table:table-cell office:value-type="float" office:value="5"/>'
    '<table:table-cell table:number-columns-repeated="16000"/></table:table-row>')  # fmt: skip


def test_repeated_cells_of_another_format_count(tmp_path: Path) -> None:
    path = tmp_path / "c-2026-09-30.ods"
    empty = '<table:table-row table:number-rows-repeated="1048574"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
    assert ods_extent(_ods(path, ROWS + empty)) == (2, 2)
    assert open_source(path).tables
    full = empty.replace("/></table", ' office:value-type="float" office:value="1"/></table')
    with pytest.raises(SignalsError, match="too large for a spreadsheet"):
        open_source(_ods(path, ROWS + full))
