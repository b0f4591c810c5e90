"""Latest values, keys in a state, and extremes at each date."""

from __future__ import annotations

from typing import Literal

import numpy as np

from features.aggregation.account_date_grid import Panel, Values
from features.aggregation.distinct_keys import run_starts
from features.utils.arrays import Ints

BLOCK_CELLS = 2_000_000
"""Maximum number of cells of the (key, date) table computed at a time."""


def extremes(
    reduction: Literal["least", "greatest"],
    account: Ints,
    opens: Ints,
    amount: Values,
    panel: Panel,
    closes: Ints | None = None,
) -> Values:
    """Return for each cell the least or the greatest known amount.

    Parameters
    ----------
    reduction : which of the two.
    account : the account's position in the panel, shape (n,).
    opens : the date from which each row is known.
    amount : the amounts; NaN does not count.
    panel : the accounts and dates of the cells.
    closes : the date from which a later version replaces the row; None if no row is replaced. See `value_in_force`.

    Returns
    -------
    array of shape (cells,)
        The amounts; NaN if there is none.
    """
    accounts, dates = panel.shape
    used = ~np.isnan(amount) & (opens < dates)
    better, nothing = (np.minimum, np.inf) if reduction == "least" else (np.maximum, -np.inf)
    best = np.full(accounts * dates, nothing)
    lasting = used if closes is None else used & (closes >= dates)
    better.at(best, account[lasting] * dates + opens[lasting], amount[lasting])
    table = better.accumulate(best.reshape(accounts, dates), axis=1).ravel()
    if closes is not None:
        row, date = _dates_of(np.flatnonzero(used & ~lasting), opens, closes)
        better.at(table, account[row] * dates + date, amount[row])
    running = table[panel.cells]
    return np.where(np.isinf(running), np.nan, running)


def latest_value(
    account: Ints, opens: Ints, at_us: Ints, amount: Ints, panel: Panel, closes: Ints | None = None
) -> Values:
    """Return for each cell the amount of the account's latest known row.

    Parameters
    ----------
    account : the account's position in the panel, shape (n,).
    opens : the date from which each row is known.
    at_us : the instant of each row, microseconds since 1970.
    amount : the amounts.
    panel : the accounts and dates of the cells.
    closes : the date from which a later version replaces the row; None if no row is replaced. See `value_in_force`.

    Returns
    -------
    array of shape (cells,)
        The amounts; NaN if there is none.
    """
    accounts, dates = panel.shape
    return value_in_force(account, accounts, opens, at_us, amount, dates, closes).ravel()[panel.cells]


def keys_in_state(
    account: Ints,
    key: Ints,
    part: Ints,
    opens: Ints,
    at_us: Ints,
    holds: Ints,
    panel: Panel,
    closes: Ints | None = None,
) -> Ints:
    """Return for each cell the number of the account's keys that meet the condition in one of their parts.

    Parameters
    ----------
    account, key, part : position of the account, and numbers of the key and its part; shape (n,) each.
    opens : the date from which each row is known.
    at_us : the instant of each row, microseconds since 1970.
    holds : 1 where the condition holds from that row on, else 0.
    panel : the accounts and dates of the cells.
    closes : the date from which a later version replaces the row; None if no row is replaced. See `value_in_force`.

    Returns
    -------
    array of shape (cells,)
        The numbers of keys.
    """
    accounts, dates = panel.shape
    order = np.lexsort((part, key, account))
    account, key, part, opens, at_us, holds = (c[order] for c in (account, key, part, opens, at_us, holds))
    closes = None if closes is None else closes[order]
    line = np.cumsum(run_starts(account, key, part)) - 1
    first = run_starts(account, key)
    owner, starts = account[first], line[first]
    total = np.zeros((accounts, dates), dtype=np.int64)
    block = max(BLOCK_CELLS // dates, 1)
    for low in range(0, len(owner), block):
        lines = starts[low : low + block]
        end = starts[low + block] if low + block < len(starts) else int(line[-1]) + 1
        rows = slice(*np.searchsorted(line, [lines[0], end]))
        block_closes = None if closes is None else closes[rows]
        state = value_in_force(
            line[rows] - lines[0], int(end - lines[0]), opens[rows], at_us[rows], holds[rows], dates, block_closes
        )
        any_part = np.logical_or.reduceat(state == 1, lines - lines[0], axis=0)
        np.add.at(total, owner[low : low + block], any_part.astype(np.int64))
    return total.ravel()[panel.cells]


def value_in_force(
    line: Ints, lines: int, opens: Ints, at_us: Ints, amount: Ints, dates: int, closes: Ints | None = None
) -> Values:
    """Return for each line and date the amount of the latest known row.

    The latest row is the one with the latest instant, then the one known last; of equal rows the lowest amount counts.

    Parameters
    ----------
    line : the line that each row belongs to, from 0; shape (n,), as all columns of rows.
    lines, dates : the numbers of lines and dates.
    opens, closes : a row is known from its date in ``opens`` until its date in ``closes`` (exclusive), when a later
        version replaces it; None if no row is replaced.
    at_us : the instant of each row, microseconds since 1970.
    amount : the amounts.

    Returns
    -------
    array of shape (lines, dates)
        The amounts; NaN if there is none.
    """
    used = opens < dates if closes is None else (opens < dates) & (opens < closes)
    line, opens, at_us, amount = line[used], opens[used], at_us[used], amount[used]
    order = np.lexsort((-amount, opens, at_us, line))
    rank = np.full(lines * dates, -1, dtype=np.int64)
    place = np.arange(len(order))
    block_closes = np.full(len(order), dates) if closes is None else closes[used][order]
    lasting, line, opens = block_closes >= dates, line[order], opens[order]
    np.maximum.at(rank, line[lasting] * dates + opens[lasting], place[lasting])
    rank = np.maximum.accumulate(rank.reshape(lines, dates), axis=1)
    row, date = _dates_of(np.flatnonzero(~lasting), opens, block_closes)
    np.maximum.at(rank.reshape(-1), line[row] * dates + date, row)
    amounts = np.append(amount[order].astype(np.float64), np.nan)
    return amounts[rank]


def _dates_of(rows: Ints, opens: Ints, closes: Ints) -> tuple[Ints, Ints]:
    """Return a (row, date) pair for each date of ``rows``, from ``opens`` up to ``closes`` (exclusive)."""
    counts = np.maximum(closes[rows] - opens[rows], 0)
    row = np.repeat(rows, counts)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + opens[row]
