"""A company's own measures: the entries of its file, held against the data contract and turned into measures."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from features.contract.schema import TABLES, Column, TableSchema, known_at_column
from features.custom.config_file import MeasureKind, OwnFeature
from features.custom.filters import NUMBERS, Condition, column_of, conditions, every
from features.definitions.aggregations import Count, Distinct, Holding, Latest, Measure, Newest, Oldest, Pick, Sum
from features.errors import BadRequest

WINDOWED: tuple[MeasureKind, ...] = ("count", "sum", "distinct")
"""Measures that are taken over windows; the others look at everything known."""
TAKES: dict[MeasureKind, tuple[str, ...]] = {
    "count": (),
    "sum": ("value",),
    "distinct": ("key",),
    "newest": (),
    "oldest": (),
    "latest": ("value",),
    "holding": ("key", "holds"),
}
"""The keys that a measure needs, and that no other may have."""


def own_measure(entry: OwnFeature, place: str) -> Measure:
    """The measure of an entry, named after what it says, so that equal measures are rolled up once.

    Parameters
    ----------
    entry : of the file.
    place : names file and feature in messages.

    Raises
    ------
    BadRequest
        If a table, column or value is not the contract's, or a key is missing or out of place.
    """
    table = _table(entry, place)
    _check_keys(entry, place)
    where = conditions(entry.where, table, f"{place}, key where")
    holds = conditions(entry.holds, table, f"{place}, key holds")
    value = None if entry.value is None else column_of(entry.value, table, f"{place}, key value")
    key = None if entry.key is None else column_of(entry.key, table, f"{place}, key key")
    _check_kind(value, NUMBERS, "number", table, f"{place}, key value")
    _check_kind(key, ("string",), "text", table, f"{place}, key key")
    said: dict[str, Any] = {"measure": entry.measure, "value": entry.value, "key": entry.key}
    said |= {"where": [asdict(c) for c in where], "holds": [asdict(c) for c in holds]}
    about: dict[str, Any] = {
        "table": table.name,
        "name": f"own_{hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]}",
        "where": every(where),
        **_clock(table, [c for c in (value, key) if c is not None] + [table[c.column] for c in (*where, *holds)]),
        "column": _rests_on(table, value or key, where),
    }
    match entry.measure:
        case "count":
            return Count(**about)
        case "sum":
            return Sum(**about, value=_value(entry.value))
        case "distinct":
            return Distinct(**about, key=_value(entry.key))
        case "newest":
            return Newest(**about)
        case "oldest":
            return Oldest(**about)
        case "latest":
            return Latest(**about, value=_value(entry.value))
        case "holding":
            return Holding(**about, key=(str(entry.key),), holds=every(holds))


def _table(entry: OwnFeature, place: str) -> TableSchema:
    tables = [name for name in TABLES if name != "accounts"]
    if entry.table not in tables:
        raise BadRequest(
            f"{place}, key table: there is no table {entry.table} to measure", "one of " + ", ".join(tables)
        )
    return TABLES[entry.table]


def _check_keys(entry: OwnFeature, place: str) -> None:
    for key in ("value", "key", "holds"):
        needed = key in TAKES[entry.measure]
        if needed != bool(getattr(entry, key)):
            takes = " and ".join(TAKES[entry.measure]) or "neither value, key nor holds"
            raise BadRequest(
                f"{place}, key {key}: it is {'missing' if needed else 'out of place'}", f"{entry.measure} takes {takes}"
            )


def _check_kind(column: Column | None, kinds: tuple[str, ...], what: str, table: TableSchema, place: str) -> None:
    if column is not None and column.kind not in kinds:
        usable = [c.name for c in table.columns if c.kind in kinds and c.name != "account_id"]
        raise BadRequest(
            f"{place}: {column.name} is no {what}", f"a {what} of {table.name}: {', '.join(usable) or 'there is none'}"
        )


def _value(name: str | None) -> Pick:
    return lambda rows: rows[name]


def _clock(table: TableSchema, used: list[Column]) -> dict[str, str]:
    """When a row counts and from when it may be used. What is filled in later counts from then: seen sooner, it would
    leak."""
    later = [c for c in used if c.known_from is not None]
    if later:
        # The score comes with the resolution or after it, so of several the one that is not the instant itself decides.
        last = next((c for c in later if c.known_from != c.name), later[0])
        return {
            "at": str(last.known_from),
            "known": known_at_column(last) if "loaded_at" in table.names else str(last.known_from),
        }
    return {"at": table.at, "known": "known_at" if table.event else table.at}


def _rests_on(table: TableSchema, read: Column | None, where: tuple[Condition, ...]) -> str:
    """The first optional column without which the measure says nothing; "" for none."""
    names = [read.name] if read is not None else []
    names += [c.column for c in where if c.known is not False]
    optional = (n for n in names if not table[n].required and table[n].known_from is None)
    return next(optional, "") if table.event else ""
