"""What stands at a date: the latest value, the keys that hold, the newest and oldest instants."""

from __future__ import annotations

from typing import Literal

import numpy as np

from features.aggregation.account_date_grid import Board, Ints, Values
from features.aggregation.distinct_keys import begins

KEYS_AT_ONCE = 2_000_000
"""Cells of the (key, date) table that is worked on at a time."""


def extremes(
    reduction: Literal["least", "greatest"],
    account: Ints,
    opens: Ints,
    amount: Values,
    board: Board,
    closes: Ints | None = None,
) -> Values:
    """At each cell, the least or the greatest amount among what is known there, NaN amounts left out; NaN for none.
    ``closes`` as for `in_force`."""
    accounts, dates = board.shape
    seen = ~np.isnan(amount) & (opens < dates)
    better, nothing = (np.minimum, np.inf) if reduction == "least" else (np.maximum, -np.inf)
    best = np.full(accounts * dates, nothing)
    lasting = seen if closes is None else seen & (closes >= dates)
    better.at(best, account[lasting] * dates + opens[lasting], amount[lasting])
    table = better.accumulate(best.reshape(accounts, dates), axis=1).ravel()
    if closes is not None:
        row, date = _dates_of(np.flatnonzero(seen & ~lasting), opens, closes)
        better.at(table, account[row] * dates + date, amount[row])
    running = table[board.cells]
    return np.where(np.isinf(running), np.nan, running)


def latest(account: Ints, opens: Ints, at_us: Ints, amount: Ints, board: Board, closes: Ints | None = None) -> Values:
    """At each cell, the amount of the account's latest row known; NaN for none. ``closes`` as for `in_force`."""
    accounts, dates = board.shape
    return in_force(account, accounts, opens, at_us, amount, dates, closes).ravel()[board.cells]


def held(
    account: Ints,
    key: Ints,
    part: Ints,
    opens: Ints,
    at_us: Ints,
    holds: Ints,
    board: Board,
    closes: Ints | None = None,
) -> Ints:
    """At each cell, how many of the account's keys hold in one of their parts; ``closes`` as for `in_force`."""
    accounts, dates = board.shape
    order = np.lexsort((part, key, account))
    account, key, part, opens, at_us, holds = (c[order] for c in (account, key, part, opens, at_us, holds))
    closes = None if closes is None else closes[order]
    line = np.cumsum(begins(account, key, part)) - 1
    first = begins(account, key)
    owner, starts = account[first], line[first]
    total = np.zeros((accounts, dates), dtype=np.int64)
    block = max(KEYS_AT_ONCE // dates, 1)
    for low in range(0, len(owner), block):
        mine = starts[low : low + block]
        end = starts[low + block] if low + block < len(starts) else int(line[-1]) + 1
        here = slice(*np.searchsorted(line, [mine[0], end]))
        shut = None if closes is None else closes[here]
        state = in_force(line[here] - mine[0], int(end - mine[0]), opens[here], at_us[here], holds[here], dates, shut)
        any_part = np.logical_or.reduceat(state == 1, mine - mine[0], axis=0)
        np.add.at(total, owner[low : low + block], any_part.astype(np.int64))
    return total.ravel()[board.cells]


def in_force(
    line: Ints, lines: int, opens: Ints, at_us: Ints, amount: Ints, dates: int, closes: Ints | None = None
) -> Values:
    """On each line at each date, the amount of the latest row known, shape (lines, dates); NaN for none.

    Later is by instant, then by when it became known; among equals the lowest amount counts. A row is known from its
    date in ``opens`` on, and up to that in ``closes`` (exclusive) where a later version replaces it; None: none does.
    """
    seen = opens < dates if closes is None else (opens < dates) & (opens < closes)
    line, opens, at_us, amount = line[seen], opens[seen], at_us[seen], amount[seen]
    order = np.lexsort((-amount, opens, at_us, line))
    rank = np.full(lines * dates, -1, dtype=np.int64)
    place = np.arange(len(order))
    shut = np.full(len(order), dates) if closes is None else closes[seen][order]
    lasting, line, opens = shut >= dates, line[order], opens[order]
    np.maximum.at(rank, line[lasting] * dates + opens[lasting], place[lasting])
    rank = np.maximum.accumulate(rank.reshape(lines, dates), axis=1)
    row, date = _dates_of(np.flatnonzero(~lasting), opens, shut)
    np.maximum.at(rank.reshape(-1), line[row] * dates + date, row)
    amounts = np.append(amount[order].astype(np.float64), np.nan)
    return amounts[rank]


def _dates_of(rows: Ints, opens: Ints, closes: Ints) -> tuple[Ints, Ints]:
    """Each date of each of ``rows``, from ``opens`` up to ``closes`` (exclusive): the row, and the date."""
    many = np.maximum(closes[rows] - opens[rows], 0)
    row = np.repeat(rows, many)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many) + opens[row]
