"""Accounts that changed band, and the churn rate by path between bands."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.arrays import Objects
from features.utils.dates import WEEK_DAYS
from training.review.dataset import BAND_NAMES, ReviewData
from training.review.figure import MINIMUM_EVENTS, AccountResamples, ReviewFigure, ReviewModel

WEEKS = 13
"""Weeks between the later_band bands of a path: a quarter."""
ABSENT = "not there"


class BandMove(ReviewModel):
    """Accounts that moved from earlier_band band to another between the first and the newest date of the quarter.

    ``arr`` is their ARR on the newest date, or on the first date for accounts that left. ``not there`` means that the
    account was not yet, or no longer, a customer.
    """

    before: str
    after: str
    accounts: int
    arr: float


class BandPath(ReviewModel):
    """Evaluated snapshots by their band a quarter earlier and their own band: accounts and churn rate.

    The rate is null if too few accounts followed the path.
    """

    before: str
    after: str
    accounts: int
    rate: ReviewFigure


class BandMigration(ReviewModel):
    """Moves within the quarter, and churn rate by path. ``first`` and ``last`` are the dates of the moves."""

    first: str
    last: str
    moves: tuple[BandMove, ...]
    paths: tuple[BandPath, ...]


def band_migration(data: ReviewData) -> BandMigration:
    """Count the moves within the quarter, and the churn rate by path.

    Parameters
    ----------
    data : the data of the review.
    """
    start, last = pd.Timestamp(data.window.quarter.start), data.dates[-1]
    first = min(data.dates, key=lambda date: abs(date - start))
    then, now = _at(data, first), _at(data, last)
    both = then.add_suffix("_then").join(now.add_suffix("_now"), how="outer")
    before, after = both["band_then"].fillna(ABSENT), both["band_now"].fillna(ABSENT)
    arr = both["arr_now"].fillna(both["arr_then"])
    groups = pd.DataFrame({"before": before, "after": after, "arr": arr}).groupby(["before", "after"])["arr"]
    order = [*BAND_NAMES, ABSENT]
    groups_by_path = [(str(earlier_band), str(later_band), values) for (earlier_band, later_band), values in groups]
    moves = [
        BandMove(before=earlier_band, after=later_band, accounts=len(values), arr=float(values.sum()))
        for earlier_band, later_band, values in sorted(
            groups_by_path, key=lambda each: (order.index(each[0]), order.index(each[1]))
        )
    ]
    return BandMigration(first=str(first.date()), last=str(last.date()), moves=tuple(moves), paths=_paths(data))


def _at(data: ReviewData, date: pd.Timestamp) -> pd.DataFrame:
    rows = data.at(date)
    return pd.DataFrame({"band": data.band[rows], "arr": data.arr[rows]}, index=data.accounts[rows])


def _paths(data: ReviewData) -> tuple[BandPath, ...]:
    keys = pd.MultiIndex.from_arrays([data.accounts, data.as_of])
    back = data.as_of - pd.Timedelta(days=WEEKS * WEEK_DAYS)
    place = keys.get_indexer(pd.MultiIndex.from_arrays([data.accounts, back]))
    earlier: Objects = np.where(place >= 0, data.band[np.maximum(place, 0)], ABSENT)
    rows = data.judged
    y, before, after = data.churn[rows], earlier[rows], data.band[rows]
    resampled, groups_by_path = AccountResamples(data.accounts[rows]), []
    for earlier_band in (*BAND_NAMES, ABSENT):
        for later_band in BAND_NAMES:
            on_path = (before == earlier_band) & (after == later_band)
            if not on_path.any():
                continue
            events = resampled.account_count(on_path & (y == 1))
            enough = resampled.account_count(on_path) >= 2 * MINIMUM_EVENTS
            rate = resampled.ratio(on_path * y, on_path, events) if enough else ReviewFigure(value=None, events=events)
            groups_by_path.append(
                BandPath(before=earlier_band, after=later_band, accounts=resampled.account_count(on_path), rate=rate)
            )
    return tuple(groups_by_path)
