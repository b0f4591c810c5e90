"""Churn and expansion by health band: rate, lift and cumulative capture."""

from __future__ import annotations

import numpy as np

from features.utils.arrays import Floats
from training.review.dataset import BAND_NAMES, ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel


class BandRow(ReviewModel):
    """One band over the evaluated snapshots.

    ``accounts`` is the number of accounts with at least one snapshot in the band. ``accounts_a_week`` and ``arr`` are
    averages per weekly date. ``rate`` is the share of its snapshots followed by the event within the horizon, and
    ``lift`` is this rate divided by the rate of the portfolio. ``captured`` is the share of all snapshots followed by
    the event that lie in this band or the worse ones (for expansion: the better ones); ``captured_arr`` is the same
    share in ARR.
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
    """One outcome by band and over the whole portfolio. The band that should have most events comes first."""

    outcome: str
    bands: tuple[BandRow, ...]
    overall: ReviewFigure


def outcome_by_band(data: ReviewData, outcome: str) -> OutcomeByBand:
    """Compute the rates of one outcome by band.

    Parameters
    ----------
    data : the data of the review.
    outcome : ``churn`` or ``expansion``.
    """
    event = data.churn if outcome == "churn" else data.expansion
    rows = data.judged & np.isfinite(event)
    y, arr, band = event[rows], data.arr[rows], data.band[rows]
    resampled = AccountResamples(data.accounts[rows])
    ones, dates = np.ones(len(y)), max(data.as_of[rows].nunique(), 1)
    order = BAND_NAMES if outcome == "churn" else ("green", "yellow", "red", "insufficient_data")
    band_rows, cumulative = [], np.zeros(len(y))
    for name in order:
        in_band = band == name
        if not in_band.any():
            continue
        in_band_float: Floats = in_band.astype(np.float64)
        events = resampled.account_count(in_band & (y == 1))
        cumulative = cumulative + in_band_float
        captured_events = resampled.account_count((cumulative > 0) & (y == 1))
        band_rows.append(
            BandRow(
                band=name,
                accounts=resampled.account_count(in_band),
                accounts_a_week=float(in_band.sum() / dates),
                arr=float((arr * in_band_float).sum() / dates),
                rate=resampled.ratio(in_band_float * y, in_band_float, events),
                lift=resampled.ratio_quotient((in_band_float * y, in_band_float), (y, ones), events),
                captured=resampled.ratio(cumulative * y, y, captured_events),
                captured_arr=resampled.ratio(cumulative * y * arr, y * arr, captured_events),
            )
        )
    overall = resampled.ratio(y, ones, resampled.account_count(y == 1))
    return OutcomeByBand(outcome=outcome, bands=tuple(band_rows), overall=overall)
