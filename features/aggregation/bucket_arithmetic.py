"""Time buckets in SQL: in which bucket an instant lies, and how two instants are packed into one integer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from features.contract.schema import TABLES
from features.definitions.aggregations import (
    FIXED_POINT,
    Rows,
)
from features.sources.engine import GRID, contract_table, newest_versions
from features.sources.sql_functions import DAY_MICROS, epoch_us
from features.utils.dates import DAY_SECONDS

LAG_BITS = 20
"""Bits of ``span`` that tell how many buckets later than it happened a row became known."""


def us_column(column: str) -> str:
    """The column of `row_by_row` that holds an instant column."""
    return f"_us_{column}"


def dated(name: str, view: str = "") -> Rows:
    """The contract table beside the grid's one row; of each event the newest version."""
    rows = contract_table(name, view)
    return (newest_versions(rows) if TABLES[name].event else rows).cross_join(GRID)


def instant_seconds(instant: Any) -> Any:
    """Whole seconds since 1970 of an instant column, rounded down."""
    return _whole(epoch_us(instant), 1_000_000)


def _whole(number: Any, unit: int) -> Any:
    """How many whole units a number holds, rounded down."""
    return (number / float(unit)).floor().cast("int64")


def bucket(instant: Any, rows: Rows, width: int) -> Any:
    """The number of the bucket of ``width`` days that ``instant`` falls in, where ``rows`` hold the grid's columns.

    Bucket k is ``[origin + (k - 1) * width, origin + k * width)``, the origin being the first date modulo the width; a
    date itself is the end of its bucket. Null stays null.
    """
    return _whole(_since(instant, rows, width), width * DAY_MICROS) + 1


def _since(instant: Any, rows: Rows, width: int) -> Any:
    """Microseconds since the buckets' origin."""
    return epoch_us(instant) - rows.first_s % (width * DAY_SECONDS) * 1_000_000


def span(known: Any, at: Any, rows: Rows, width: int) -> Any:
    """The bucket in which a row happened and how many buckets later it became known, in one number: `unpacked`."""
    happened = bucket(at, rows, width)
    return happened * 2**LAG_BITS + (bucket(known, rows, width) - happened) + 2 ** (LAG_BITS - 1)


def packed_span(happened: npt.NDArray[np.int64], lag: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`span` of buckets that are known already."""
    packed: npt.NDArray[np.int64] = (happened << LAG_BITS) + lag + 2 ** (LAG_BITS - 1)
    return packed


def unpacked(spans: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The buckets in which rows became known, and in which they happened."""
    happened = spans >> LAG_BITS
    return happened + (spans & (2**LAG_BITS - 1)) - 2 ** (LAG_BITS - 1), happened


def fixed(value: Any) -> Any:
    """A number as whole ten-thousandths."""
    return (value.cast("float64") * FIXED_POINT).round().cast("int64")
