"""Interventions: treated and held-out accounts, reported results, and the effect of plays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.sources.engine import newest_versions
from training.dataset.labels import label
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel, undefined_figure

#: Minimum number of treated and of held-out accounts for an uplift.
MINIMUM_ACCOUNTS = 10


class PlayOutcomes(ReviewModel):
    """Results of one play, for interventions that started in the quarter."""

    play: str
    begun: int
    saved: int
    lost: int
    save_rate: ReviewFigure


class InterventionOutcomes(ReviewModel):
    """Results of interventions.

    ``begun`` and ``held_out`` count interventions that started in the quarter. ``churn_treated`` and
    ``churn_held_out`` cover all interventions with a known outcome at its end. ``uplift`` is the churn rate of held-out
    accounts minus that of treated ones, and is null unless accounts were held out at random. ``save_rate`` is based on
    results reported by hand, which is weaker evidence.
    """

    recorded: bool
    begun: int
    accounts: int
    held_out: int
    saved: int
    lost: int
    save_rate: ReviewFigure
    plays: tuple[PlayOutcomes, ...]
    churn_treated: ReviewFigure
    churn_held_out: ReviewFigure
    uplift: ReviewFigure
    words: str


def intervention_outcomes(data: ReviewData) -> InterventionOutcomes:
    """Summarize the interventions.

    Parameters
    ----------
    data : the data of the review.
    """
    if not data.signals.has("interventions"):
        return _without_interventions("the signals contain no interventions")
    wanted = ("account_id", "occurred_at", "play", "held_out", "result")
    rows = newest_versions(data.signals.tables["interventions"]).select(*wanted).to_pyarrow().to_pandas()
    rows = rows.assign(occurred_at=pd.to_datetime(rows["occurred_at"], utc=True), held_out=rows["held_out"].eq(True))
    quarter = data.window.quarter
    inside = rows[(rows["occurred_at"] >= quarter.start) & (rows["occurred_at"] < quarter.end)]
    acted = inside[~inside["held_out"]]
    plays = tuple(_play_outcomes(str(name), group) for name, group in acted.groupby("play"))
    treated, held_out, uplift, words = _uplift(data, rows)
    return InterventionOutcomes(
        recorded=True,
        begun=len(acted),
        accounts=int(acted["account_id"].nunique()),
        held_out=int(inside["held_out"].sum()),
        saved=int((acted["result"] == "saved").sum()),
        lost=int((acted["result"] == "lost").sum()),
        save_rate=_save_rate(acted),
        plays=plays,
        churn_treated=treated,
        churn_held_out=held_out,
        uplift=uplift,
        words=words,
    )


def _play_outcomes(name: str, rows: pd.DataFrame) -> PlayOutcomes:
    saved, lost = ((rows["result"] == result).sum() for result in ("saved", "lost"))
    return PlayOutcomes(play=name, begun=len(rows), saved=int(saved), lost=int(lost), save_rate=_save_rate(rows))


def _save_rate(rows: pd.DataFrame) -> ReviewFigure:
    ended = rows[rows["result"].isin(["saved", "lost"])]
    if ended.empty:
        return undefined_figure()
    resampled = AccountResamples(ended["account_id"].to_numpy(dtype=object))
    saved = (ended["result"] == "saved").to_numpy()
    return resampled.ratio(saved, np.ones(len(ended)), resampled.account_count(saved))


def _uplift(data: ReviewData, rows: pd.DataFrame) -> tuple[ReviewFigure, ReviewFigure, ReviewFigure, str]:
    if rows.empty:
        return undefined_figure(), undefined_figure(), undefined_figure(), "the signals contain no interventions"
    keys = rows[["account_id"]].assign(as_of=rows["occurred_at"].to_numpy()).reset_index(drop=True)
    keys["as_of"] = pd.to_datetime(keys["as_of"], utc=True)
    y = label(data.signals, keys, data.window.horizon_days, data.window.grace_days)["churn"].to_numpy(dtype=np.float64)
    has_outcome = np.isfinite(y)
    out = rows["held_out"].to_numpy(dtype=bool)[has_outcome]
    y, accounts = y[has_outcome], keys["account_id"].to_numpy(dtype=object)[has_outcome]
    if not len(y):
        return (
            undefined_figure(),
            undefined_figure(),
            undefined_figure(),
            "no intervention has a known outcome yet",
        )
    resampled = AccountResamples(accounts)
    events = [resampled.account_count(group & (y == 1)) for group in (~out, out)]
    treated, held_out = (resampled.ratio(group * y, group, n) for group, n in zip((~out, out), events, strict=True))
    accounts_by_group = [resampled.account_count(group) for group in (~out, out)]
    if not out.any():
        return (
            treated,
            held_out,
            undefined_figure(sum(events)),
            "no plays were held out at random, so the effect of plays cannot be measured",
        )
    if min(accounts_by_group) < MINIMUM_ACCOUNTS:
        words = (
            f"{accounts_by_group[0]} accounts were treated and {accounts_by_group[1]} held out; at least"
            f" {MINIMUM_ACCOUNTS} of each are needed to measure the effect of plays"
        )
        return treated, held_out, undefined_figure(sum(events)), words
    uplift = resampled.ratio_difference((out * y, out), (~out * y, ~out), sum(events))
    clear = uplift.low is not None and uplift.low > 0
    words = (
        "treated accounts churned less often than held-out accounts"
        if clear
        else "the data do not show clearly whether plays reduce churn"
    )
    return treated, held_out, uplift, words


def _without_interventions(words: str) -> InterventionOutcomes:
    undefined = undefined_figure()
    return InterventionOutcomes(
        recorded=False,
        begun=0,
        accounts=0,
        held_out=0,
        saved=0,
        lost=0,
        save_rate=undefined,
        plays=(),
        churn_treated=undefined,
        churn_held_out=undefined,
        uplift=undefined,
        words=words,
    )
