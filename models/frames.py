"""Tables written to files for other tools: the same rows give the same bytes, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.clock import show
from features.errors import BadRequest
from models.atomic import new_file

SUFFIXES = (".csv", ".parquet", ".ndjson")


def suffix_of(path: Path) -> str:
    """The file's format by its ending.

    Raises
    ------
    BadRequest
        If it is none that can be written.
    """
    if path.suffix not in SUFFIXES:
        raise BadRequest(
            f"{path} ends in {path.suffix or 'nothing'}", "one of " + ", ".join(SUFFIXES), "name the file so"
        )
    return path.suffix


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write ``frame`` to ``path`` as CSV, Parquet or NDJSON, by its ending.

    Instants are ISO 8601 text (a date at midnight) in CSV and NDJSON. Unknown is empty in CSV and null elsewhere;
    numbers are written so that they read back as the same float64; truth values are true and false.

    Raises
    ------
    BadRequest
        If the ending is unknown.
    HomeError
        If the place cannot be written.
    """
    suffix = suffix_of(path)
    with new_file(path) as beside:
        if suffix == ".parquet":
            table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
            pq.write_table(table, beside, compression="zstd", store_schema=False)
        elif suffix == ".csv":
            _plain(frame).to_csv(beside, index=False, lineterminator="\n")
        else:
            rows = _plain(frame).to_dict(orient="records")
            text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
            beside.write_text(text, encoding="utf-8")


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Every value as Python would say it in text: instants as ISO 8601, unknown as None, truth in JSON's words."""
    columns: dict[str, Any] = {}
    for name in frame.columns:
        column = frame[name]
        told: list[Any]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            told = [None if pd.isna(v) else show(v.to_pydatetime()) for v in column]
        elif column.dtype == bool:
            told = [bool(v) for v in column]
        else:
            told = [None if pd.isna(v) else v.item() if hasattr(v, "item") else v for v in column]
        columns[name] = pd.Series(told, dtype="object", index=frame.index)
    return pd.DataFrame(columns, index=frame.index)
