"""Tables written to files for other tools: the same rows give the same bytes, whole or not at all."""

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


#: Spreadsheets take text that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def formula_note(frame: pd.DataFrame, suffix: str) -> str | None:
    """What to warn of where a file of ``frame`` is opened with a spreadsheet; None if there is nothing, or no CSV.

    Names are written as they are: a changed id would no longer join with anything.
    """
    if suffix != ".csv":
        return None
    found = {}
    for name in frame.columns:
        if pd.api.types.is_object_dtype(frame[name]) or pd.api.types.is_string_dtype(frame[name]):
            values = (v for v in frame[name] if isinstance(v, str))
            if many := sum(v.startswith(FORMULA_STARTS) for v in values):
                found[str(name)] = many
    if not found:
        return None
    named = ", ".join(f"{name} ({many:,})" for name, many in found.items())
    return (
        f"values begin with a character that spreadsheets take for a formula: {named}; they are written as they are, "
        "so import these columns as text"
    )


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
            table = pa.table({str(name): _arrow(frame[name]) for name in frame.columns})
            pq.write_table(table, beside, compression="zstd", store_schema=False)
        elif suffix == ".csv":
            words = {True: "true", False: "false"}
            told = {n: [words[v] if isinstance(v, bool) else v for v in _plain(frame[n])] for n in frame.columns}
            pd.DataFrame(told, dtype="object").to_csv(beside, index=False, lineterminator="\n")
        else:
            text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in plain_rows(frame))
            beside.write_text(text, encoding="utf-8")


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON has them: instants as ISO 8601 text, unknown as None, numbers as they are."""
    plain = {str(name): _plain(frame[name]) for name in frame.columns}
    return [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Every value as plain Python: instants as ISO 8601 text, unknown as None."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return [None if pd.isna(v) else to_iso(v.to_pydatetime()) for v in column]
    return [None if pd.isna(v) else v.item() if isinstance(v, np.generic) else v for v in column]


def _arrow(column: pd.Series[Any]) -> pa.Array:
    """The column as Arrow has it: instants in microseconds UTC, text as text."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        instants = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
        return pa.array(instants, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    if column.dtype.kind in "OUT" or str(column.dtype) in ("str", "string"):
        return pa.array(_plain(column), pa.string())
    return pa.array(column, from_pandas=True)
