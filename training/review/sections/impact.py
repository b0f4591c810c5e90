"""What a change would do to the portfolio as it stands: who changes band, what ARR moves, how long the red queue is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.health.rubric import Rubric
from training.review.dataset import BAND_NAMES, ReviewData
from training.review.figure import ReviewModel

MAX_LISTED = 20


class BandChange(ReviewModel):
    """Accounts that would go from one band to another, and their ARR."""

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
    """Accounts and ARR of a band, before and after."""

    band: str
    accounts_before: int
    accounts_after: int
    arr_before: float
    arr_after: float


class Impact(ReviewModel):
    """At ``as_of``, under the weights and limits that were judged; ``proposed`` tells whether they are proposed, or
    only what would come of them. ``over`` tells whether the red queue is longer than the team's ``capacity``."""

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


def proposal_impact(seen: ReviewData, other: Rubric, capacity: int, proposed: bool) -> Impact:
    """Score the newest date by another rubric beside the one in force."""
    rows = seen.newest
    scored = other.score(seen.frame[rows])
    after, score_after = scored.band.to_numpy(dtype=object), scored.score.to_numpy(dtype=np.float64)
    before, score_before, arr = seen.band[rows], seen.score[rows], seen.arr[rows]
    accounts, moved = seen.accounts[rows], before != after
    table = pd.DataFrame({"before": before, "after": after, "arr": arr})[moved]
    changes = [
        BandChange(before=str(one), after=str(two), accounts=len(values), arr=float(values.sum()))
        for (one, two), values in table.groupby(["before", "after"])["arr"]
    ]
    largest = sorted(np.flatnonzero(moved), key=lambda place: -arr[place])[:MAX_LISTED]
    red_before, red_after = (int((band == "red").sum()) for band in (before, after))
    return Impact(
        as_of=str(seen.dates[-1].date()),
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
                account_id=str(accounts[place]),
                arr=float(arr[place]),
                score_before=_known(score_before[place]),
                score_after=_known(score_after[place]),
                before=str(before[place]),
                after=str(after[place]),
            )
            for place in largest
        ),
    )


def _known(score: float) -> float | None:
    return float(score) if np.isfinite(score) else None
