"""Sums over windows, from amounts by account and bucket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.aggregation.account_date_grid import Board, Clock, Ints, intervals
from features.definitions.aggregations import EVER


@dataclass(frozen=True)
class Totals:
    """Amounts by account and bucket, ready for sums over any window.

    Parameters
    ----------
    board : the accounts and cells.
    low : the first bucket, and
    running : the sums of all that was known as it happened, before each bucket from there on, shape (accounts, b + 1).
    late : account, kb, ob and amount of what became known later.
    """

    board: Board
    low: int
    running: Ints
    late: tuple[Ints, Ints, Ints, Ints]

    @classmethod
    def of(cls, account: Ints, known: Ints, happened: Ints, amount: Ints, board: Board) -> Totals:
        """From rows: the account's place on the board, kb, ob, and the amount, shape (n,) each."""
        used = amount != 0
        account, known, happened, amount = account[used], known[used], happened[used], amount[used]
        low = int(happened.min()) if len(happened) else 0
        buckets = int(happened.max()) - low + 1 if len(happened) else 0
        table = np.zeros(len(board.accounts) * (buckets + 1), dtype=np.int64)
        late = known != happened
        np.add.at(table, account[~late] * (buckets + 1) + happened[~late] - low + 1, amount[~late])
        running: Ints = np.cumsum(table.reshape(-1, buckets + 1), axis=1)
        return cls(board, low, running, (account[late], known[late], happened[late], amount[late]))

    def over(self, clock: Clock, days: int, ago: int) -> Ints:
        """The sum over the window of ``days`` (0: everything), as it stood ``ago`` days before each cell's date."""
        ends, last = clock.ends(ago) - self.low + 1, self.running.shape[1] - 1
        total = self.running[:, np.clip(ends, 0, last)]
        if days != EVER:
            total = total - self.running[:, np.clip(ends - days // clock.width, 0, last)]
        total = total.ravel()[self.board.cells]
        account, known, happened, amount = self.late
        opens, closes = clock.date(known, ago), clock.gone(happened, days, ago)
        return total + intervals(self.board, account, opens, closes, amount)
