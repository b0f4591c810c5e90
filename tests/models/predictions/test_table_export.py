"""Exported tables: the same values when read back, and complete files only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.errors import BadRequest, HomeError
from models.predictions.table_export import write_frame

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


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    write_frame(FRAME.iloc[:0], tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "account_id,as_of,p,n,ready,plan\n"


def test_an_unknown_file_type_and_an_unwritable_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"\.csv, \.parquet, \.ndjson"):
        write_frame(FRAME, tmp_path / "x.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError):
        write_frame(FRAME, tmp_path / "file" / "x.csv")
