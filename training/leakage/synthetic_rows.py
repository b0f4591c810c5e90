"""Rows that never were: any values that the data contract allows, drawn with a seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.contract.schema import Column, TableSchema
from features.signals.validation import LARGEST

Ints = npt.NDArray[np.int64]

FUTURE_ACCOUNTS = tuple(f"leakcheck {i}" for i in range(5))
"""Accounts, users and words that only the future knows."""
DAY_US = 86_400_000_000
LONGEST = 400 * DAY_US
"""How long what begins may last."""
MAXIMUM_VALUES = 1_000
"""Of the values that occur in a column, so many are drawn from."""
UNKNOWN_SHARE = 0.3
"""Of optional values that are made up."""


def random_rows(contract: TableSchema, like: pa.Table, at: Ints, rng: np.random.Generator) -> pa.Table:
    """Rows at the given instants, of any values that the contract allows; account and arrival are still empty."""
    schema, columns = like.schema, {}
    for column in contract.columns:
        begins = next((start for start, end in contract.intervals if end == column.name), None)
        if column.name == contract.at:
            columns[column.name] = as_instants(at)
        elif begins is not None:
            lasting = as_instants(at + rng.integers(0, LONGEST, len(at)))
            columns[column.name] = _some(lasting, rng)
        elif column.kind == "instant" or column.name == "account_id" or column.name == _of_periods(contract):
            columns[column.name] = pa.nulls(len(at), schema.field(column.name).type)
        else:
            columns[column.name] = random_values(contract, column, like, len(at), rng)
    return pa.table({n: columns[n].cast(schema.field(n).type) for n in schema.names}, schema)


def _of_periods(contract: TableSchema) -> str:
    """The column whose values name something that has one period at a time: rows that are made up have none."""
    return "" if contract.event else contract.identity


def random_values(
    contract: TableSchema, column: Column, like: pa.Table, many: int, rng: np.random.Generator
) -> pa.Array:
    """Any values of a column: those of the contract's list, those that occur, and others within its bounds."""
    there = pc.unique(like[column.name].drop_null())[:MAXIMUM_VALUES]
    if column.values:
        found = pa.array(rng.choice(np.array(column.values, dtype=object), many), pa.string())
    elif column.kind == "string":
        found = pa.array(rng.choice(np.array([*there.to_pylist(), *FUTURE_ACCOUNTS], dtype=object), many), pa.string())
    elif column.kind == "bool":
        found = pa.array(rng.random(many) < 0.5)
    else:
        bounds = [(low, high) for _, name, low, high in contract.ranges if name == column.name]
        low = max([b[0] for b in bounds], default=column.minimum if column.minimum is not None else -9.0)
        most = min(2 * abs(max(there.to_pylist(), default=0)) + 9, LARGEST)
        high = min([b[1] for b in bounds], default=column.maximum if column.maximum is not None else most)
        numbers = rng.uniform(low, max(high, low), many)
        found = pa.array(numbers if column.kind == "float" else numbers.astype(np.int64))
    return (found if column.required else _some(found, rng)).cast(like.schema.field(column.name).type)


def _some(values: pa.Array, rng: np.random.Generator) -> pa.Array:
    return pc.if_else(pa.array(rng.random(len(values)) < UNKNOWN_SHARE), None, values)


def micros(instant: datetime) -> int:
    """Microseconds from 1970 to an instant with a zone."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def instants_us(column: pa.ChunkedArray, unknown: int) -> Ints:
    """Instants in microseconds since 1970; shape (n,)."""
    return np.asarray(pc.fill_null(column.cast(pa.int64()), unknown).to_numpy(), dtype=np.int64)


def as_instants(us: Ints) -> pa.Array:
    """Microseconds since 1970 as instants without a zone."""
    return pa.array(us, pa.timestamp("us"))


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with other values in one of its columns."""
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), values.cast(table.schema.field(place).type))
