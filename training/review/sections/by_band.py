"""Churn and expansion by band of the health score: how often each happened, how much of it the worse bands hold."""

from __future__ import annotations

import numpy as np

from features.utils.arrays import Floats
from training.review.dataset import BAND_NAMES, ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel


class BandRow(ReviewModel):
    """One band over the quarter's snapshots.

    ``accounts`` had at least one snapshot in it; ``accounts_a_week`` and ``arr`` are the average of a weekly date.
    ``rate`` is the share of its weekly snapshots that the event followed within the horizon; ``lift`` that over the
    portfolio's. ``captured`` is the share of all such snapshots in this band and the worse ones together (for churn;
    the better ones for expansion), ``captured_arr`` the same in ARR.
    """

    band: str
    accounts: int
    accounts_a_week: float
    arr: float
    rate: ReviewFigure
    lift: ReviewFigure
    captured: ReviewFigure
    captured_arr: ReviewFigure


class OutcomeByBand(ReviewModel):
    """One outcome by band, the worst band first, and over the whole portfolio."""

    outcome: str
    bands: tuple[BandRow, ...]
    overall: ReviewFigure


def outcome_by_band(seen: ReviewData, outcome: str) -> OutcomeByBand:
    """One outcome, ``churn`` or ``expansion``, by band over the rows that the quarter judges."""
    happened = seen.churn if outcome == "churn" else seen.expansion
    rows = seen.judged & np.isfinite(happened)
    y, arr, band = happened[rows], seen.arr[rows], seen.band[rows]
    resampled = AccountResamples(seen.accounts[rows])
    ones, dates = np.ones(len(y)), max(seen.as_of[rows].nunique(), 1)
    order = BAND_NAMES if outcome == "churn" else ("green", "yellow", "red", "insufficient_data")
    found, so_far = [], np.zeros(len(y))
    for name in order:
        mine = band == name
        if not mine.any():
            continue
        inside: Floats = mine.astype(np.float64)
        events = resampled.people(mine & (y == 1))
        so_far = so_far + inside
        caught = resampled.people((so_far > 0) & (y == 1))
        found.append(
            BandRow(
                band=name,
                accounts=resampled.people(mine),
                accounts_a_week=float(mine.sum() / dates),
                arr=float((arr * inside).sum() / dates),
                rate=resampled.ratio(inside * y, inside, events),
                lift=resampled.times((inside * y, inside), (y, ones), events),
                captured=resampled.ratio(so_far * y, y, caught),
                captured_arr=resampled.ratio(so_far * y * arr, y * arr, caught),
            )
        )
    overall = resampled.ratio(y, ones, resampled.people(y == 1))
    return OutcomeByBand(outcome=outcome, bands=tuple(found), overall=overall)
