"""What the health score had shown before the churns of the quarter, and what it would have shown with the changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.arrays import Objects
from models.health.rubric import Rubric
from training.review.dataset import ReviewData
from training.review.figure import ReviewModel
from training.review.sections.lead_time import band_before, churns_of_quarter

DAYS_BEFORE = 90
"""So long before an account left."""


class Hindsight(ReviewModel):
    """Of the churns that became certain in the quarter: those with a score 90 days before the account left, how many of
    them were red then, and how many would have been with the proposed changes (None where nothing is proposed).

    ``words`` is the same as sentences.
    """

    churned: int
    known: int
    red: int
    red_proposed: int | None
    words: str


def hindsight(seen: ReviewData, proposed: Rubric | None) -> Hindsight:
    """Look back by the rubric in force and by the proposed one."""
    churned = len(churns_of_quarter(seen))
    bands = _bands(seen, seen.band)
    red_then, after = int((bands == "red").sum()), None
    now, then = int((seen.band[seen.newest] == "red").sum()), None
    if proposed is not None:
        other = proposed.score(seen.frame).band.to_numpy(dtype=object)
        after, then = int((_bands(seen, other) == "red").sum()), int((other[seen.newest] == "red").sum())
    return Hindsight(
        churned=churned,
        known=len(bands),
        red=red_then,
        red_proposed=after,
        words=_hindsight_text(churned, bands, after, now, then),
    )


def _bands(seen: ReviewData, band: Objects) -> Objects:
    """The band of each churned account that had one, so many days before it left."""
    known = band_before(churns_of_quarter(seen), _scores(seen, band), DAYS_BEFORE)
    return np.asarray(known["band"].to_numpy(dtype=object))


def _scores(seen: ReviewData, band: Objects) -> pd.DataFrame:
    as_of = pd.to_datetime(seen.as_of.to_numpy(), utc=True).as_unit("us")
    frame = pd.DataFrame({"account_id": seen.accounts, "as_of": as_of, "score": seen.score, "band": band})
    known: pd.DataFrame = frame[np.isfinite(frame["score"])]
    return known.sort_values("as_of")


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
