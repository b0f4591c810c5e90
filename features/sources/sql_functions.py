"""SQL functions on which all engines agree: microseconds since 1970, and a 64-bit hash."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.datatypes as dt

from features.utils.dates import DAY_SECONDS

HASH = "_hash"
"""The column of a feed's rows that holds the same number for rows that are one event."""
DAY_MICROS = DAY_SECONDS * 1_000_000


@ibis.udf.scalar.builtin(signature=((dt.timestamp,), dt.int64))  # type: ignore[untyped-decorator]
def epoch_us(instant: Any) -> Any:
    """Microseconds since 1970."""


@ibis.udf.scalar.builtin(name="hash", signature=((dt.string,), dt.uint64))  # type: ignore[untyped-decorator]
def hash64(text: Any) -> Any:
    """64 bits that stand for a text, on the embedded engine."""
