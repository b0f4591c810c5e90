"""The definitions of a review: what was counted, what is not known yet, and what was left out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.dates import to_iso
from models.health.rubric import INSUFFICIENT
from training.review.dataset import ReviewData
from training.review.figure import ReviewModel
from training.review.sections.lead_time import confirmation_delay


class ReviewDefinitions(ReviewModel):
    """``judged_first`` to ``judged_last`` are the snapshots whose outcome became known in the quarter (the matured
    window); ``cut_off`` is the newest instant whose outcome can be known. ``accounts`` have a judged snapshot; of the
    ``censored`` (active at the newest date) nothing is known yet since their window is open; ``excluded`` have judged
    snapshots but no score in any of them. ``history_snapshots`` were judged in earlier quarters. ``counts`` says which
    section counts which churns."""

    quarter: str
    starts: str
    ends: str
    data_through: str
    over: bool
    horizon_days: int
    grace_days: int
    judged_first: str
    judged_last: str
    cut_off: str
    dates: int
    snapshots: int
    accounts: int
    accounts_with_churn: int
    accounts_with_expansion: int
    churns_confirmed: int
    censored: int
    excluded: int
    history_first: str
    history_snapshots: int
    history_accounts_with_churn: int
    contractual: bool
    counts: str
    signals: str
    notes: tuple[str, ...]


def review_definitions(seen: ReviewData) -> ReviewDefinitions:
    """What was counted."""
    window, judged = seen.window, seen.judged
    dates = seen.as_of[judged]
    with_score = seen.accounts[judged & (seen.band != INSUFFICIENT)]
    people = set(seen.accounts[judged])
    earlier = seen.labelled & window.before(seen.as_of)
    certain = seen.churned_at["churned_at"] + confirmation_delay(seen)
    settled = (certain > window.quarter.start) & (certain <= window.data_through)
    notes = [] if window.over else [f"the quarter is not over: the signals end on {to_iso(window.data_through)}"]
    left = len(set(seen.accounts[judged & (seen.churn == 1)]))
    return ReviewDefinitions(
        quarter=window.quarter.name,
        starts=to_iso(window.quarter.start),
        ends=to_iso(window.quarter.end),
        data_through=window.data_through.isoformat(),
        over=window.over,
        horizon_days=window.horizon_days,
        grace_days=window.grace_days,
        judged_first=str(dates.min().date()),
        judged_last=str(dates.max().date()),
        cut_off=window.cut_off.date().isoformat(),
        dates=int(dates.nunique()),
        snapshots=int(judged.sum()),
        accounts=len(people),
        accounts_with_churn=left,
        accounts_with_expansion=len(set(seen.accounts[judged & (seen.expansion == 1)])),
        churns_confirmed=int(settled.sum()),
        censored=int((seen.newest & ~np.isfinite(seen.churn)).sum()),
        excluded=len(people - set(with_score)),
        history_first=str(seen.dates[0].date()),
        history_snapshots=int(earlier.sum()),
        history_accounts_with_churn=len(set(seen.accounts[earlier & (seen.churn == 1)])),
        contractual=seen.contractual,
        counts=_counts(seen, left, int(settled.sum())),
        signals=seen.signals.origin,
        notes=(*notes, *seen.signals.notes),
    )


def _counts(seen: ReviewData, left: int, certain: int) -> str:
    """Why the sections count different churns, in words."""
    window, wait = seen.window, confirmation_delay(seen)
    first, last = (at.date() for at in (window.quarter.start - wait, window.data_through - wait))
    judged = seen.as_of[seen.judged]
    until = (judged.max() + pd.Timedelta(days=window.horizon_days)).date()
    return (
        f"Churns are counted in two ways. {left} accounts left within {window.horizon_days} days of a score that is"
        f" judged here, so between {judged.min().date()} and {until}: sections 4, 7, 11 and 13 count these. {certain}"
        f" churns became certain in the quarter: the account left after {first}, by {last}, and {wait.days} days have"
        " passed. The lead time (section 5) and what section 1 says of the bands before a churn count these. Section 8"
        " counts the accounts that left in all history, in an earlier and a later period. What sections 7 and 10 say"
        " about the model is of dates that it had not seen."
    )
