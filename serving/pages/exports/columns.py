"""Columns that the tables of several pages have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from features.utils.workbook import CellKind
from serving.html.exports import ExportColumn, ExportTable

ACCOUNT = (ExportColumn("account_id", "Account ID"), ExportColumn("name", "Account"))
SEGMENT, CSM = ExportColumn("segment", "Segment"), ExportColumn("csm", "CSM")
ARR = ExportColumn("arr", "ARR", "money")
Bridge = Mapping[str, Any]


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


def bridge_table(
    bridge: Bridge, first: Mapping[str, str], steps: Mapping[str, str], last: Mapping[str, str]
) -> ExportTable:
    """Return the parts of a bridge between two amounts.

    Parameters
    ----------
    bridge : the amounts.
    first, last : the parts at both ends, with their words.
    steps : what is subtracted between them; steps of zero are left out, as on the page.
    """
    minus = {key: f"minus {words}" for key, words in steps.items() if bridge[key]}
    rows = [{"part": key, "words": words, "arr": bridge[key]} for key, words in {**first, **minus, **last}.items()]
    columns = (ExportColumn("part", "Part"), ExportColumn("words", "Description"), ARR)
    return ExportTable("Bridge", columns, rows)
