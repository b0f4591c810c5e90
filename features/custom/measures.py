"""Measures of custom features: file entries validated against the data contract and built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from features.contract.schema import TABLES, Column, TableSchema, known_at_column
from features.custom.config_file import CustomFeature
from features.custom.filters import NUMBERS, Condition, all_of, column_of, parse_conditions
from features.definitions.aggregations import MEASURE_KINDS, Measure
from features.errors import BadRequest


def custom_measure(entry: CustomFeature, place: str, tables: Mapping[str, TableSchema]) -> Measure:
    """Build the measure of an entry. Its name is a hash of its definition, so that equal measures are computed once.

    Parameters
    ----------
    entry : an entry of the file.
    place : the file and the feature, for messages.
    tables : the tables of the contract and the extra tables of the file.

    Raises
    ------
    BadRequest
        If a table, column or value is not in the contract, or a key is missing or not allowed.
    """
    table = _table(entry, place, tables)
    _check_keys(entry, place)
    where = parse_conditions(entry.where, table, f"{place}, key where")
    holds = parse_conditions(entry.holds, table, f"{place}, key holds")
    value = None if entry.value is None else column_of(entry.value, table, f"{place}, key value")
    key = None if entry.key is None else column_of(entry.key, table, f"{place}, key key")
    _check_kind(value, NUMBERS, "number", table, f"{place}, key value")
    _check_kind(key, ("string",), "text", table, f"{place}, key key")
    definition: dict[str, Any] = {"measure": entry.measure, "value": entry.value, "key": entry.key}
    definition |= {"where": [asdict(c) for c in where], "holds": [asdict(c) for c in holds]}
    if table.name not in TABLES:
        # Another declaration of the table, such as another time column, gives other values.
        definition["declared"] = repr(table)
    arguments: dict[str, Any] = {
        "table": table.name,
        "name": f"own_{hashlib.sha256(json.dumps(definition).encode()).hexdigest()[:12]}",
        "where": all_of(where),
        **_time_columns(
            table, [c for c in (value, key) if c is not None] + [table[c.column] for c in (*where, *holds)]
        ),
        "column": _source_column(table, value or key, where),
    }
    columns = {"value": entry.value or "", "key": entry.key or ""}
    return MEASURE_KINDS[entry.measure].custom(arguments, columns, all_of(holds))


def _table(entry: CustomFeature, place: str, tables: Mapping[str, TableSchema]) -> TableSchema:
    names = [name for name, table in tables.items() if name != "accounts" and table.of_accounts]
    if entry.table not in names:
        raise BadRequest(
            f"{place}, key table: {entry.table} is not a table that can be measured", "one of " + ", ".join(names)
        )
    return tables[entry.table]


def _check_keys(entry: CustomFeature, place: str) -> None:
    for key in ("value", "key", "holds"):
        needed = key in MEASURE_KINDS[entry.measure].required_keys
        if needed != bool(getattr(entry, key)):
            required_keys = " and ".join(MEASURE_KINDS[entry.measure].required_keys) or "neither value, key nor holds"
            raise BadRequest(
                f"{place}, key {key}: {'missing' if needed else 'not allowed here'}",
                f"{entry.measure} takes {required_keys}",
            )


def _check_kind(column: Column | None, kinds: tuple[str, ...], what: str, table: TableSchema, place: str) -> None:
    if column is not None and column.kind not in kinds:
        usable = [c.name for c in table.columns if c.kind in kinds and c.name != "account_id"]
        raise BadRequest(
            f"{place}: {column.name} is not a {what}",
            f"a {what} of {table.name}: {', '.join(usable) or 'none'}",
        )


def _time_columns(table: TableSchema, used: list[Column]) -> dict[str, str]:
    """Return the columns with the instants at which a row counts and becomes known.

    A value that is filled in later counts from that instant; using it earlier would be a leak.
    """
    later = [c for c in used if c.known_from is not None]
    if later:
        # A score arrives with the resolution or after it, so a value takes precedence over the instant itself.
        last = next((c for c in later if c.known_from != c.name), later[0])
        return {
            "at": str(last.known_from),
            "known_at": known_at_column(last) if "loaded_at" in table.names else str(last.known_from),
        }
    return {"at": table.at, "known_at": "known_at" if table.event else table.at}


def _source_column(table: TableSchema, read: Column | None, where: tuple[Condition, ...]) -> str:
    """Return the first optional column that the measure depends on; "" for none."""
    names = [read.name] if read is not None else []
    names += [c.column for c in where if c.known is not False]
    optional = (n for n in names if not table[n].required and table[n].known_from is None)
    return next(optional, "") if table.event else ""
