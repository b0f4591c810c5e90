"""Definitions of a review: what is counted, which outcomes are still open, and what is excluded."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.dates import to_iso
from features.utils.formatting import day, moment
from models.health.rubric import INSUFFICIENT
from training.review.dataset import ReviewData
from training.review.figure import ReviewModel
from training.review.sections.lead_time import confirmation_delay


class ReviewDefinitions(ReviewModel):
    """Dates and counts of a review.

    ``judged_first`` to ``judged_last`` are the evaluated dates, whose outcome became known in the quarter; ``cut_off``
    is the last date whose outcome can be known. ``accounts`` have an evaluated snapshot. ``censored`` accounts are
    active on the newest date, so that their outcome is open. ``excluded`` accounts have evaluated snapshots but never a
    score. ``history_snapshots`` were evaluated in earlier quarters. ``counts`` explains which sections count which
    churns.
    """

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


def review_definitions(data: ReviewData) -> ReviewDefinitions:
    """Collect the counts and dates of a review.

    Parameters
    ----------
    data : the data of the review.
    """
    window, judged = data.window, data.judged
    dates = data.as_of[judged]
    with_score = data.accounts[judged & (data.band != INSUFFICIENT)]
    accounts = set(data.accounts[judged])
    earlier = data.labelled & window.before(data.as_of)
    confirmed_at = data.churned_at["churned_at"] + confirmation_delay(data)
    confirmed_in_quarter = (confirmed_at > window.quarter.start) & (confirmed_at <= window.data_through)
    notes = [] if window.over else [f"The quarter is incomplete: the signals end on {moment(window.data_through)}."]
    left = len(set(data.accounts[judged & (data.churn == 1)]))
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
        accounts=len(accounts),
        accounts_with_churn=left,
        accounts_with_expansion=len(set(data.accounts[judged & (data.expansion == 1)])),
        churns_confirmed=int(confirmed_in_quarter.sum()),
        censored=int((data.newest & ~np.isfinite(data.churn)).sum()),
        excluded=len(accounts - set(with_score)),
        history_first=str(data.dates[0].date()),
        history_snapshots=int(earlier.sum()),
        history_accounts_with_churn=len(set(data.accounts[earlier & (data.churn == 1)])),
        contractual=data.contractual,
        counts=_counts(data, left, int(confirmed_in_quarter.sum())),
        signals=data.signals.origin,
        notes=(*notes, *data.signals.notes),
    )


def _counts(data: ReviewData, left: int, confirmed: int) -> str:
    """Explain why sections count different churns."""
    window, wait = data.window, confirmation_delay(data)
    first, last = (at.date() for at in (window.quarter.start - wait, window.data_through - wait))
    judged = data.as_of[data.judged]
    until = (judged.max() + pd.Timedelta(days=window.horizon_days)).date()
    return (
        f"Sections count churns in different ways. Sections 4, 7, 11 and 13 count the {left} accounts that left within"
        f" {window.horizon_days} days of a reviewed score, that is, between {day(judged.min().date())} and"
        f" {day(until)}. Sections 1 (bands before a churn) and 5 count the {confirmed} churns confirmed in the quarter:"
        f" these accounts left after {day(first)}, no later than {day(last)}, and {wait.days} days have passed since."
        " Section 8 counts the churned accounts of all history, in an earlier and a later period. Sections 7 and 10"
        " evaluate the model only on outcomes that it was not trained on."
    )
