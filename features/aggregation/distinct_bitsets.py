"""Distinct counts of few keys: each key is a bit, and a window holds the bits of its buckets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.aggregation.account_date_grid import Board, Clock, Ints
from features.definitions.aggregations import EVER

USUAL = 50
"""A lag that more than one in so many rows have is a usual one."""


@dataclass(frozen=True)
class Bits:
    """Keys as bits by account and bucket, ready to be counted over any window.

    Parameters
    ----------
    by_lag : for the usual lags between happening and being known (buckets), the bits of each account and bucket, shape
        (accounts, b), from bucket ``low`` to the last one that ends before the last date.
    late : account, kb, ob and bits of what became known after a lag that is rare.
    """

    clock: Clock
    board: Board
    low: int
    by_lag: dict[int, Ints]
    late: tuple[Ints, Ints, Ints, Ints]

    @classmethod
    def of(cls, account: Ints, known: Ints, happened: Ints, bits: Ints, clock: Clock, board: Board) -> Bits:
        """From rows: the account's place on the board, kb, ob, and the bits, shape (n,) each."""
        last = int(clock.ends(0)[-1])
        used = (bits != 0) & (happened <= last)
        account, known, happened, bits = account[used], known[used], happened[used], bits[used]
        low = int(happened.min()) if len(happened) else last
        lags, many = np.unique(known - happened, return_counts=True)
        usual = [int(lag) for lag in lags[many * USUAL > len(account)]]
        by_lag, wide = {}, last - low + 1
        for lag in usual:
            rows = known - happened == lag
            table = np.zeros(len(board.accounts) * wide, dtype=np.int64)
            np.bitwise_or.at(table, account[rows] * wide + happened[rows] - low, bits[rows])
            by_lag[lag] = table.reshape(-1, wide)
        rare = ~np.isin(known - happened, usual)
        return cls(clock, board, low, by_lag, (account[rare], known[rare], happened[rare], bits[rare]))

    def over(self, days: int, ago: int) -> Ints:
        """How many keys the window of ``days`` (0: everything) holds, as it stood ``ago`` days before each date."""
        accounts, dates = self.board.shape
        found = np.zeros((accounts, dates), dtype=np.int64)
        ends = self.clock.ends(ago) - self.low
        for lag, table in self.by_lag.items():
            length = table.shape[1] if days == EVER else days // self.clock.width - lag
            if length > 0:
                seen = _either(table, min(length, table.shape[1]))
                at = ends - lag
                # Beyond the last bucket nothing is known yet; before the first there was nothing.
                found |= np.where(at < 0, 0, seen[:, np.clip(at, 0, table.shape[1] - 1)])
        account, known, happened, bits = self.late
        flat, opens, closes = found.ravel(), self.clock.date(known, ago), self.clock.gone(happened, days, ago)
        while (still := opens < closes).any():
            account, opens, closes, bits = account[still], opens[still], closes[still], bits[still]
            np.bitwise_or.at(flat, account * dates + opens, bits)
            opens = opens + 1
        return np.bitwise_count(flat[self.board.cells]).astype(np.int64)


def _either(table: Ints, length: int) -> Ints:
    """The bits of the last ``length`` columns up to each one."""
    found, done = table.copy(), 1
    while done < length:
        step = min(done, length - done)
        found[:, step:] |= found[:, :-step].copy()
        done += step
    return found
