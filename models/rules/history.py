"""A portfolio over some weeks: the same accounts at several dates, and since when something has held."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.peer_groups.frame_columns import number_column
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
    def rows(self) -> pd.DataFrame:
        """All rows, sorted by date and then by account_id, accounts that have left since among them."""
        return self.frame.sort_values(["as_of", "account_id"], kind="stable").reset_index(drop=True)

    @cached_property
    def last(self) -> slice:
        """Where among the `rows` those of the last date are."""
        return slice(int((self.rows["as_of"] < self.as_of).sum()), len(self.rows))

    @cached_property
    def now(self) -> pd.DataFrame:
        """The rows of the last date."""
        return self.rows.iloc[self.last].reset_index(drop=True)

    @cached_property
    def accounts(self) -> pd.Index[str]:
        """The accounts of the last date, sorted, shape (n,)."""
        found: pd.Index[str] = pd.Index(self.now["account_id"])
        return found

    @cached_property
    def _places(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """The rows of accounts that are there at the last date, and for each the place of its account and its date."""
        account = self.accounts.get_indexer(pd.Index(self.rows["account_id"]))
        date = pd.Index(self.dates).get_indexer(pd.Index(self.rows["as_of"]))
        there = np.flatnonzero(account >= 0)
        return there, account[there], date[there]

    def over_time(self, values: Table, unknown: object) -> Table:
        """A value of each account at each date, shape (n, dates), from that of every one of the `rows`; ``unknown``
        stands where an account was not active."""
        there, account, date = self._places
        found = np.full((len(self.accounts), len(self.dates)), unknown, dtype=values.dtype)
        found[account, date] = values[there]
        return found

    def numbers(self, feature: str) -> Table:
        """A feature at each date, NaN unknown, shape (n, dates)."""
        return self.over_time(number_column(self.rows, feature), np.nan)


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
