"""Synthetic rows with random values that the data contract allows, reproducible by seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contract.schema import Column, TableSchema
from features.signals.validation import MAX_VALUE
from features.utils.arrays import Ints

FUTURE_ACCOUNTS = tuple(f"leakcheck {i}" for i in range(5))
"""Accounts, users and words that occur only in the future."""
DAY_US = 86_400_000_000
LONGEST = 400 * DAY_US
"""Maximum duration of an interval."""
MAXIMUM_VALUES = 1_000
"""Maximum number of distinct values of a column to draw from."""
UNKNOWN_SHARE = 0.3
"""Share of unknown values in optional columns."""


def random_rows(contract: TableSchema, like: pa.Table, at: Ints, rng: np.random.Generator) -> pa.Table:
    """Return rows with random values; account and arrival are left empty.

    Parameters
    ----------
    contract : the table of the contract.
    like : rows whose values may occur.
    at : the instants of the rows, microseconds since 1970.
    rng : the random numbers.

    Returns
    -------
    pyarrow.Table
    """
    schema, columns = like.schema, {}
    for column in contract.columns:
        starts = next((start for start, end in contract.intervals if end == column.name), None)
        if column.name == contract.at:
            columns[column.name] = as_instants(at)
        elif starts is not None:
            ends = as_instants(at + rng.integers(0, LONGEST, len(at)))
            columns[column.name] = _some(ends, rng)
        elif column.kind == "instant" or column.name == "account_id" or column.name == _of_periods(contract):
            columns[column.name] = pa.nulls(len(at), schema.field(column.name).type)
        else:
            columns[column.name] = random_values(contract, column, like, len(at), rng)
    return pa.table({n: columns[n].cast(schema.field(n).type) for n in schema.names}, schema)


def _of_periods(contract: TableSchema) -> str:
    """Return the column whose values identify something with one period at a time; synthetic rows leave it empty."""
    return "" if contract.event else contract.identity


def random_values(
    contract: TableSchema, column: Column, like: pa.Table, many: int, rng: np.random.Generator
) -> pa.Array:
    """Return random values of a column: from the contract's list, from those that occur, and within its bounds.

    Parameters
    ----------
    contract, column : the column, and its table of the contract.
    like : rows whose values may occur.
    many : how many values.
    rng : the random numbers.

    Returns
    -------
    pyarrow.Array
    """
    existing = pc.unique(like[column.name].drop_null())[:MAXIMUM_VALUES]
    if column.values:
        values = pa.array(rng.choice(np.array(column.values, dtype=object), many), pa.string())
    elif column.kind == "string":
        # A new currency would need a rate.
        others = () if column.name == "currency" else FUTURE_ACCOUNTS
        words = np.array([*existing.to_pylist(), *others] or [None], dtype=object)
        values = pa.array(rng.choice(words, many), pa.string())
    elif column.kind == "bool":
        values = pa.array(rng.random(many) < 0.5)
    else:
        bounds = [(low, high) for _, name, low, high in contract.ranges if name == column.name]
        low = max([b[0] for b in bounds], default=column.minimum if column.minimum is not None else -9.0)
        most = min(2 * abs(max(existing.to_pylist(), default=0)) + 9, MAX_VALUE)
        high = min([b[1] for b in bounds], default=column.maximum if column.maximum is not None else most)
        numbers = rng.uniform(low, max(high, low), many)
        values = pa.array(numbers if column.kind == "float" else numbers.astype(np.int64))
    return (values if column.required else _some(values, rng)).cast(like.schema.field(column.name).type)


def _some(values: pa.Array, rng: np.random.Generator) -> pa.Array:
    return pc.if_else(pa.array(rng.random(len(values)) < UNKNOWN_SHARE), None, values)


def micros(instant: datetime) -> int:
    """Return the microseconds from 1970 to an instant with a zone."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def instants_us(column: pa.ChunkedArray, unknown: int) -> Ints:
    """Return instants as microseconds since 1970.

    Parameters
    ----------
    column : n instants.
    unknown : the value for null.

    Returns
    -------
    array of shape (n,)
    """
    return np.asarray(pc.fill_null(column.cast(pa.int64()), unknown).to_numpy(), dtype=np.int64)


def as_instants(us: Ints) -> pa.Array:
    """Return microseconds since 1970 as instants without a zone."""
    return pa.array(us, pa.timestamp("us"))


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return the table with other values in one of its columns.

    Parameters
    ----------
    table : the table.
    name : the name of the column.
    values : its new values.

    Returns
    -------
    pyarrow.Table
    """
    index = table.schema.get_field_index(name)
    return table.set_column(index, table.schema.field(index), values.cast(table.schema.field(index).type))
