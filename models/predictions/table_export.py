"""Export of tables to files. The same rows give the same bytes, and a file is never partly written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import BadRequest
from features.utils.atomic_files import new_file
from features.utils.dates import to_iso

SUFFIXES = (".csv", ".parquet", ".ndjson")


def suffix_of(path: Path) -> str:
    """Return the file extension, which sets the format.

    Raises
    ------
    BadRequest
        If the format is not supported.
    """
    if path.suffix not in SUFFIXES:
        raise BadRequest(
            f"{path} has {f'the unsupported extension {path.suffix}' if path.suffix else 'no file extension'}",
            "one of " + ", ".join(SUFFIXES),
            "use one of these extensions",
        )
    return path.suffix


#: Spreadsheets interpret text that starts with one of these characters as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def formula_note(frame: pd.DataFrame, suffix: str) -> str | None:
    """Return a note about values that spreadsheets interpret as formulas; None without any, or if it is not a CSV file.

    The values are written unchanged, because a changed id would no longer match in a join.
    """
    if suffix != ".csv":
        return None
    counts = {}
    for name in frame.columns:
        if pd.api.types.is_object_dtype(frame[name]) or pd.api.types.is_string_dtype(frame[name]):
            values = (v for v in frame[name] if isinstance(v, str))
            if many := sum(v.startswith(FORMULA_STARTS) for v in values):
                counts[str(name)] = many
    if not counts:
        return None
    named = ", ".join(f"{name} ({many:,})" for name, many in counts.items())
    return (
        f"values start with a character that spreadsheets interpret as a formula: {named}; they are written unchanged, "
        "so import these columns as text"
    )


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write ``frame`` to ``path`` as CSV, Parquet or NDJSON, by its extension.

    Instants are ISO 8601 text (a date at midnight) in CSV and NDJSON. Unknown is empty in CSV and null elsewhere.
    Numbers are written so that they are read back as the same float64. Booleans are true and false.

    Raises
    ------
    BadRequest
        If the format is not supported.
    HomeError
        If the file cannot be written.
    """
    suffix = suffix_of(path)
    with new_file(path) as unfinished:
        if suffix == ".parquet":
            table = pa.table({str(name): _arrow(frame[name]) for name in frame.columns})
            pq.write_table(table, unfinished, compression="zstd", store_schema=False)
        elif suffix == ".csv":
            words = {True: "true", False: "false"}
            columns = {n: [words[v] if isinstance(v, bool) else v for v in _plain(frame[n])] for n in frame.columns}
            pd.DataFrame(columns, dtype="object").to_csv(unfinished, index=False, lineterminator="\n")
        else:
            text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in plain_rows(frame))
            unfinished.write_text(text, encoding="utf-8")


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain data for JSON: instants as ISO 8601 text, unknown as None, numbers unchanged."""
    columns = {str(name): _plain(frame[name]) for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return the values as plain Python: instants as ISO 8601 text, unknown as None."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return [None if pd.isna(v) else to_iso(v.to_pydatetime()) for v in column]
    return [None if pd.isna(v) else v.item() if isinstance(v, np.generic) else v for v in column]


def _arrow(column: pd.Series[Any]) -> pa.Array:
    """Return the column as an Arrow array: instants in microseconds UTC, text as strings."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        instants = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
        return pa.array(instants, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    if column.dtype.kind in "OUT" or str(column.dtype) in ("str", "string"):
        return pa.array(_plain(column), pa.string())
    return pa.array(column, from_pandas=True)
