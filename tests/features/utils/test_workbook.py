"""Workbooks hold typed cells and no formulas, and the same rows give the same bytes."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from features.errors import BadRequest
from features.utils.formatting import DATE_ORDER_VARIABLE
from features.utils.workbook import CellKind, Sheet, SheetColumn, write_workbook

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")', "http://x", "{=A1}"]


def _written(*sheets: Sheet) -> bytes:
    stream = io.BytesIO()
    write_workbook(stream, sheets)
    return stream.getvalue()


def _sheet(kind: CellKind, values: list[Any]) -> Sheet:
    return Sheet("Rows", [SheetColumn("Value", kind)], [[value] for value in values])


def _cells(content: bytes) -> list[Any]:
    rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name("Rows").to_python(skip_empty_area=False)
    return [row[0] for row in rows[1:]]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", ["a", "", "ü\n漢", "007", *FORMULAS]),
        ("number", [0.1, -2.5, 1e300, 0, 12345678.9]),
        ("share", [0.0, 0.255, 1.0]),
        ("truth", [True, False]),
        ("date", [date(2026, 9, 30), date(1900, 3, 1)]),
        ("instant", [datetime(2026, 9, 30, 12, 30)]),
    ],
)
def test_cells_are_read_back(kind: CellKind, values: list[Any]) -> None:
    assert _cells(_written(_sheet(kind, values))) == (pytest.approx(values) if kind == "number" else values)


@pytest.mark.parametrize("order", ["dmy", "mdy", "ymd"])
def test_dates_are_dates_in_every_order(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setenv(DATE_ORDER_VARIABLE, order)
    for kind, value in (("date", date(2026, 9, 30)), ("instant", datetime(2026, 9, 30, 12, 30))):
        assert _cells(_written(_sheet(kind, [value]))) == [value]  # type: ignore[arg-type]


def test_characters_that_a_workbook_cannot_hold_are_replaced() -> None:
    assert _cells(_written(_sheet("text", ["a\ud800b\uffff", "a\x07b"]))) == ["a\ufffdb\ufffd", "a\x07b"]


def test_text_is_never_a_formula_or_a_link() -> None:
    content = zipfile.ZipFile(io.BytesIO(_written(_sheet("text", FORMULAS))))
    sheet = content.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert not any("sheet1.xml.rels" in name for name in content.namelist())


def test_unknown_is_an_empty_cell_and_never_zero() -> None:
    assert _cells(_written(_sheet("number", [None, float("nan"), 0.0, 1.0]))) == ["", "", 0.0, 1.0]


def test_instants_are_in_utc_and_dates_before_1900_are_text() -> None:
    abroad = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert _cells(_written(_sheet("instant", [abroad]))) == [datetime(2025, 12, 31, 23)]
    assert _cells(_written(_sheet("date", [date(1850, 1, 2), date(2026, 1, 2)]))) == ["1850-01-02", date(2026, 1, 2)]


def test_the_header_is_frozen_and_has_filters_and_shares_are_percentages() -> None:
    book = zipfile.ZipFile(io.BytesIO(_written(_sheet("share", [0.25]))))
    sheet, styles = book.read("xl/worksheets/sheet1.xml").decode(), book.read("xl/styles.xml").decode()
    assert 'state="frozen"' in sheet
    assert 'ySplit="1"' in sheet
    assert '<autoFilter ref="A1:A2"/>' in sheet
    assert "0.0%" in styles


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    sheet = _sheet("instant", [datetime(2026, 9, 30, tzinfo=UTC), None])
    write_workbook(tmp_path / "x.xlsx", [sheet])
    assert (tmp_path / "x.xlsx").read_bytes() == _written(sheet)


def test_what_a_workbook_cannot_hold_is_refused() -> None:
    with pytest.raises(BadRequest, match="characters"):
        _written(_sheet("text", ["x" * 32_768]))
    with pytest.raises(BadRequest, match="columns"):
        _written(Sheet("Rows", [SheetColumn("x", "text")] * 16_385, []))

    class Many(list[Any]):
        def __len__(self) -> int:
            return 1_048_576

    with pytest.raises(BadRequest, match="rows"):
        _written(Sheet("Rows", [SheetColumn("x", "text")], Many()))
