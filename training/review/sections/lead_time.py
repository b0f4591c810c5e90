"""Lead time: the health score 30, 60, 90 and 120 days before an account left.

A score that falls only shortly before the churn leaves no time to act.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.dates import WEEK_DAYS
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel, undefined_figure

DAYS_BEFORE = (30, 60, 90, 120)


class ScoreBeforeChurn(ReviewModel):
    """Scores of churned accounts this many days before the churn, by the last weekly score until then.

    ``accounts`` is the number of churned accounts with a score; ``score`` is their mean score, and ``red`` and
    ``not_green`` are the shares that were red, and red or yellow.
    """

    days: int
    accounts: int
    score: ReviewFigure
    red: ReviewFigure
    not_green: ReviewFigure


class LeadTime(ReviewModel):
    """Scores before the churns confirmed in the quarter, and the score of retained accounts for comparison."""

    churned: int
    involuntary: int
    before: tuple[ScoreBeforeChurn, ...]
    stayed_score: ReviewFigure
    stayed_red: ReviewFigure
    note: str


def confirmation_delay(data: ReviewData) -> pd.Timedelta:
    """Time after which a churn is confirmed: the grace period; without contracts the horizon, if it passes without an
    order."""
    return pd.Timedelta(days=data.window.grace_days if data.contractual else data.window.horizon_days)


def churns_of_quarter(data: ReviewData) -> pd.DataFrame:
    """Return the churns confirmed in the quarter: account_id, churned_at (UTC), involuntary."""
    window, churns = data.window, data.churned_at
    confirmed_at = churns["churned_at"] + confirmation_delay(data)
    in_quarter = churns[(confirmed_at > window.quarter.start) & (confirmed_at <= window.data_through)]
    return in_quarter[["account_id", "churned_at", "involuntary"]].reset_index(drop=True)


def lead_time(data: ReviewData) -> LeadTime:
    """Compute the scores before each churn of the quarter.

    Parameters
    ----------
    data : the data of the review.
    """
    in_quarter = churns_of_quarter(data)
    scores = pd.DataFrame(
        {"account_id": data.accounts, "as_of": data.as_of.to_numpy(), "score": data.score, "band": data.band}
    )
    scores["as_of"] = pd.to_datetime(scores["as_of"], utc=True).dt.as_unit("us")
    scores = scores[np.isfinite(scores["score"])].sort_values("as_of")
    matched = [_score_before(in_quarter, scores, days) for days in DAYS_BEFORE]
    retained = data.judged & (data.churn == 0) & np.isfinite(data.score)
    if not retained.any():
        mean_score, red = undefined_figure(), undefined_figure()
    else:
        resampled, ones = AccountResamples(data.accounts[retained]), np.ones(int(retained.sum()))
        mean_score = resampled.ratio(data.score[retained], ones, resampled.bootstrap.accounts)
        red = resampled.ratio(data.band[retained] == "red", ones, resampled.account_count(data.band[retained] == "red"))
    note = (
        "the end of the last subscription"
        if data.contractual
        else "the first weekly snapshot after the last order, because there are no contracts"
    )
    return LeadTime(
        churned=len(in_quarter),
        involuntary=int(in_quarter["involuntary"].sum()),
        before=tuple(matched),
        stayed_score=mean_score,
        stayed_red=red,
        note=note,
    )


def band_before(churns: pd.DataFrame, scores: pd.DataFrame, days: int) -> pd.DataFrame:
    """Return the last score of each churned account at least ``days`` before its churn, and at most a week older.

    Accounts without such a score are left out.

    Parameters
    ----------
    churns : account_id, churned_at.
    scores : account_id, as_of, score, band; ordered by as_of.
    days : days before the churn.
    """
    if churns.empty or scores.empty:
        return pd.DataFrame({"account_id": [], "score": [], "band": []})
    wanted = churns.assign(then=(churns["churned_at"] - pd.Timedelta(days=days)).dt.as_unit("us")).sort_values("then")
    matched = pd.merge_asof(
        wanted.astype({"account_id": str}),
        scores.astype({"account_id": str}),
        left_on="then",
        right_on="as_of",
        by="account_id",
        tolerance=pd.Timedelta(days=WEEK_DAYS),
    )
    return matched[matched["score"].notna()]


def _score_before(churns: pd.DataFrame, scores: pd.DataFrame, days: int) -> ScoreBeforeChurn:
    with_score = band_before(churns, scores, days)
    if with_score.empty:
        return ScoreBeforeChurn(
            days=days, accounts=0, score=undefined_figure(), red=undefined_figure(), not_green=undefined_figure()
        )
    resampled, ones = AccountResamples(with_score["account_id"].to_numpy(dtype=object)), np.ones(len(with_score))
    red, not_green = (with_score["band"] == "red").to_numpy(), (with_score["band"] != "green").to_numpy()
    return ScoreBeforeChurn(
        days=days,
        accounts=resampled.bootstrap.accounts,
        score=resampled.ratio(with_score["score"].to_numpy(), ones, resampled.bootstrap.accounts),
        red=resampled.ratio(red, ones, resampled.account_count(red)),
        not_green=resampled.ratio(not_green, ones, resampled.account_count(not_green)),
    )
