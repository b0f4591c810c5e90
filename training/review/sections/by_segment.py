"""Churn rate and ranking quality of the score by ARR segment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from features.utils.arrays import Bools
from models.peer_groups.segments import segment_names
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel, undefined_figure
from training.statistics import metrics
from training.statistics.metrics import Predictions

#: Minimum number of accounts with and without churn for a segment's rate and AUC.
MINIMUM_OUTCOMES = 10


class SegmentRow(ReviewModel):
    """One segment over the evaluated snapshots: accounts, churn, mean score, and how well the score ranks (``auc``).

    ``rate`` and ``auc`` are null if the segment has too few outcomes (``enough`` is false).
    """

    segment: str
    accounts: int
    accounts_with_churn: int
    arr: float
    score: ReviewFigure
    enough: bool
    rate: ReviewFigure
    auc: ReviewFigure


def segment_rows(data: ReviewData) -> tuple[SegmentRow, ...]:
    """Compute one row per segment, the segment with the largest contracts first, accounts without ARR last.

    Parameters
    ----------
    data : the data of the review.
    """
    names = np.array([name if name is not None else "unknown" for name in data.segment], dtype=object)
    groups = {name: names == name for name in (*segment_names(), "unknown")}
    return group_rows(data, groups)


def group_rows(data: ReviewData, groups: Mapping[str, Bools]) -> tuple[SegmentRow, ...]:
    """Compute one row per group that has evaluated snapshots.

    Parameters
    ----------
    data : the data of the review.
    groups : by name, whether each row belongs to the group. Groups may overlap.
    """
    found = ((name, data.judged & inside) for name, inside in groups.items())
    return tuple(_row(data, name, rows) for name, rows in found if rows.any())


def _row(data: ReviewData, name: str, rows: Bools) -> SegmentRow:
    dates = max(data.as_of[data.judged].nunique(), 1)
    y, score, resampled = data.churn[rows], data.score[rows], AccountResamples(data.accounts[rows])
    events, others = resampled.account_count(y == 1), resampled.account_count(y == 0)
    enough, has_score, ones = min(events, others) >= MINIMUM_OUTCOMES, np.isfinite(score), np.ones(len(y))
    auc = undefined_figure(events)
    if enough and 0 < y[has_score].sum() < has_score.sum():
        ranked = AccountResamples(data.accounts[rows][has_score])
        predictions = Predictions(y[has_score], 0.999 - 0.998 * score[has_score] / 100, np.zeros(int(has_score.sum())))
        auc = ranked.evaluate(partial(metrics.roc_auc, predictions), events)
    return SegmentRow(
        segment=name,
        accounts=resampled.bootstrap.accounts,
        accounts_with_churn=events,
        arr=float(data.arr[rows].sum() / dates),
        score=resampled.ratio(np.nan_to_num(score), has_score, resampled.bootstrap.accounts),
        enough=enough,
        rate=resampled.ratio(y, ones, events) if enough else undefined_figure(events),
        auc=auc,
    )
