"""Functions that compute a feature from rows of signals, in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Function: TypeAlias = Callable[..., Any]
"""``function(rows, as_of)``: tables by name as pandas DataFrames, and a pandas Timestamp (UTC); returns a Series of
numbers by account_id."""


@dataclass(frozen=True, eq=False)
class FeatureFunction:
    """A function that computes a feature, and the rows that it gets.

    Parameters
    ----------
    name : the name of the feature.
    file : the file that declares it, for messages.
    call : the function.
    reads : the columns that it reads, by table, without account_id.
    days : the rows of event tables happened within this many days before the date; None if it reads no event table.
    """

    name: str
    file: str
    call: Function
    reads: Mapping[str, tuple[str, ...]]
    days: int | None

    @property
    def column(self) -> str:
        """The name of the snapshot's column with its values."""
        return f"function {self.name}"
