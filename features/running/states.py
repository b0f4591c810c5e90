"""What stands at a date: the latest value, the keys that hold, the newest and oldest instants."""

from __future__ import annotations

import numpy as np

from features.measures import Newest, Oldest
from features.running.board import Board, Ints, Values
from features.running.keys import begins

KEYS_AT_ONCE = 2_000_000
"""Cells of the (key, date) table that is worked on at a time."""


def extremes(measure: Newest, account: Ints, opens: Ints, at_s: Values, board: Board) -> Values:
    """At each cell, the latest (earliest) instant among what is known there."""
    accounts, dates = board.shape
    seen = ~np.isnan(at_s) & (opens < dates)
    oldest = isinstance(measure, Oldest)
    best = np.full(accounts * dates, np.inf if oldest else -np.inf)
    (np.minimum if oldest else np.maximum).at(best, account[seen] * dates + opens[seen], at_s[seen])
    table = best.reshape(accounts, dates)
    running = (np.minimum if oldest else np.maximum).accumulate(table, axis=1).ravel()[board.cells]
    return np.where(np.isinf(running), np.nan, running)


def latest(account: Ints, opens: Ints, at_us: Ints, amount: Ints, board: Board) -> Values:
    """At each cell, the amount of the account's latest row known; NaN for none."""
    accounts, dates = board.shape
    return in_force(account, accounts, opens, at_us, amount, dates).ravel()[board.cells]


def held(account: Ints, key: Ints, part: Ints, opens: Ints, at_us: Ints, holds: Ints, board: Board) -> Ints:
    """At each cell, how many of the account's keys hold in one of their parts."""
    accounts, dates = board.shape
    order = np.lexsort((part, key, account))
    account, key, part, opens, at_us, holds = (c[order] for c in (account, key, part, opens, at_us, holds))
    line = np.cumsum(begins(account, key, part)) - 1
    first = begins(account, key)
    owner, starts = account[first], line[first]
    total = np.zeros((accounts, dates), dtype=np.int64)
    block = max(KEYS_AT_ONCE // dates, 1)
    for low in range(0, len(owner), block):
        mine = starts[low : low + block]
        end = starts[low + block] if low + block < len(starts) else int(line[-1]) + 1
        here = slice(*np.searchsorted(line, [mine[0], end]))
        state = in_force(line[here] - mine[0], int(end - mine[0]), opens[here], at_us[here], holds[here], dates)
        any_part = np.logical_or.reduceat(state == 1, mine - mine[0], axis=0)
        np.add.at(total, owner[low : low + block], any_part.astype(np.int64))
    return total.ravel()[board.cells]


def in_force(line: Ints, lines: int, opens: Ints, at_us: Ints, amount: Ints, dates: int) -> Values:
    """On each line at each date, the amount of the latest row known, shape (lines, dates); NaN for none.

    Later is by instant, then by when it became known; among equals the lowest amount counts.
    """
    seen = opens < dates
    line, opens, at_us, amount = line[seen], opens[seen], at_us[seen], amount[seen]
    order = np.lexsort((-amount, opens, at_us, line))
    rank = np.full(lines * dates, -1, dtype=np.int64)
    np.maximum.at(rank, line[order] * dates + opens[order], np.arange(len(order)))
    rank = np.maximum.accumulate(rank.reshape(lines, dates), axis=1)
    amounts = np.append(amount[order].astype(np.float64), np.nan)
    return amounts[rank]
