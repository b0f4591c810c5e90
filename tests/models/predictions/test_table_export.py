"""Exported tables: the same values when read back, and complete files only."""

from __future__ import annotations

import csv
import json
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from features.errors import BadRequest, HomeError
from models.predictions.table_export import frame_sheet, write_frame

FRAME = pd.DataFrame(
    {
        "account_id": pd.Series(["a", "b"], dtype="str"),
        "as_of": pd.to_datetime(["2026-09-30T00:00", "2026-09-30T12:00"], utc=True).as_unit("us"),
        "p": [0.1 + 0.2, np.nan],
        "n": pd.Series([3, None], dtype="Int64"),
        "ready": [True, False],
        "plan": pd.Series(["pro", None], dtype="object"),
    }
)


def test_csv_is_plain(tmp_path: Path) -> None:
    write_frame(FRAME, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == (
        "account_id,as_of,p,n,ready,plan\n"
        "a,2026-09-30,0.30000000000000004,3,true,pro\n"
        "b,2026-09-30T12:00:00+00:00,,,false,\n"
    )


TEXTS = st.text(st.one_of(st.sampled_from("\r\n\t,;\"' =a"), st.characters(exclude_categories=("Cs", "Cc"))), max_size=8)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), TEXTS)
def test_csv_reads_back_with_the_same_rows(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], heading: str) -> None:
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    frame = pd.DataFrame(rows, columns=["account_id", f"x{heading}"], dtype="object")
    write_frame(frame, path)
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [list(frame.columns), *map(list, rows)]
    again = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    assert list(again.columns) == list(frame.columns)
    assert list(again.itertuples(index=False, name=None)) == rows


def test_ndjson_is_strict_json(tmp_path: Path) -> None:
    write_frame(FRAME, tmp_path / "x.ndjson")
    first, second = (json.loads(line) for line in (tmp_path / "x.ndjson").read_text().splitlines())
    assert first == {"account_id": "a", "as_of": "2026-09-30", "p": 0.1 + 0.2, "n": 3, "ready": True, "plan": "pro"}
    assert (second["p"], second["n"], second["plan"]) == (None, None, None)


def test_parquet_reads_back_with_its_types_and_the_same_bytes(tmp_path: Path) -> None:
    for name in ("x.parquet", "y.parquet"):
        write_frame(FRAME, tmp_path / name)
    table = pq.read_table(tmp_path / "x.parquet")
    assert [str(t) for t in table.schema.types] == ["string", "timestamp[us, tz=UTC]", "double", "int64", "bool", "string"]
    assert table.column("p").to_pylist() == [0.1 + 0.2, None]
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "y.parquet").read_bytes()


def test_a_workbook_has_typed_columns(tmp_path: Path) -> None:
    frame = FRAME.assign(due=["2026-10-01", None], churn_probability=[0.25, np.nan], evil=["=1+1", "-x"], arr=[12.5, -3.0])
    for name in ("x.xlsx", "y.xlsx"):
        write_frame(frame, tmp_path / name)
    rows = CalamineWorkbook.from_path(tmp_path / "x.xlsx").get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert rows[0] == list(frame.columns)
    first = dict(zip(rows[0], rows[1], strict=True))
    assert first == {
        "account_id": "a", "as_of": date(2026, 9, 30), "p": pytest.approx(0.1 + 0.2), "n": 3, "ready": True, "plan": "pro",
        "due": date(2026, 10, 1), "churn_probability": 0.25, "evil": "=1+1", "arr": 12.5,
    }  # fmt: skip
    second = dict(zip(rows[0], rows[2], strict=True))
    assert (second["as_of"], second["p"], second["n"], second["plan"], second["due"]) == (datetime(2026, 9, 30, 12), "", "", "", "")
    assert (tmp_path / "x.xlsx").read_bytes() == (tmp_path / "y.xlsx").read_bytes()


def test_columns_of_a_workbook_have_kinds() -> None:
    frame = pd.DataFrame(
        {
            "account_id": ["2026-01-01", "2026-01-02"], "churn_probability": [0.1, 0.2], "expansion_low": [0.0, None],
            "low_tickets": [3.0, 4.0], "arr": [1.0, 2.0], "arr_at_risk": [1.0, 2.0], "usage.seats_used_share": [0.5, 1.7],
            "health_score": [50.0, 60.0], "due": ["2026-01-01", None], "late": [True, False],
            "because": [{"code": "x"}, None],
        }
    )  # fmt: skip
    kinds = {column.title: column.kind for column in frame_sheet(frame).columns}
    assert kinds == {
        "account_id": "text", "churn_probability": "share", "expansion_low": "share", "low_tickets": "number", "arr": "money",
        "arr_at_risk": "money", "usage.seats_used_share": "number", "health_score": "number", "due": "date", "late": "text",
        "because": "text",
    }  # fmt: skip


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    write_frame(FRAME.iloc[:0], tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "account_id,as_of,p,n,ready,plan\n"


def test_an_unknown_file_type_and_an_unwritable_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"\.csv, \.parquet, \.ndjson, \.xlsx"):
        write_frame(FRAME, tmp_path / "x.xls")
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError):
        write_frame(FRAME, tmp_path / "file" / "x.csv")
