"""Who changed band, and what became of those on each path."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.arrays import Objects
from features.utils.dates import WEEK_DAYS
from training.review.dataset import BAND_NAMES, ReviewData
from training.review.figure import MINIMUM_EVENTS, AccountResamples, ReviewFigure, ReviewModel

WEEKS = 13
"""How far a path reaches back: a quarter of weekly dates."""
ABSENT = "not there"


class BandMove(ReviewModel):
    """Accounts (and their ARR at the end, or at the start for those who left) that went from one band to another
    between the quarter's first and newest date. ``not there`` is before an account came, or after it left."""

    before: str
    after: str
    accounts: int
    arr: float


class BandPath(ReviewModel):
    """Snapshots that the quarter judges by their band a quarter before and their own band: accounts, and how often
    churn followed. No rate where fewer than a handful of accounts have churned or stayed on the path."""

    before: str
    after: str
    accounts: int
    rate: ReviewFigure


class BandMigration(ReviewModel):
    """``first`` and ``last`` are the dates that the moves are between."""

    first: str
    last: str
    moves: tuple[BandMove, ...]
    paths: tuple[BandPath, ...]


def band_migration(seen: ReviewData) -> BandMigration:
    """Moves within the quarter, and the outcome by path."""
    start, last = pd.Timestamp(seen.window.quarter.start), seen.dates[-1]
    first = min(seen.dates, key=lambda date: abs(date - start))
    then, now = _at(seen, first), _at(seen, last)
    both = then.add_suffix("_then").join(now.add_suffix("_now"), how="outer")
    before, after = both["band_then"].fillna(ABSENT), both["band_now"].fillna(ABSENT)
    arr = both["arr_now"].fillna(both["arr_then"])
    groups = pd.DataFrame({"before": before, "after": after, "arr": arr}).groupby(["before", "after"])["arr"]
    order = [*BAND_NAMES, ABSENT]
    found = [(str(one), str(two), values) for (one, two), values in groups]
    moves = [
        BandMove(before=one, after=two, accounts=len(values), arr=float(values.sum()))
        for one, two, values in sorted(found, key=lambda each: (order.index(each[0]), order.index(each[1])))
    ]
    return BandMigration(first=str(first.date()), last=str(last.date()), moves=tuple(moves), paths=_paths(seen))


def _at(seen: ReviewData, date: pd.Timestamp) -> pd.DataFrame:
    rows = seen.at(date)
    return pd.DataFrame({"band": seen.band[rows], "arr": seen.arr[rows]}, index=seen.accounts[rows])


def _paths(seen: ReviewData) -> tuple[BandPath, ...]:
    keys = pd.MultiIndex.from_arrays([seen.accounts, seen.as_of])
    back = seen.as_of - pd.Timedelta(days=WEEKS * WEEK_DAYS)
    place = keys.get_indexer(pd.MultiIndex.from_arrays([seen.accounts, back]))
    earlier: Objects = np.where(place >= 0, seen.band[np.maximum(place, 0)], ABSENT)
    rows = seen.judged
    y, before, after = seen.churn[rows], earlier[rows], seen.band[rows]
    resampled, found = AccountResamples(seen.accounts[rows]), []
    for one in (*BAND_NAMES, ABSENT):
        for two in BAND_NAMES:
            mine = (before == one) & (after == two)
            if not mine.any():
                continue
            events = resampled.people(mine & (y == 1))
            enough = resampled.people(mine) >= 2 * MINIMUM_EVENTS
            rate = resampled.ratio(mine * y, mine, events) if enough else ReviewFigure(value=None, events=events)
            found.append(BandPath(before=one, after=two, accounts=resampled.people(mine), rate=rate))
    return tuple(found)
