"""Interventions: treated and held-out accounts, reported results, and the effect of plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from features.sources.engine import newest_versions
from features.utils.formatting import and_list, percent
from models.rules.intervention_effects import (
    AFTER_DAYS,
    InterventionRecord,
    compared_outcomes,
    report_interventions,
)
from models.rules.intervention_table import interventions_from_signals
from models.uplift.average_effect import InterventionEffect, estimate_share
from training.dataset.labels import label
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel, undefined_figure

_COVARIATE_WORDS = {"churn_probability": "the churn probability", "log_arr": "the ARR"}


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
    ``churn_held_out`` are the shares of accounts that had left 90 days after their first intervention, of those whose
    outcome is known at the end of the quarter; if accounts were assigned in trials, only these count. ``uplift`` is the
    effect of plays as ``renewcast holdout effect`` estimates it from the same accounts: the churn rate of held-out
    accounts minus that of treated ones, adjusted for what was known at the assignment. It is null if it cannot be
    measured. ``save_rate`` (saved, of those saved or lost) is
    based on results reported by hand, which is weaker evidence.
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
    treated, held_out, uplift, words = _effect(data)
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


def _effect(data: ReviewData) -> tuple[ReviewFigure, ReviewFigure, ReviewFigure, str]:
    """Return the churn rates of treated and held-out accounts, the effect, and what it means in words.

    The effect is that of the worklist and of ``renewcast holdout effect``: the same accounts, outcomes and estimator.
    """
    known = _with_order_outcomes(data, interventions_from_signals(data.signals, data.window.data_through))
    report, outcomes = report_interventions(known), compared_outcomes(known)
    lost = [int((~outcomes.stayed & arm).sum()) for arm in (~outcomes.held_out, outcomes.held_out)]
    rates = [
        _churn_rate(events, int(arm.sum()))
        for events, arm in zip(lost, (~outcomes.held_out, outcomes.held_out), strict=True)
    ]
    effect = report.effect
    if effect is None:
        words = report.why_no_effect or "no intervention has a known outcome yet"
        return rates[0], rates[1], undefined_figure(sum(lost)), f"the effect of plays is not measured: {words}"
    uplift = ReviewFigure(value=effect.uplift, low=effect.low, high=effect.high, events=sum(lost))
    return rates[0], rates[1], uplift, _effect_words(effect)


def _with_order_outcomes(data: ReviewData, interventions: Sequence[InterventionRecord]) -> Sequence[InterventionRecord]:
    """Return the interventions with their outcomes from the labels, if there are no contracts that show them."""
    if data.signals.contractual or not interventions:
        return interventions
    keys = pd.DataFrame(
        {
            "account_id": [each.account_id for each in interventions],
            "as_of": pd.to_datetime([each.occurred_at for each in interventions], utc=True),
        }
    )
    churn = label(data.signals, keys, AFTER_DAYS, data.window.grace_days)["churn"].to_numpy(dtype=np.float64)
    return [
        each if np.isnan(value) else replace(each, stayed=not value)
        for each, value in zip(interventions, churn, strict=True)
    ]


def _churn_rate(lost: int, of: int) -> ReviewFigure:
    if not of:
        return undefined_figure()
    share = estimate_share(lost, of)
    return ReviewFigure(value=share.value, low=share.low, high=share.high, events=lost)


def _effect_words(effect: InterventionEffect) -> str:
    if effect.low > 0:
        words = "treated accounts churned less often than held-out accounts"
    elif effect.high < 0:
        words = "treated accounts churned more often than held-out accounts"
    else:
        words = "the data do not show clearly whether plays reduce churn"
        if effect.detectable is not None:
            words += f"; a reduction of {percent(effect.detectable)} or more would probably have been detected"
    names = and_list([_COVARIATE_WORDS[name] for name in effect.adjusted_for]) if effect.adjusted_for else ""
    return f"{words}; the reduction is adjusted for {names} at the assignment" if names else words


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
