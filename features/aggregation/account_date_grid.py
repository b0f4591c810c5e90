"""The board that everything is counted on: accounts against dates, and how buckets lie between the dates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.definitions.aggregations import EVER
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds

Ints: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Board:
    """Every account at every date, and the cells of it that are asked for.

    Parameters
    ----------
    accounts : all account ids, sorted, shape (a,).
    grid : the dates, p of them.
    cells : positions ``account * p + date`` of the rows asked for, shape (n,).
    """

    accounts: pa.Array
    grid: Grid
    cells: Ints

    def rows_of(self, table: pa.Table) -> tuple[pa.Table, Ints]:
        """The rows of known accounts, and which account each is of."""
        place = np.concatenate([self._places(chunk) for chunk in table["account_id"].chunks] or [np.zeros(0, np.int64)])
        if len(place) and place.min() < 0:
            table, place = table.filter(pa.array(place >= 0)), place[place >= 0]
        return table, place

    def _places(self, ids: pa.Array) -> Ints:
        """Which account each id is, -1 for none of ours."""
        if not pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_encode()
        own = pc.fill_null(pc.index_in(ids.dictionary.cast(self.accounts.type), value_set=self.accounts), -1)
        found: Ints = own.to_numpy().astype(np.int64)[ids.indices.to_numpy()]
        return found

    def blocks(self, n: int) -> list[Block]:
        """``n`` blocks of about as many accounts each."""
        account, date = self.place
        edges = np.linspace(0, len(self.accounts), n + 1).astype(np.int64).tolist()
        found = []
        for first, end in pairwise(edges):
            mine = np.flatnonzero((account >= first) & (account < end))
            cells = (account[mine] - first) * self.grid.n + date[mine]
            found.append(Block(first, end, mine, Board(self.accounts.slice(first, end - first), self.grid, cells)))
        return found

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
class Block:
    """The accounts ``first`` to ``end`` (exclusive) of a board: which of its cells are theirs, and a board of their
    own."""

    first: int
    end: int
    cells: Ints
    board: Board


@dataclass(frozen=True)
class Clock:
    """Buckets of ``width`` days against the grid's dates."""

    grid: Grid
    width: int

    @property
    def first(self) -> int:
        """The bucket that ends at the first date; see `features.aggregation.bucket_arithmetic.bucket`."""
        return epoch_seconds(self.grid.first) // (self.width * DAY_SECONDS)

    def ends(self, ago: int) -> Ints:
        """The bucket that ends ``ago`` days before each date."""
        return self.first - ago // self.width + np.arange(self.grid.n) * (self.grid.every_days // self.width)

    def date(self, buckets: Ints, later_days: int = 0) -> Ints:
        """The first date at or after the end of each bucket, ``later_days`` later; 0 to the number of dates."""
        steps = self.grid.every_days // self.width
        ahead = buckets + (later_days // self.width - self.first)
        return np.clip(-(-ahead // steps), 0, self.grid.n)

    def gone(self, buckets: Ints, days: int, ago: int) -> Ints:
        """The first date whose window of ``days`` no longer reaches the bucket; 0 is "everything"."""
        if days == EVER:
            return np.full(len(buckets), self.grid.n, dtype=np.int64)
        return self.date(buckets, days + ago)


def intervals(board: Board, account: Ints, opens: Ints, closes: Ints, amount: Ints) -> Ints:
    """At each cell, the sum of the amounts whose interval ``[opens, closes)`` of dates holds it."""
    accounts, dates = board.shape
    seen = (opens < closes) & (amount != 0)
    account, opens, closes, amount = account[seen], opens[seen], closes[seen], amount[seen]
    change = np.zeros(accounts * (dates + 1), dtype=np.int64)
    np.add.at(change, account * (dates + 1) + opens, amount)
    np.subtract.at(change, account * (dates + 1) + closes, amount)
    running: Ints = change.reshape(accounts, dates + 1)[:, :dates].cumsum(axis=1)
    return running.ravel()[board.cells]
