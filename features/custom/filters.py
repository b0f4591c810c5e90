"""Row conditions of custom features: values, bounds and known or unknown columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from features.contract.schema import KIND_WORDS, Column, TableSchema
from features.definitions.aggregations import Rows, Selector
from features.errors import BadRequest

NUMBERS = ("float", "int")
"""The numeric column kinds."""
_RANGE = {"min", "max"}
_TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "bool": (bool,), "float": (int, float), "int": (int, float)}


@dataclass(frozen=True)
class Condition:
    """A condition on one column. A row with an unknown value meets only ``known = false``."""

    column: str
    values: tuple[str | float | bool, ...] = ()
    low: float | None = None
    high: float | None = None
    known: bool | None = None

    def __call__(self, rows: Rows) -> Any:
        """Return which rows meet the condition."""
        value = rows[self.column]
        if self.known is not None:
            return value.notnull() if self.known else value.isnull()
        if self.values:
            return value.isin(self.values).fill_null(False)
        mask = value.notnull()
        if self.low is not None:
            mask &= (value >= self.low).fill_null(False)
        return mask if self.high is None else mask & (value <= self.high).fill_null(False)


def parse_conditions(entries: dict[str, Any], table: TableSchema, place: str) -> tuple[Condition, ...]:
    """Parse the conditions of a file.

    Parameters
    ----------
    entries : the conditions by column name.
    table : the table that they apply to.
    place : the file, feature and key, for messages.

    Raises
    ------
    BadRequest
        If a column or a value is not in the contract.
    """
    return tuple(
        _parse_condition(column_of(name, table, place), spec, f"{place}.{name}") for name, spec in entries.items()
    )


def all_of(parts: tuple[Condition, ...]) -> Selector:
    """Return a filter for the rows that meet every condition."""

    def pick(rows: Rows) -> Any:
        # Imported here: reading stored features does not need the query engine.
        import ibis

        mask: Any = ibis.literal(True)
        for condition in parts:
            mask = mask & condition(rows)
        return mask

    return pick


def column_of(name: str, table: TableSchema, place: str) -> Column:
    """Return the column ``name`` of ``table``, without the account id and the arrival.

    Raises
    ------
    BadRequest
        If there is no such column; the message lists the available ones.
    """
    names = [n for n in table.names if n not in ("account_id", "loaded_at")]
    if name not in names:
        raise BadRequest(f"{place}: {table.name} has no column {name}", "one of " + ", ".join(names))
    return table[name]


def _parse_condition(column: Column, spec: Any, place: str) -> Condition:
    if isinstance(spec, dict):
        if set(spec) == {"known"} and isinstance(spec["known"], bool):
            if column.known_from is not None and not spec["known"]:
                raise BadRequest(
                    f"{place}: rows with unknown values in this column cannot be selected",
                    "{known = true}; a row then counts from the instant at which its value becomes known",
                )
            return Condition(column.name, known=spec["known"])
        if spec and set(spec) <= _RANGE and column.kind in NUMBERS and all(map(_finite, spec.values())):
            return Condition(column.name, low=spec.get("min"), high=spec.get("max"))
        kinds = "{min = 1, max = 2}, {known = true}" if column.kind in NUMBERS else "{known = true}"
        expected = f"{KIND_WORDS[column.kind]}, a list of such values, or {kinds}"
        raise BadRequest(f"{place}: an invalid condition", expected)
    values = tuple(spec) if isinstance(spec, list) else (spec,)
    if column.kind == "instant":
        raise BadRequest(f"{place}: instants can only be selected by windows", "windows, or {known = true}")
    if not values or not all(isinstance(v, _TYPES[column.kind]) and _fits(v, column) for v in values):
        listed = (
            f"{column.name} is one of {', '.join(column.values)}"
            if column.values
            else f"{KIND_WORDS[column.kind]}, or a list of such values"
        )
        raise BadRequest(f"{place}: not a valid value for this column", listed)
    return Condition(column.name, values)


def _fits(value: Any, column: Column) -> bool:
    if column.kind in NUMBERS:
        return _finite(value)
    return not column.values or value in column.values


def _finite(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        # A whole number that is larger than every float.
        return False
