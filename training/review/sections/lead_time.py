"""Lead time: what the health score was 30, 60, 90 and 120 days before an account left. A score that falls only when the
letter is in the post warns nobody."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.dates import WEEK_DAYS
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel, undefined_figure

DAYS_BEFORE = (30, 60, 90, 120)


class ScoreBeforeChurn(ReviewModel):
    """So many days before the churn, by the last weekly score until then: churned accounts with a score, their mean
    score, and the share of them that was red, and red or yellow."""

    days: int
    accounts: int
    score: ReviewFigure
    red: ReviewFigure
    not_green: ReviewFigure


class LeadTime(ReviewModel):
    """The churns confirmed in the quarter (the grace ended in it), and the score of those who stayed, for
    comparison."""

    churned: int
    involuntary: int
    before: tuple[ScoreBeforeChurn, ...]
    stayed_score: ReviewFigure
    stayed_red: ReviewFigure
    note: str


def confirmation_delay(seen: ReviewData) -> pd.Timedelta:
    """How long after a churn it is certain: the grace; without contracts the horizon, which has to pass without an
    order."""
    return pd.Timedelta(days=seen.window.grace_days if seen.contractual else seen.window.horizon_days)


def churns_of_quarter(seen: ReviewData) -> pd.DataFrame:
    """The churns that became certain in the quarter: account_id, churned_at (UTC), involuntary."""
    window, churns = seen.window, seen.churned_at
    certain = churns["churned_at"] + confirmation_delay(seen)
    mine = churns[(certain > window.quarter.start) & (certain <= window.data_through)]
    return mine[["account_id", "churned_at", "involuntary"]].reset_index(drop=True)


def lead_time(seen: ReviewData) -> LeadTime:
    """Look back from each churn of the quarter."""
    mine = churns_of_quarter(seen)
    scores = pd.DataFrame(
        {"account_id": seen.accounts, "as_of": seen.as_of.to_numpy(), "score": seen.score, "band": seen.band}
    )
    scores["as_of"] = pd.to_datetime(scores["as_of"], utc=True).dt.as_unit("us")
    scores = scores[np.isfinite(scores["score"])].sort_values("as_of")
    found = [_before(mine, scores, days) for days in DAYS_BEFORE]
    stayed = seen.judged & (seen.churn == 0) & np.isfinite(seen.score)
    if not stayed.any():
        level, red = undefined_figure(), undefined_figure()
    else:
        resampled, ones = AccountResamples(seen.accounts[stayed]), np.ones(int(stayed.sum()))
        level = resampled.ratio(seen.score[stayed], ones, resampled.bootstrap.accounts)
        red = resampled.ratio(seen.band[stayed] == "red", ones, resampled.people(seen.band[stayed] == "red"))
    note = (
        "dated by the end of the last subscription"
        if seen.contractual
        else "without contracts a churn is dated by the first weekly snapshot after the last order"
    )
    return LeadTime(
        churned=len(mine),
        involuntary=int(mine["involuntary"].sum()),
        before=tuple(found),
        stayed_score=level,
        stayed_red=red,
        note=note,
    )


def band_before(churns: pd.DataFrame, scores: pd.DataFrame, days: int) -> pd.DataFrame:
    """Of each churn the last score at or before the day that is so long before it, at most a week older; those without
    one are left out.

    Parameters
    ----------
    churns : account_id, churned_at. scores : account_id, as_of, score, band; in the order of as_of.
    """
    if churns.empty or scores.empty:
        return pd.DataFrame({"account_id": [], "score": [], "band": []})
    wanted = churns.assign(then=(churns["churned_at"] - pd.Timedelta(days=days)).dt.as_unit("us")).sort_values("then")
    found = pd.merge_asof(
        wanted.astype({"account_id": str}),
        scores.astype({"account_id": str}),
        left_on="then",
        right_on="as_of",
        by="account_id",
        tolerance=pd.Timedelta(days=WEEK_DAYS),
    )
    return found[found["score"].notna()]


def _before(churns: pd.DataFrame, scores: pd.DataFrame, days: int) -> ScoreBeforeChurn:
    known = band_before(churns, scores, days)
    if known.empty:
        return ScoreBeforeChurn(
            days=days, accounts=0, score=undefined_figure(), red=undefined_figure(), not_green=undefined_figure()
        )
    resampled, ones = AccountResamples(known["account_id"].to_numpy(dtype=object)), np.ones(len(known))
    red, warned = (known["band"] == "red").to_numpy(), (known["band"] != "green").to_numpy()
    return ScoreBeforeChurn(
        days=days,
        accounts=resampled.bootstrap.accounts,
        score=resampled.ratio(known["score"].to_numpy(), ones, resampled.bootstrap.accounts),
        red=resampled.ratio(red, ones, resampled.people(red)),
        not_green=resampled.ratio(warned, ones, resampled.people(warned)),
    )
