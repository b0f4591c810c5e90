"""Calibration of a rubric's scores: observed churn per score, evaluated on later dates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse
from sklearn.isotonic import IsotonicRegression

from features.utils.arrays import Floats
from models.health.score_calibration import LEVEL, SCORES, BandRate, CalibrationCheck, ScoreCalibration
from training.statistics.account_bootstrap import AccountBootstrap, interval

MINIMUM_CHURNED = 20
"""Minimum number of accounts with a churn to fit a curve."""
RESAMPLES = 200
FIFTHS = 5
BANDS = ("green", "yellow", "red")


def fit_score_calibration(
    score: Floats,
    band: Sequence[str] | npt.NDArray[np.object_],
    churned: Floats,
    accounts: npt.NDArray[np.object_],
    as_of: pd.Series[pd.Timestamp],
    held: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None = None,
    seed: int = 0,
) -> ScoreCalibration | None:
    """Fit churn over health score (nonincreasing isotonic regression), with an interval by account bootstrap.

    Parameters
    ----------
    score, band : score and band of each labelled snapshot, NaN for no score, shape (n,).
    churned : 0 or 1 within the horizon, shape (n,).
    accounts, as_of : account and date of each snapshot; accounts are resampled whole.
    held : two masks of rows: a curve fitted on the first is evaluated on the second. No label window of the first may
        reach into the second.
    seed : seed of the resamples.

    Returns
    -------
    Meaning, or None where fewer than `MINIMUM_CHURNED` accounts with a score have churned.
    """
    scored = ~np.isnan(score)
    score, band, churned = score[scored], np.asarray(band, dtype=object)[scored], churned[scored]
    accounts, dates = accounts[scored], as_of[scored]
    with_churn = len(np.unique(accounts[churned == 1]))
    if with_churn < MINIMUM_CHURNED:
        return None
    bootstrap = AccountBootstrap(accounts, RESAMPLES, seed)
    # Scores have one decimal, so rows of one account and score are one entry of a table, for any number of weeks.
    levels, at = np.unique(score, return_inverse=True)
    shape = (bootstrap.accounts, len(levels))
    rows, events = (
        scipy.sparse.csr_array((of, (bootstrap.codes, at)), shape=shape) for of in (np.ones(len(score)), churned)
    )
    drawn = np.array(
        [_curve(levels, *both) for both in zip(bootstrap.counts @ rows, bootstrap.counts @ events, strict=True)]
    )
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    rate = _curve(levels, rows.sum(axis=0), events.sum(axis=0))
    return ScoreCalibration(
        rate=tuple(rate.tolist()),
        # At a step of the curve, the percentile interval of the resamples may not contain the estimate.
        low=tuple(np.minimum(low, rate).tolist()),
        high=tuple(np.maximum(high, rate).tolist()),
        rows=len(score),
        accounts=bootstrap.accounts,
        accounts_with_churn=with_churn,
        first=dates.min().date().isoformat(),
        last=dates.max().date().isoformat(),
        bands=tuple(_band(name, band == name, churned, accounts, bootstrap) for name in BANDS),
        later=None if held is None else _later(score, churned, accounts, *(rows[scored] for rows in held)),
    )


def _curve(levels: Floats, rows: Floats, events: Floats) -> Floats:
    """Return the rate at each of `SCORES`, from the rows and churns at each level of the score."""
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, increasing=False, out_of_bounds="clip")
    drawn = rows > 0
    fitted.fit(levels[drawn], events[drawn] / rows[drawn], sample_weight=rows[drawn])
    return np.asarray(fitted.predict(SCORES), dtype=np.float64)


def _band(
    name: str,
    mine: npt.NDArray[np.bool_],
    churned: Floats,
    accounts: npt.NDArray[np.object_],
    bootstrap: AccountBootstrap,
) -> BandRate:
    if not mine.any():
        return BandRate(band=name, rows=0, accounts_with_churn=0, rate=None, low=None, high=None)

    rows, events = (np.bincount(bootstrap.codes, of, bootstrap.accounts) for of in (mine, mine * churned))
    total, left = bootstrap.counts @ rows, bootstrap.counts @ events
    low, high = interval(np.divide(left, total, out=np.full(len(total), np.nan), where=total > 0), LEVEL)
    return BandRate(
        band=name,
        rows=int(mine.sum()),
        accounts_with_churn=len(np.unique(accounts[mine & (churned == 1)])),
        rate=float(churned[mine].mean()),
        low=None if np.isnan(low) else low,
        high=None if np.isnan(high) else high,
    )


def _later(
    score: Floats,
    churned: Floats,
    accounts: npt.NDArray[np.object_],
    before: npt.NDArray[np.bool_],
    test: npt.NDArray[np.bool_],
) -> CalibrationCheck | None:
    if not test.any() or len(np.unique(accounts[before & (churned == 1)])) < MINIMUM_CHURNED:
        return None
    curve = _curve(score[before], np.ones(int(before.sum())), churned[before])
    expected, happened = np.interp(score[test], SCORES, curve), churned[test]
    parts = np.array_split(np.argsort(expected, kind="stable"), FIFTHS)
    gaps = [abs(expected[part].mean() - happened[part].mean()) * len(part) for part in parts if len(part)]
    return CalibrationCheck(
        rows=len(happened),
        accounts_with_churn=len(np.unique(accounts[test & (churned == 1)])),
        expected=float(expected.mean()),
        happened=float(happened.mean()),
        calibration_error=float(sum(gaps) / len(happened)),
        brier=float(((expected - happened) ** 2).mean()),
        brier_base_rate=float(((churned[before].mean() - happened) ** 2).mean()),
    )
