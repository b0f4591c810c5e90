"""The history of a portfolio: the same accounts at several dates."""

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
"""The usual number of weekly dates in a history: a quarter."""

AccountTable = npt.NDArray[Any]


@dataclass(frozen=True)
class PortfolioHistory:
    """Snapshots of one portfolio at several dates; the last one is the assessed date.

    Parameters
    ----------
    frame : account_id, as_of and features; rows in any order, and accounts may lack dates.
    """

    frame: pd.DataFrame

    @cached_property
    def dates(self) -> tuple[pd.Timestamp, ...]:
        """The dates, in order."""
        return tuple(sorted(pd.Timestamp(d) for d in self.frame["as_of"].unique()))

    @property
    def as_of(self) -> pd.Timestamp:
        """The assessed date, which is the last one."""
        return self.dates[-1]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """All rows, sorted by date and account_id, including accounts that have left since."""
        return self.frame.sort_values(["as_of", "account_id"], kind="stable").reset_index(drop=True)

    @cached_property
    def last(self) -> slice:
        """The slice of `rows` with the last date."""
        return slice(int((self.rows["as_of"] < self.as_of).sum()), len(self.rows))

    @cached_property
    def now(self) -> pd.DataFrame:
        """The rows of the last date."""
        return self.rows.iloc[self.last].reset_index(drop=True)

    @cached_property
    def accounts(self) -> pd.Index[str]:
        """The accounts of the last date, sorted, shape (n,)."""
        accounts: pd.Index[str] = pd.Index(self.now["account_id"])
        return accounts

    @cached_property
    def _indices(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """The rows of accounts that exist at the last date, with the indices of their account and date."""
        account = self.accounts.get_indexer(pd.Index(self.rows["account_id"]))
        date = pd.Index(self.dates).get_indexer(pd.Index(self.rows["as_of"]))
        present = np.flatnonzero(account >= 0)
        return present, account[present], date[present]

    def over_time(self, values: AccountTable, unknown: object) -> AccountTable:
        """Arrange values of `rows` by account and date, shape (n, dates); ``unknown`` fills the gaps."""
        present, account, date = self._indices
        table = np.full((len(self.accounts), len(self.dates)), unknown, dtype=values.dtype)
        table[account, date] = values[present]
        return table

    def numbers(self, feature: str) -> AccountTable:
        """Return a feature at each date, NaN if unknown, shape (n, dates)."""
        return self.over_time(number_column(self.rows, feature), np.nan)


def holding_since(states: AccountTable) -> npt.NDArray[np.int64]:
    """Return the index of the date since which a state has held, shape (n,); -1 if it does not hold now.

    Parameters
    ----------
    states : shape (n, dates); an unknown state ends the run.
    """
    holds = states == TRUE
    back = np.cumprod(holds[:, ::-1], axis=1).sum(axis=1)
    return np.where(back > 0, holds.shape[1] - back, -1).astype(np.int64)


def confirmed(states: AccountTable) -> States:
    """Return whether a noisy sign is confirmed, shape (n,).

    TRUE if it holds now and held at the previous date; UNKNOWN if it holds now and the previous date is unknown; else
    FALSE.
    """
    now = states[:, -1]
    before = states[:, -2] if states.shape[1] > 1 else np.full(len(states), UNKNOWN, dtype=np.int8)
    return np.where(now != TRUE, FALSE, before)
