"""Impact of a change on the current portfolio: accounts and ARR that change band, and the length of the red queue."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.health.rubric import Rubric
from training.review.dataset import BAND_NAMES, ReviewData
from training.review.figure import ReviewModel

MAX_LISTED = 20


class BandChange(ReviewModel):
    """Accounts that would move from one band to another, and their ARR."""

    before: str
    after: str
    accounts: int
    arr: float


class BandMover(ReviewModel):
    """One account that would change band."""

    account_id: str
    arr: float
    score_before: float | None
    score_after: float | None
    before: str
    after: str


class BandCount(ReviewModel):
    """Accounts and ARR of a band, before and after the change."""

    band: str
    accounts_before: int
    accounts_after: int
    arr_before: float
    arr_after: float


class Impact(ReviewModel):
    """Impact of the tested weights and limits on the accounts at ``as_of``.

    ``proposed`` is true if they are proposed, and false if they were only tested. ``over_before`` and ``over_after``
    are true if the red queue is longer than the ``capacity`` of the team.
    """

    as_of: str
    proposed: bool
    accounts: int
    accounts_changing: int
    arr_changing: float
    bands: tuple[BandCount, ...]
    changes: tuple[BandChange, ...]
    red_before: int
    red_after: int
    capacity: int
    over_before: bool
    over_after: bool
    largest: tuple[BandMover, ...]


def proposal_impact(data: ReviewData, other: Rubric, capacity: int, proposed: bool) -> Impact:
    """Score the newest date with another rubric, and compare with the current one.

    Parameters
    ----------
    data : the data of the review.
    other : the rubric with the tested weights and limits.
    capacity : red accounts that the team can look after on a date.
    proposed : whether the other rubric is proposed.
    """
    rows = data.newest
    scored = other.score(data.frame[rows])
    after, score_after = scored.band.to_numpy(dtype=object), scored.score.to_numpy(dtype=np.float64)
    before, score_before, arr = data.band[rows], data.score[rows], data.arr[rows]
    accounts, moved = data.accounts[rows], before != after
    table = pd.DataFrame({"before": before, "after": after, "arr": arr})[moved]
    changes = [
        BandChange(before=str(one), after=str(two), accounts=len(values), arr=float(values.sum()))
        for (one, two), values in table.groupby(["before", "after"])["arr"]
    ]
    largest = sorted(np.flatnonzero(moved), key=lambda position: -arr[position])[:MAX_LISTED]
    red_before, red_after = (int((band == "red").sum()) for band in (before, after))
    return Impact(
        as_of=str(data.dates[-1].date()),
        proposed=proposed,
        accounts=int(rows.sum()),
        accounts_changing=int(moved.sum()),
        arr_changing=float(arr[moved].sum()),
        bands=tuple(
            BandCount(
                band=name,
                accounts_before=int((before == name).sum()),
                accounts_after=int((after == name).sum()),
                arr_before=float(arr[before == name].sum()),
                arr_after=float(arr[after == name].sum()),
            )
            for name in BAND_NAMES
        ),
        changes=tuple(changes),
        red_before=red_before,
        red_after=red_after,
        capacity=capacity,
        over_before=red_before > capacity,
        over_after=red_after > capacity,
        largest=tuple(
            BandMover(
                account_id=str(accounts[position]),
                arr=float(arr[position]),
                score_before=_finite_or_none(score_before[position]),
                score_after=_finite_or_none(score_after[position]),
                before=str(before[position]),
                after=str(after[position]),
            )
            for position in largest
        ),
    )


def _finite_or_none(score: float) -> float | None:
    return float(score) if np.isfinite(score) else None
