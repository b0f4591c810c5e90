"""Conditions of a company's own features: what a row of a table fulfils, told by values and bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from features.contract.schema import Column, TableSchema
from features.definitions.aggregations import Pick, Rows
from features.errors import BadRequest

NUMBERS = ("float", "int")
"""The kinds of column that hold numbers."""
_RANGE = {"min", "max"}
_TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "bool": (bool,), "float": (int, float), "int": (int, float)}


@dataclass(frozen=True)
class Condition:
    """A condition on one column; a row whose value is not known fulfils only ``known = false``."""

    column: str
    values: tuple[str | float | bool, ...] = ()
    low: float | None = None
    high: float | None = None
    known: bool | None = None

    def __call__(self, rows: Rows) -> Any:
        """Which rows fulfil it."""
        value = rows[self.column]
        if self.known is not None:
            return value.notnull() if self.known else value.isnull()
        if self.values:
            return value.isin(self.values).fill_null(False)
        held = value.notnull()
        if self.low is not None:
            held &= (value >= self.low).fill_null(False)
        return held if self.high is None else held & (value <= self.high).fill_null(False)


def conditions(given: dict[str, Any], table: TableSchema, place: str) -> tuple[Condition, ...]:
    """Conditions as a file gives them, by column name; ``place`` names file, feature and key in messages.

    Raises
    ------
    BadRequest
        If a column or a value is not the contract's.
    """
    return tuple(_condition(column_of(name, table, place), said, f"{place}.{name}") for name, said in given.items())


def every(held: tuple[Condition, ...]) -> Pick:
    """The rows that fulfil every condition."""

    def pick(rows: Rows) -> Any:
        # Only here: who reads features that were made before needs no query engine.
        import ibis

        fulfilled: Any = ibis.literal(True)
        for condition in held:
            fulfilled = fulfilled & condition(rows)
        return fulfilled

    return pick


def column_of(name: str, table: TableSchema, place: str) -> Column:
    """The column ``name`` of ``table``, of those that tell something of an event.

    Raises
    ------
    BadRequest
        If there is none; the message lists those that there are.
    """
    names = [n for n in table.names if n not in ("account_id", "loaded_at")]
    if name not in names:
        raise BadRequest(f"{place}: {table.name} has no column {name}", "one of " + ", ".join(names))
    return table[name]


def _condition(column: Column, said: Any, place: str) -> Condition:
    if isinstance(said, dict):
        if set(said) == {"known"} and isinstance(said["known"], bool):
            if column.known_from is not None and not said["known"]:
                raise BadRequest(
                    f"{place}: what is not known yet cannot be counted", "{known = true}, counted from that moment on"
                )
            return Condition(column.name, known=said["known"])
        if said and set(said) <= _RANGE and column.kind in NUMBERS and all(map(_finite, said.values())):
            return Condition(column.name, low=said.get("min"), high=said.get("max"))
        kinds = "{min = 1, max = 2}, {known = true}" if column.kind in NUMBERS else "{known = true}"
        raise BadRequest(
            f"{place}: a condition that cannot be understood", f"a {column.kind}, a list of them, or {kinds}"
        )
    values = tuple(said) if isinstance(said, list) else (said,)
    if column.kind == "instant":
        raise BadRequest(f"{place}: an instant is placed by windows", "{known = true}")
    if not values or not all(isinstance(v, _TYPES[column.kind]) and _fits(v, column) for v in values):
        listed = (
            f"{column.name} is one of {', '.join(column.values)}" if column.values else f"a {column.kind}, or several"
        )
        raise BadRequest(f"{place}: a value that the column never takes", listed)
    return Condition(column.name, values)


def _fits(value: Any, column: Column) -> bool:
    if column.kind in NUMBERS:
        return _finite(value)
    return not column.values or value in column.values


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
