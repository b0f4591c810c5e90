"""Inner slices, for choosing a model's settings within the training dates.

A purged slice by time alone would cost H + G of the few training dates. Instead the accounts are dealt into folds: a
model is fitted on the other folds and judged on the later dates of its own. What it is judged on is of accounts that
it never saw, so no label window is shared, and it is of the later dates, which are nearer to those that it will meet.
(Fitting on the earlier dates only was tried too: it stops too soon, for it sees half of the training's outcomes. Log
loss out of time 0.540 against 0.536 on a wholesaler's churn.)
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.utils.arrays import Bools

FOLDS = 3
# The share of the dates on which the settings are judged.
LATER_SHARE = 0.5
# Dates nearer to each other than this tell hardly anything new; the search leaves some out to be quick.
SEARCH_STEP_DAYS = 28


@dataclass(frozen=True)
class Fold:
    """Row masks of shape (n,): fit on `fit`, judge on `held`. They share no account."""

    fit: Bools
    held: Bools


def later_folds(
    accounts: npt.NDArray[np.object_], as_of: pd.Series[pd.Timestamp], y: npt.ArrayLike
) -> tuple[Fold, ...]:
    """Folds of training rows; ones with a single class on either side are left out.

    Parameters
    ----------
    accounts, as_of, y : account, date (UTC) and label of each row.

    An account's fold depends on its id alone, not on the other rows or their order.
    """
    happened, fold = np.asarray(y) == 1, fold_numbers(accounts)
    dates = np.sort(as_of.unique())
    later = (as_of >= dates[int(len(dates) * (1 - LATER_SHARE))]).to_numpy(dtype=bool)
    found = [Fold(fold != i, (fold == i) & later) for i in range(FOLDS)]
    return tuple(f for f in found if all(0 < happened[rows].sum() < rows.sum() for rows in (f.fit, f.held)))


def fold_numbers(accounts: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    """The fold of each row, 0 to `FOLDS` - 1, by its account's id alone."""
    names, codes = np.unique(accounts.astype(str), return_inverse=True)
    return np.array([zlib.crc32(name.encode()) % FOLDS for name in names], dtype=np.int64)[codes]


def search_date_mask(as_of: pd.Series[pd.Timestamp]) -> Bools:
    """Rows of every so manieth date, at least four weeks apart where the dates allow it; the newest always among
    them."""
    dates = pd.DatetimeIndex(as_of.unique()).sort_values()
    step = pd.Series(dates).diff().median() / pd.Timedelta(days=1) if len(dates) > 1 else SEARCH_STEP_DAYS
    every = max(1, round(SEARCH_STEP_DAYS / step))
    return as_of.isin(dates[::-1][::every]).to_numpy(dtype=bool)
