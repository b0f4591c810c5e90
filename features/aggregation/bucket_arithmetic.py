"""Time buckets in SQL: the bucket of an instant, and two buckets packed into one integer."""

from __future__ import annotations

from typing import Any

from features.contract.current_contract import current_tables
from features.definitions.aggregations import (
    FIXED_POINT,
    Rows,
)
from features.sources.engine import GRID, contract_table, newest_versions
from features.sources.sql_functions import DAY_MICROS, epoch_us
from features.utils.arrays import Ints
from features.utils.dates import DAY_SECONDS

LAG_BITS = 20
"""Bits of ``span`` for the number of buckets between the event and the time when the row became known."""


def us_column(column: str) -> str:
    """The column of `row_by_row` that contains an instant column."""
    return f"_us_{column}"


def rows_with_grid(name: str, view: str = "") -> Rows:
    """Return the contract table joined with the grid's single row; of each event only the newest version.

    Parameters
    ----------
    name : the table.
    view : a view of some of its rows; by default all rows.

    Returns
    -------
    ibis.Table
    """
    rows = contract_table(name, view)
    return (newest_versions(rows) if current_tables()[name].event else rows).cross_join(GRID)


def instant_seconds(instant: Any) -> Any:
    """Return an instant column as whole seconds since 1970, rounded down."""
    return whole_units(epoch_us(instant), 1_000_000)


def whole_units(number: Any, unit: int) -> Any:
    """Divide by a unit and round down.

    Parameters
    ----------
    number : the number.
    unit : the divisor.

    Returns
    -------
    ibis.IntegerValue
    """
    return (number / float(unit)).floor().cast("int64")


def bucket(instant: Any, rows: Rows, width: int) -> Any:
    """Return the number of the bucket that contains an instant.

    Bucket k is ``[origin + (k - 1) * width, origin + k * width)``, where the origin is the first date modulo the width.
    A date is the end of its bucket. Null stays null.

    Parameters
    ----------
    instant : the instant.
    rows : rows with the columns of the grid.
    width : the days of a bucket.

    Returns
    -------
    ibis.IntegerValue
    """
    return whole_units(micros_since_origin(instant, rows, width), width * DAY_MICROS) + 1


def micros_since_origin(instant: Any, rows: Rows, width: int) -> Any:
    """Return the microseconds since the origin of the buckets.

    Parameters
    ----------
    instant : the instant.
    rows : rows with the columns of the grid.
    width : the days of a bucket.

    Returns
    -------
    ibis.IntegerValue
    """
    return epoch_us(instant) - rows.first_s % (width * DAY_SECONDS) * 1_000_000


def span(known_at: Any, at: Any, rows: Rows, width: int) -> Any:
    """Pack the bucket of the event and the number of buckets until it became known into one number.

    `unpack_span` reverses it.

    Parameters
    ----------
    known_at, at : the instants when the row became known, and of the event.
    rows : rows with the columns of the grid.
    width : the days of a bucket.

    Returns
    -------
    ibis.IntegerValue
    """
    happened = bucket(at, rows, width)
    return happened * 2**LAG_BITS + (bucket(known_at, rows, width) - happened) + 2 ** (LAG_BITS - 1)


def pack_span(happened: Ints, lag: Ints) -> Ints:
    """Compute `span` from bucket numbers in NumPy.

    Parameters
    ----------
    happened : bucket of the event, shape (n,).
    lag : the number of buckets until it became known, shape (n,).

    Returns
    -------
    array of shape (n,)
    """
    packed: Ints = (happened << LAG_BITS) + lag + 2 ** (LAG_BITS - 1)
    return packed


def unpack_span(spans: Ints) -> tuple[Ints, Ints]:
    """Return the buckets in which rows became known, and in which they happened."""
    happened = spans >> LAG_BITS
    return happened + (spans & (2**LAG_BITS - 1)) - 2 ** (LAG_BITS - 1), happened


def fixed(value: Any) -> Any:
    """Convert a number to whole ten-thousandths."""
    return (value.cast("float64") * FIXED_POINT).round().cast("int64")
