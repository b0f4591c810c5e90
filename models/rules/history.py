"""A portfolio over some weeks: the same accounts at several dates, and since when something has held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.columns import number_column
from models.rules.conditions import FALSE, TRUE, UNKNOWN, States

WEEKS = 13
"""Dates that a history holds as a rule, a week apart: a quarter."""

Table = npt.NDArray[Any]


@dataclass(frozen=True)
class History:
    """Snapshots of one portfolio at several dates, the last one being the date that is judged.

    Parameters
    ----------
    frame : account_id, as_of and features; rows in any order, an account may lack dates.
    """

    frame: pd.DataFrame

    @cached_property
    def dates(self) -> tuple[pd.Timestamp, ...]:
        """The dates, in order."""
        return tuple(sorted(pd.Timestamp(d) for d in self.frame["as_of"].unique()))

    @property
    def as_of(self) -> pd.Timestamp:
        """The date that is judged."""
        return self.dates[-1]

    @cached_property
    def portfolios(self) -> tuple[pd.DataFrame, ...]:
        """The rows of each date, sorted by account_id, accounts that have left since among them."""
        found = (self.frame[self.frame["as_of"] == date] for date in self.dates)
        return tuple(rows.sort_values("account_id", kind="stable").reset_index(drop=True) for rows in found)

    @property
    def now(self) -> pd.DataFrame:
        """The rows of the last date."""
        return self.portfolios[-1]

    @cached_property
    def accounts(self) -> pd.Index[str]:
        """The accounts of the last date, sorted, shape (n,)."""
        found: pd.Index[str] = pd.Index(self.now["account_id"])
        return found

    @cached_property
    def _places(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Which of `accounts` each row of each date is of, -1 for one that has left since."""
        found = (self.accounts.get_indexer(pd.Index(rows["account_id"])) for rows in self.portfolios)
        return tuple(places.astype(np.int64) for places in found)

    def over_time(self, columns: Sequence[Table], unknown: object) -> Table:
        """A value of each account at each date, shape (n, dates), from that of every row of the portfolio of each date;
        ``unknown`` stands where an account was not active."""
        found = np.full((len(self.accounts), len(columns)), unknown, dtype=columns[-1].dtype)
        for i, (values, places) in enumerate(zip(columns, self._places, strict=True)):
            found[places[places >= 0], i] = values[places >= 0]
        return found

    def states(self, of: Callable[[pd.DataFrame], States]) -> Table:
        """Something true, false or unknown at each date, judged among the portfolio of that date; shape (n, dates)."""
        return self.over_time([of(rows) for rows in self.portfolios], UNKNOWN)

    def numbers(self, feature: str) -> Table:
        """A feature at each date, NaN unknown, shape (n, dates)."""
        return self.over_time([number_column(rows, feature) for rows in self.portfolios], np.nan)


def since(states: Table) -> npt.NDArray[np.int64]:
    """From which date on something has held without a break up to the last one, shape (n,): its place among the dates;
    -1 where it does not hold now.

    Parameters
    ----------
    states : shape (n, dates); a date at which it is unknown ends the run.
    """
    holds = states == TRUE
    back = np.cumprod(holds[:, ::-1], axis=1).sum(axis=1)
    return np.where(back > 0, holds.shape[1] - back, -1).astype(np.int64)


def confirmed(states: Table) -> States:
    """Whether something noisy counts: TRUE where it holds now and held at the date before, else FALSE; UNKNOWN where
    it holds now and the date before is unknown. Shape (n,)."""
    now = states[:, -1]
    before = states[:, -2] if states.shape[1] > 1 else np.full(len(states), UNKNOWN, dtype=np.int8)
    return np.where(now != TRUE, FALSE, before)
