"""The panel of accounts and dates, and the positions of buckets relative to the dates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.definitions.aggregations import ALL_TIME
from features.utils.arrays import Ints
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds

Values: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Panel:
    """Every account at every date, and the requested cells.

    Parameters
    ----------
    accounts : all account ids, sorted, shape (a,).
    grid : the dates, p of them.
    cells : positions ``account * p + date`` of the requested rows, shape (n,).
    """

    accounts: pa.Array
    grid: Grid
    cells: Ints

    def rows_of(self, table: pa.Table) -> tuple[pa.Table, Ints]:
        """Return the rows of the panel's accounts, and the position of each row's account."""
        place = np.concatenate([self._places(chunk) for chunk in table["account_id"].chunks] or [np.zeros(0, np.int64)])
        if len(place) and place.min() < 0:
            table, place = table.filter(pa.array(place >= 0)), place[place >= 0]
        return table, place

    def _places(self, ids: pa.Array) -> Ints:
        """Return the position of each id's account, -1 if it is not in the panel."""
        if not pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_encode()
        own = pc.fill_null(pc.index_in(ids.dictionary.cast(self.accounts.type), value_set=self.accounts), -1)
        positions: Ints = own.to_numpy().astype(np.int64)[ids.indices.to_numpy()]
        return positions

    def blocks(self, n: int) -> list[AccountBlock]:
        """Split the panel into ``n`` blocks of about the same number of accounts."""
        account, date = self.place
        edges = np.linspace(0, len(self.accounts), n + 1).astype(np.int64).tolist()
        blocks = []
        for first, end in pairwise(edges):
            own = np.flatnonzero((account >= first) & (account < end))
            cells = (account[own] - first) * self.grid.n + date[own]
            panel = Panel(self.accounts.slice(first, end - first), self.grid, cells)
            blocks.append(AccountBlock(first, end, own, panel))
        return blocks

    @cached_property
    def place(self) -> tuple[Ints, Ints]:
        """Account and date of each cell."""
        account, date = np.divmod(self.cells, self.grid.n)
        return account, date

    @property
    def shape(self) -> tuple[int, int]:
        """Accounts and dates."""
        return len(self.accounts), self.grid.n


@dataclass(frozen=True)
class AccountBlock:
    """The accounts ``first`` to ``end`` (exclusive) of a panel: the positions of their cells, and their own panel."""

    first: int
    end: int
    cells: Ints
    panel: Panel


@dataclass(frozen=True)
class BucketCalendar:
    """Buckets of ``width`` days relative to the grid's dates."""

    grid: Grid
    width: int

    @property
    def first(self) -> int:
        """The bucket that ends at the first date; see `features.aggregation.bucket_arithmetic.bucket`."""
        return epoch_seconds(self.grid.first) // (self.width * DAY_SECONDS)

    def ends(self, ago: int) -> Ints:
        """Return the bucket that ends ``ago`` days before each date."""
        return self.first - ago // self.width + np.arange(self.grid.n) * (self.grid.every_days // self.width)

    def date(self, buckets: Ints, later_days: int = 0) -> Ints:
        """Return the first date at or after the end of each bucket.

        Parameters
        ----------
        buckets : bucket numbers, shape (n,).
        later_days : days that are added to the end of the bucket, a multiple of the width.

        Returns
        -------
        array of shape (n,)
            Positions of dates, from 0; the number of dates if none is late enough.
        """
        steps = self.grid.every_days // self.width
        ahead = buckets + (later_days // self.width - self.first)
        return np.clip(-(-ahead // steps), 0, self.grid.n)

    def closing_date(self, buckets: Ints, days: int, ago: int) -> Ints:
        """Return the first date whose window no longer contains the bucket.

        Parameters
        ----------
        buckets : bucket numbers, shape (n,).
        days : the length of the window; 0 for all rows.
        ago : how many days before the date the window ends.

        Returns
        -------
        array of shape (n,)
            Positions of dates; the number of dates if every window contains the bucket.
        """
        if days == ALL_TIME:
            return np.full(len(buckets), self.grid.n, dtype=np.int64)
        return self.date(buckets, days + ago)


def interval_sums(panel: Panel, account: Ints, opens: Ints, closes: Ints, amount: Ints) -> Ints:
    """Return for each cell the sum of the amounts whose interval ``[opens, closes)`` contains its date.

    Parameters
    ----------
    panel : the accounts and dates of the cells.
    account : the account's position in the panel, shape (n,).
    opens, closes : the first date at which each row counts, and the first at which it no longer does.
    amount : the amount of each row, shape (n,).

    Returns
    -------
    array of shape (cells,)
        The sums.
    """
    accounts, dates = panel.shape
    used = (opens < closes) & (amount != 0)
    if not used.any():
        return np.zeros(len(panel.cells), dtype=np.int64)
    account, opens, closes, amount = account[used], opens[used], closes[used], amount[used]
    change = np.zeros(accounts * (dates + 1), dtype=np.int64)
    np.add.at(change, account * (dates + 1) + opens, amount)
    np.subtract.at(change, account * (dates + 1) + closes, amount)
    running: Ints = change.reshape(accounts, dates + 1)[:, :dates].cumsum(axis=1)
    return running.ravel()[panel.cells]
