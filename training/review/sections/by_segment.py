"""Segments by ARR: how often churn happened and how well the score ranks there. A segment with too few says so."""

from __future__ import annotations

from functools import partial

import numpy as np

from models.peer_groups.segments import segment_names
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel, undefined_figure
from training.statistics import metrics
from training.statistics.metrics import Predictions

#: Accounts with and without churn, below which a segment's figures would be made up.
MINIMUM_OUTCOMES = 10


class SegmentRow(ReviewModel):
    """One segment over the quarter's snapshots: accounts, churn and mean score; ``auc`` how well the score ranks those
    who left below those who stayed. Rate and ``auc`` are null where it has too few (``enough`` false)."""

    segment: str
    accounts: int
    accounts_with_churn: int
    arr: float
    score: ReviewFigure
    enough: bool
    rate: ReviewFigure
    auc: ReviewFigure


def segment_rows(seen: ReviewData) -> tuple[SegmentRow, ...]:
    """Each segment, the largest contracts first, and accounts without a known ARR."""
    found = []
    names = np.array([name if name is not None else "unknown" for name in seen.segment], dtype=object)
    dates = max(seen.as_of[seen.judged].nunique(), 1)
    for name in (*segment_names(), "unknown"):
        rows = seen.judged & (names == name)
        if not rows.any():
            continue
        y, score, resampled = seen.churn[rows], seen.score[rows], AccountResamples(seen.accounts[rows])
        events, others = resampled.people(y == 1), resampled.people(y == 0)
        enough, known, ones = min(events, others) >= MINIMUM_OUTCOMES, np.isfinite(score), np.ones(len(y))
        auc = undefined_figure(events)
        if enough and 0 < y[known].sum() < known.sum():
            ranked = AccountResamples(seen.accounts[rows][known])
            data = Predictions(y[known], 0.999 - 0.998 * score[known] / 100, np.zeros(int(known.sum())))
            auc = ranked.of(partial(metrics.roc_auc, data), events)
        found.append(
            SegmentRow(
                segment=name,
                accounts=resampled.bootstrap.accounts,
                accounts_with_churn=events,
                arr=float(seen.arr[rows].sum() / dates),
                score=resampled.ratio(np.nan_to_num(score), known, resampled.bootstrap.accounts),
                enough=enough,
                rate=resampled.ratio(y, ones, events) if enough else undefined_figure(events),
                auc=auc,
            )
        )
    return tuple(found)
