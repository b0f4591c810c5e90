"""SQL functions that are the same on all engines: microseconds since 1970, and a 64-bit hash."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.datatypes as dt

from features.utils.dates import DAY_SECONDS

HASH = "_hash"
"""Column of a feed with the same number for rows of the same event."""
DAY_MICROS = DAY_SECONDS * 1_000_000


@ibis.udf.scalar.builtin(signature=((dt.timestamp,), dt.int64))  # type: ignore[untyped-decorator]
def epoch_us(instant: Any) -> Any:
    """Return microseconds since 1970."""


@ibis.udf.scalar.builtin(name="hash", signature=((dt.string,), dt.uint64))  # type: ignore[untyped-decorator]
def hash64(text: Any) -> Any:
    """Return a 64-bit hash of a text, on the embedded engine."""
