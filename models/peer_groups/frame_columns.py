"""Columns: one number of every account, whether or not the table has it, and texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import BadRequest


def text_column(values: Iterable[Any]) -> pd.Series[str]:
    """Texts as a column, None as null."""
    return pd.Series(np.array(list(values), dtype=object), dtype="str")


def joined(codes: Iterable[str]) -> str | None:
    """Codes or words in one text, "; " between them; None for none."""
    return "; ".join(codes) or None


def number_column(frame: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    """The column ``name`` as float64, shape (n,).

    NaN where it is null or infinite, and throughout where there is no such column.

    Raises
    ------
    BadRequest : the column holds something else than numbers, or is there twice.
    """
    # The index looks a name up once it has been asked; going through all columns would take most of the time here.
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    if not isinstance(frame.columns.get_loc(name), int):
        times = list(frame.columns).count(name)
        raise BadRequest(f"column {name} is there {times} times", "each column once")
    try:
        numbers = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        # The reason is left out: it repeats the value.
        raise BadRequest(f"column {name} holds something that is not a number", "numbers or nulls") from None
    return np.where(np.isfinite(numbers), numbers, np.nan)
