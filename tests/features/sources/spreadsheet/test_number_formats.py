"""A workbook shows 0.8 as 80% and 1000 as € 1,000; the format of the cell says which."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import xlsxwriter

from features.errors import SignalsError
from features.sources.spreadsheet.number_formats import format_mark
from features.sources.spreadsheet.workbook import Address, FormattedNumber, read_sheets
from tests.features.sources.spreadsheet.test_open_spreadsheet import _features, open_source

HEADER = ("Account", "ARR", "Usage %")


def _xlsx(path: Path, rows: Sequence[tuple[str, float, str, float, str]]) -> str:
    """Write accounts with their ARR and its format, and their usage and its format."""
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, HEADER)
    for i, (name, arr, arr_format, usage, usage_format) in enumerate(rows, 1):
        sheet.write(i, 0, name)
        sheet.write_number(i, 1, arr, book.add_format({"num_format": arr_format}))
        sheet.write_number(i, 2, usage, book.add_format({"num_format": usage_format}))
    book.close()
    return str(path)


@pytest.mark.parametrize(
    ("code", "mark"),
    [
        ("0.0%", "%"), ("0%;[Red]-0%", "%"), ("[$€-407] #,##0.00", "€"), ("#,##0.00\\ [$€-1]", "€"), ("[$$-409]#,##0", "$"),
        ('_-* #,##0.00\\ "€"_-;-* #,##0.00', "€"), ("\\£#,##0", "£"), ("[$USD] 0.00", "USD"), ('#,##0 "kr"', "kr"),
        ("#,##0.00", ""), ("General", ""), ("[$-409]d/m/yy h:mm AM/PM;@", ""), ("[h]:mm:ss", ""), ('0.0,"k"', ""), ("@", ""),
    ],
)  # fmt: skip
def test_the_sign_of_a_format(code: str, mark: str) -> None:
    assert format_mark(code) == mark


@pytest.mark.parametrize("usage_format", ["0%", "0.00%", "0.0 %"])
def test_percentages_of_a_workbook_are_what_it_shows(tmp_path: Path, usage_format: str) -> None:
    rows = [("A", 1.0, "0", 0.45, usage_format), ("B", 2.0, "0", 0.8, usage_format), ("C", 3.0, "0", 1.2, usage_format)]
    path = _xlsx(tmp_path / "customers-2026-09-30.xlsx", rows)
    assert _features(open_source(path))["usage.seats_used_share"].tolist() == pytest.approx([0.45, 0.8, 1.2])


def test_percentages_with_and_without_a_format_can_stand_together(tmp_path: Path) -> None:
    rows = [("A", 1.0, "0", 0.45, "0%"), ("B", 2.0, "0", 80.0, "0"), ("C", 3.0, "0", 0.02, "0%")]
    path = _xlsx(tmp_path / "customers-2026-09-30.xlsx", rows)
    assert _features(open_source(path))["usage.seats_used_share"].tolist() == pytest.approx([0.45, 0.8, 0.02])


def test_currencies_that_only_the_formats_name_are_not_added_up(tmp_path: Path) -> None:
    rows = [("A", 1000.0, "[$€-407]#,##0.00", 0.5, "0%"), ("B", 2000.0, "[$$-409]#,##0.00", 0.5, "0%")]
    path = _xlsx(tmp_path / "customers-2026-09-30.xlsx", rows)
    with pytest.raises(SignalsError, match="amounts are in 2 currencies"):
        open_source(path)
    one = _xlsx(tmp_path / "others-2026-09-30.xlsx", [("A", 1000.25, '#,##0.00\\ "€"', 0.5, "0%"), ("B", 2000.0, "[$EUR] 0", 0.5, "0%")])
    assert _features(open_source(one))["contract.arr"].tolist() == [1000.25, 2000.0]


def test_signs_of_an_ods_workbook(tmp_path: Path) -> None:
    text = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    number = '<table:table-cell office:value-type="{}" {}office:value="{}"/>'
    row = "<table:table-row>{}</table:table-row>"
    header = row.format("".join(map(text.format, HEADER)))
    lines = "".join(
        row.format(
            text.format(name) + number.format("currency", f'office:currency="{code}" ', arr) + number.format("percentage", "", usage)
        )
        for name, arr, code, usage in (("A", 1000, "EUR", 0.45), ("B", 2000, "EUR", 0.8))
    )
    content = (
        '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">'
        f'<office:body><office:spreadsheet><table:table table:name="Accounts">{header}{lines}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    path = tmp_path / "customers-2026-09-30.ods"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>')
    (sheet,) = read_sheets(Address(path))
    assert [[cell.mark for cell in row if isinstance(cell, FormattedNumber)] for row in sheet.rows] == [[], ["EUR", "%"], ["EUR", "%"]]
    assert _features(open_source(str(path)))["usage.seats_used_share"].tolist() == pytest.approx([0.45, 0.8])
