"""Export of tables to files. The same rows give the same bytes, and a file is never partly written."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import BadRequest
from features.utils.atomic_files import new_file
from features.utils.csv_lines import csv_lines
from features.utils.dates import to_iso
from features.utils.workbook import CellKind, Sheet, SheetColumn, write_workbook

SUFFIXES = (".csv", ".parquet", ".ndjson", ".xlsx")


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


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """Return the columns as Arrow: instants in microseconds UTC, text as strings, unknown as null."""
    return pa.table({str(name): _arrow(frame[name]) for name in frame.columns})


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write ``frame`` to ``path`` as CSV, Parquet, NDJSON or a workbook, by its extension.

    Instants are ISO 8601 text (a date at midnight) in CSV and NDJSON. Unknown is empty in CSV and in a workbook, and
    null elsewhere. Numbers are written so that they are read back as the same float64; in a workbook, with 15 digits.
    Booleans are true and false. Text in CSV is read back unchanged, also with ends of lines. `frame_sheet` describes a
    workbook.

    Raises
    ------
    BadRequest
        If the format is not supported, or a workbook cannot hold the rows.
    HomeError
        If the file cannot be written.
    """
    suffix = suffix_of(path)
    with new_file(path) as unfinished:
        if suffix == ".parquet":
            pq.write_table(arrow_table(frame), unfinished, compression="zstd", store_schema=False)
        elif suffix == ".csv":
            words = {True: "true", False: "false"}
            columns = [[words[v] if isinstance(v, bool) else v for v in _plain(frame[name])] for name in frame.columns]
            with unfinished.open("w", encoding="utf-8", newline="") as file:
                file.writelines(csv_lines([frame.columns, *zip(*columns, strict=True)]))
        elif suffix == ".xlsx":
            write_workbook(unfinished, [frame_sheet(frame)])
        else:
            text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in plain_rows(frame))
            unfinished.write_text(text, encoding="utf-8")


SHARES = re.compile(r"(^|[._])(probability|share|coverage|involuntary|low|high|churn|reduction|gap|meant)(_|$)")
"""Names of columns of shares, which a workbook shows as percentages if their values are from -1 to 1."""
AMOUNTS = re.compile(r"(^|[._])arr(_|$)")
"""Names of columns of amounts."""
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def frame_sheet(frame: pd.DataFrame, name: str = "Rows") -> Sheet:
    """Return the rows as a sheet of a workbook, with typed columns and the column names as headings.

    Text columns that hold only ISO dates become dates, except for ``account_id``. Numbers from -1 to 1 in columns of
    shares (`SHARES`) are shown as percentages.

    Parameters
    ----------
    frame : the rows.
    name : the name of the sheet.

    Returns
    -------
    Sheet
    """
    columns, cells = [], []
    for label in frame.columns:
        kind, values = _typed_cells(str(label), frame[label])
        columns.append(SheetColumn(str(label), kind))
        cells.append(values)
    return Sheet(name, columns, list(zip(*cells, strict=True)))


def _typed_cells(name: str, column: pd.Series[Any]) -> tuple[CellKind, Sequence[Any]]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        instants = [None if pd.isna(v) else v.tz_convert("UTC").to_pydatetime(warn=False) for v in column]
        whole_days = all(v is None or (v.hour, v.minute, v.second, v.microsecond) == (0, 0, 0, 0) for v in instants)
        return ("date", [None if v is None else v.date() for v in instants]) if whole_days else ("instant", instants)
    values = _plain(column)
    known = [v for v in values if v is not None]
    if known and all(isinstance(v, str) for v in known):
        if name != "account_id" and all(_ISO_DATE.fullmatch(v) for v in known):
            return "date", [None if v is None else date.fromisoformat(v) for v in values]
        return "text", values
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in known):
        return "text", values
    if SHARES.search(name) and all(-1.0 <= v <= 1.0 for v in known):
        return "share", values
    return "money" if AMOUNTS.search(name) else "number", values


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
