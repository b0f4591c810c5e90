"""Columns that the tables of several pages have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from features.utils.workbook import CellKind
from serving.html.exports import ExportColumn, ExportTable

ACCOUNT = (ExportColumn("account_id", "Account ID"), ExportColumn("name", "Account"))
SEGMENT, CSM = ExportColumn("segment", "Segment"), ExportColumn("csm", "CSM")
ARR = ExportColumn("arr", "ARR", "money")
Bridge = Mapping[str, Any]
ALWAYS_SHOWN = frozenset({"portfolio", "listed", "arr_at_risk", "until_renewal", "expected_lost_arr"})
"""Parts of bridges that are shown even if they are zero."""


def range_columns(field: str, title: str, kind: CellKind) -> tuple[ExportColumn, ExportColumn, ExportColumn]:
    """Return the columns of an expected value and its 80% interval."""
    return (
        ExportColumn(field, title, kind, f"{field}.expected"),
        ExportColumn(f"{field}_low", f"{title}, low", kind, f"{field}.interval.0"),
        ExportColumn(f"{field}_high", f"{title}, high", kind, f"{field}.interval.1"),
    )


def estimate_columns(
    field: str, title: str, kind: CellKind, path: str | None = None
) -> tuple[ExportColumn, ExportColumn, ExportColumn]:
    """Return the columns of an estimate with its 95% interval: value, low and high."""
    path = path or field
    return (
        ExportColumn(field, title, kind, f"{path}.value"),
        ExportColumn(f"{field}_low", f"{title}, low", kind, f"{path}.low"),
        ExportColumn(f"{field}_high", f"{title}, high", kind, f"{path}.high"),
    )


def bridge_table(title: str, bridge: Bridge, names: Iterable[tuple[str, str]]) -> ExportTable:
    """Return the steps of a bridge between two amounts; those of zero are left out, as on the page."""
    rows = [
        {"part": key, "words": words, "arr": bridge[key]} for key, words in names if bridge[key] or key in ALWAYS_SHOWN
    ]
    columns = (ExportColumn("part", "Part"), ExportColumn("words", "Description"), ARR)
    return ExportTable(title, columns, rows)
