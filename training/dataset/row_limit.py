"""Limit on the rows of one fit, which bounds the time and the memory of a training on a large portfolio.

Rows of one account, horizon and label are close in time and nearly the same, so most of them can be left out. Every
such group keeps at least one row, and the rows that it keeps take over the weight of those that are left out. So all
accounts and all outcomes stay in the fit, at the same weight as before.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.utils.arrays import Bools, Floats, Objects

MOST_ROWS = 100_000
"""Maximum rows of one member of an ensemble, approximately. A portfolio of 1,500 accounts with three years of weekly
snapshots has fewer."""
MOST_SEARCH_ROWS = 50_000
"""Maximum rows of a search for settings, approximately."""


def thin_rows(
    accounts: Objects, as_of: pd.Series[pd.Timestamp], strata: npt.NDArray[Any], most: int
) -> tuple[Bools, Floats]:
    """Choose rows at even distances in time within each account and stratum.

    Which of the dates an account keeps depends on its id, so that all dates stay represented.

    Parameters
    ----------
    accounts, as_of : account and date of each row, shape (n,).
    strata : rows of one account with the same numbers here are a group, shape (n, k).
    most : the number of rows to keep, approximately; at least one row of each group stays.

    Returns
    -------
    array of bool, shape (n,)
        The rows to keep.
    array, shape (n,)
        By what to multiply the weight of each row, so that the weight of every group is unchanged if its rows have
        equal weights.
    """
    account, names = pd.factorize(accounts)
    group = account
    for column in strata.T:
        codes, values = pd.factorize(column)
        group = pd.factorize(group * len(values) + codes)[0]
    size = np.bincount(group)
    every = _distance(size, most)
    order = np.lexsort((pd.DatetimeIndex(as_of).asi8, group))
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(first, size)
    offsets = np.array([zlib.crc32(str(name).encode()) for name in names])[account] % np.minimum(every, size)[group]
    keep = rank % every == offsets
    return keep, (size / np.bincount(group[keep], minlength=len(size)))[group]


def _distance(size: npt.NDArray[np.int64], most: int) -> int:
    """Return the smallest distance between kept rows at which about ``most`` of all groups' rows remain."""
    every = max(1, -(-int(size.sum()) // most))
    while np.ceil(size / every).sum() > most and every < size.max():
        every += 1
    return every
