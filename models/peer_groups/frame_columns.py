"""Columns of a table: one number per account, even if the table lacks the column, and texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import BadRequest


def text_column(values: Iterable[Any]) -> pd.Series[str]:
    """Return texts as a column, with None as null."""
    return pd.Series(np.array(list(values), dtype=object), dtype="str")


def join_codes(codes: Iterable[str]) -> str | None:
    """Join codes or words with "; "; None if there are none."""
    return "; ".join(codes) or None


def number_column(frame: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    """Return the column ``name`` as float64, shape (n,).

    Null and infinite values are NaN; if there is no such column, all values are NaN.

    Raises
    ------
    BadRequest : the column has values that are not numbers, or occurs twice.
    """
    # The index caches its lookup table; searching all columns would take most of the time here.
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    if not isinstance(frame.columns.get_loc(name), int):
        times = list(frame.columns).count(name)
        raise BadRequest(f"column {name} occurs {times} times", "each column only once")
    try:
        numbers = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        # The original reason is omitted, since it repeats the value.
        raise BadRequest(f"column {name} contains a value that is not a number", "numbers or nulls") from None
    return np.where(np.isfinite(numbers), numbers, np.nan)
