"""Health bands before the churns of the quarter, with the current rubric and with the proposed one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.arrays import Objects
from models.health.rubric import Rubric
from training.review.dataset import ReviewData
from training.review.figure import ReviewModel
from training.review.sections.lead_time import band_before, churns_of_quarter

DAYS_BEFORE = 90
"""Days before the churn."""


class Hindsight(ReviewModel):
    """Bands of churned accounts 90 days before they left, for the churns confirmed in the quarter.

    ``known`` is the number of accounts with a score on that day, ``red`` the number that were red, and ``red_proposed``
    the number that would have been red with the proposed changes (None if nothing is proposed). ``words`` is the same
    as text.
    """

    churned: int
    known: int
    red: int
    red_proposed: int | None
    words: str


def hindsight(data: ReviewData, proposed: Rubric | None) -> Hindsight:
    """Count red accounts before each churn, with the current rubric and with the proposed one.

    Parameters
    ----------
    data : the data of the review.
    proposed : the rubric with the proposed changes; None if nothing is proposed.
    """
    churned = len(churns_of_quarter(data))
    bands = _bands(data, data.band)
    red_then, red_proposed = int((bands == "red").sum()), None
    now, then = int((data.band[data.newest] == "red").sum()), None
    if proposed is not None:
        other = proposed.score(data.frame).band.to_numpy(dtype=object)
        red_proposed, then = int((_bands(data, other) == "red").sum()), int((other[data.newest] == "red").sum())
    return Hindsight(
        churned=churned,
        known=len(bands),
        red=red_then,
        red_proposed=red_proposed,
        words=_hindsight_text(churned, bands, red_proposed, now, then),
    )


def _bands(data: ReviewData, band: Objects) -> Objects:
    """The band of each churned account 90 days before it left, for those with a score."""
    bands = band_before(churns_of_quarter(data), _scores(data, band), DAYS_BEFORE)
    return np.asarray(bands["band"].to_numpy(dtype=object))


def _scores(data: ReviewData, band: Objects) -> pd.DataFrame:
    as_of = pd.to_datetime(data.as_of.to_numpy(), utc=True).as_unit("us")
    frame = pd.DataFrame({"account_id": data.accounts, "as_of": as_of, "score": data.score, "band": band})
    with_score: pd.DataFrame = frame[np.isfinite(frame["score"])]
    return with_score.sort_values("as_of")


def _hindsight_text(churned: int, bands: Objects, after: int | None, now: int, then: int | None) -> str:
    if not churned:
        return "No churn was confirmed in the quarter."
    red, unknown = int((bands == "red").sum()), churned - len(bands)
    text = (
        f"{red} of the {churned} accounts with a churn confirmed in the quarter were red {DAYS_BEFORE} days before they"
        " left"
    )
    if unknown:
        text = f"{text} ({unknown} had no score on that day)"
    if after is None:
        return f"{text}."
    changed = "the same number" if after == red else f"{after}"
    return (
        f"{text}. With the proposed changes, {changed} would have been red."
        f" Red accounts on the newest date: {now} now, {then} with the proposed changes."
    )
