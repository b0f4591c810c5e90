"""Compare the share of accounts due for renewal at the training dates with that at the end of the data.

A source that overwrites each renewal with the next one shows today's renewal date at every earlier date: there, almost
only accounts that left are due. At the end of the data, the usual share is due. So the share of accounts due within the
horizon at earlier dates is compared with that at the end, between accounts of the same age.

The test: at each earlier date, accounts are weighted by age to match those at the end, so a portfolio may grow and age.
The share at the end must be above, or below, the share at *every* earlier date (two years of them, to cover the
seasons) by more than `MARGIN`, in all but `ERROR_RATE` of the resamples of accounts (Efron's bootstrap, 1979, by
account, because an account's dates depend on each other). Since every date must agree, the actual error rate is lower.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.signals.signals import OpenSignals
from features.signals.tolerances import TOLERATED_SHARE
from features.utils.arrays import Floats, Ints
from features.utils.dates import midnight
from training.leakage.report import LeakFinding

ERROR_RATE = 0.01
"""Maximum share of sources without a leak that are reported as leaking; half of it on either side."""
MARGIN = 0.02
"""Smaller differences between shares are ignored."""
RESAMPLES = 1_000
EVERY_DAYS, BACK_DAYS = 28, 728
"""Days between earlier dates, and how many days they go back from the last one with a known outcome."""
MINIMUM_SPAN_DAYS = 270
"""Dates that span fewer days do not cover every season."""
AGE_DAYS, AGES = 122, 18
"""Width in days and number of the age groups; the last group has no upper limit."""
MINIMUM_AGE_ACCOUNTS = 3
"""Minimum number of accounts in an age group to compare it."""
MINIMUM_COVERED_SHARE = 0.5
"""Minimum share of the accounts at the end whose age group also exists at an earlier date."""
MINIMUM_ACCOUNTS = 50
MAXIMUM_ACCOUNTS = 4_000
"""Larger portfolios are sampled to this number of accounts."""
SUBJECT = "contract.days_to_renewal"


@dataclass(frozen=True)
class DueComparison:
    """Result of the comparison.

    Parameters
    ----------
    dates : number of earlier dates that could be compared.
    at_end : share of accounts due within the horizon at the end of the data.
    low, high : lowest and highest such share at the earlier dates, with accounts weighted by age as at the end.
    differs : whether the shares differ by more than chance explains.
    lacking : why nothing could be compared; empty if it could.
    """

    dates: int = 0
    at_end: float = np.nan
    low: float = np.nan
    high: float = np.nan
    differs: bool = False
    lacking: str = ""

    def finding(self, horizon_days: int) -> LeakFinding:
        """Return the finding for shares that differ."""
        words = (
            f"{SUBJECT} reveals the future: {self.at_end:.0%} of the accounts are due within {horizon_days} days at "
            f"the end of the data, compared with {self.low:.0%} to {self.high:.0%} of accounts of the same age at "
            f"{self.dates} earlier dates (by chance in fewer than {ERROR_RATE:.0%} of sources); renewals look "
            "overwritten"
        )
        return LeakFinding("due dates", SUBJECT, words)


def compare_due_shares(signals: OpenSignals, horizon_days: int, grace_days: int, seed: int = 0) -> DueComparison:
    """Compare the share of accounts due within the horizon at earlier dates with that at the end of the data.

    Parameters
    ----------
    signals : signals with subscriptions.
    horizon_days, grace_days : H and G, in days; the outcome of the earlier dates is known.
    seed : seed of the resamples.

    Returns
    -------
    DueComparison
    """
    rows = _rows(signals, seed)
    end = midnight(signals.data_through)
    last = end - timedelta(days=horizon_days + grace_days)
    dates = [last - timedelta(days=back) for back in range(0, BACK_DAYS + 1, EVERY_DAYS)]
    active = [_at(rows, pd.Timestamp(date).tz_convert(None).to_datetime64(), horizon_days) for date in (end, *dates)]
    now, earlier = active[0], [(date, at) for date, at in zip(dates, active[1:], strict=True) if at.known]
    if not now.known or len(now.account) < MINIMUM_ACCOUNTS:
        return DueComparison(lacking="too few accounts have known terms at the end of the data")
    if not now.due.any() and not any(at.due.any() for _, at in earlier):
        return DueComparison(lacking="no renewal comes due")
    weight = np.bincount(now.age, minlength=AGES)
    compared = []
    for date, at in earlier:
        ages = np.bincount(at.age, minlength=AGES) >= MINIMUM_AGE_ACCOUNTS
        if weight[ages].sum() >= MINIMUM_COVERED_SHARE * weight.sum():
            compared.append((date, at, ages))
    if len(compared) < 2 or (compared[0][0] - compared[-1][0]) < timedelta(days=MINIMUM_SPAN_DAYS):
        return DueComparison(
            lacking=f"fewer than {MINIMUM_SPAN_DAYS} days of earlier dates with accounts of the same ages"
        )
    many, rng = rows.accounts, np.random.default_rng(seed)
    ones = np.ones((1, many))
    drawn = np.vstack([rng.multinomial(many, np.full(many, 1 / many), RESAMPLES).astype(np.float64), ones])
    gaps = np.stack([_gap(now, at, ages, drawn) for _, at, ages in compared])
    differences = gaps[:, 0] - gaps[:, 1]
    above = float(np.quantile(differences[:, :-1].min(axis=0), ERROR_RATE / 2))
    below = float(np.quantile(differences[:, :-1].max(axis=0), 1 - ERROR_RATE / 2))
    shares = gaps[:, 1, -1]
    differs = bool(above > MARGIN or below < -MARGIN)
    return DueComparison(len(compared), float(now.due.mean()), float(shares.min()), float(shares.max()), differs)


@dataclass(frozen=True)
class _Subscriptions:
    """Subscriptions as arrays: account number, start, end (NaT: still running), renewal, and whether the terms are
    unknown."""

    account: Ints
    start: npt.NDArray[np.datetime64]
    end: npt.NDArray[np.datetime64]
    renewal: npt.NDArray[np.datetime64]
    unknown: npt.NDArray[np.bool_]
    accounts: int


@dataclass(frozen=True)
class _ActiveAccounts:
    """The accounts that are active at a date: their numbers, age groups, and whether they are due (0 or 1); ``known``:
    whether enough of their terms are known."""

    account: Ints
    age: Ints
    due: Floats
    known: bool


def _rows(signals: OpenSignals, seed: int) -> _Subscriptions:
    columns = ("account_id", "started_at", "ended_at", "renewal_at", "arr")
    table = signals.tables["subscriptions"].select(*columns).to_pyarrow().to_pandas()
    names, codes = np.unique(table["account_id"].to_numpy(dtype=str), return_inverse=True)
    many = len(names)
    if many > MAXIMUM_ACCOUNTS:
        some = np.sort(np.random.default_rng(seed).choice(many, MAXIMUM_ACCOUNTS, replace=False))
        place = np.full(many, -1)
        place[some] = np.arange(MAXIMUM_ACCOUNTS)
        codes, many = place[codes], MAXIMUM_ACCOUNTS
        table, codes = table[codes >= 0], codes[codes >= 0]
    start, end, renewal = (
        pd.to_datetime(table[name]).to_numpy(dtype="datetime64[us]")
        for name in ("started_at", "ended_at", "renewal_at")
    )
    return _Subscriptions(codes.astype(np.int64), start, end, renewal, table["arr"].isna().to_numpy(), many)


def _at(rows: _Subscriptions, date: np.datetime64, horizon_days: int) -> _ActiveAccounts:
    started = rows.start < date
    runs = started & (np.isnat(rows.end) | (rows.end >= date))
    first = np.full(rows.accounts, np.datetime64("9999-01-01", "us"))
    np.minimum.at(first, rows.account[started], rows.start[started])
    dated = runs & ~np.isnat(rows.renewal)
    renewal = np.full(rows.accounts, np.datetime64("9999-01-01", "us"))
    np.minimum.at(renewal, rows.account[dated], rows.renewal[dated])
    active = np.unique(rows.account[runs])
    unknown = np.unique(rows.account[runs & rows.unknown])
    until = renewal[active] - date
    due = (until >= np.timedelta64(0)) & (until < np.timedelta64(horizon_days, "D"))
    age = ((date - first[active]) // np.timedelta64(AGE_DAYS, "D")).astype(np.int64)
    known = len(active) > 0 and len(unknown) <= TOLERATED_SHARE * len(active)
    return _ActiveAccounts(active, np.minimum(age, AGES - 1), due.astype(np.float64), known)


def _gap(now: _ActiveAccounts, at: _ActiveAccounts, ages: npt.NDArray[np.bool_], drawn: Floats) -> Floats:
    """Return the shares due now and at an earlier date in each of the draws (r, n), weighted by age as now; shape
    (2, r)."""
    (many_now, due_now), (many, due) = (_by_age(one, drawn) for one in (now, at))
    weight = np.where(ages, many_now, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(many > 0, due / many, np.nan)
        weight_at = np.where(np.isnan(rate), 0.0, weight)
        shares = np.stack(
            [
                np.where(weight_at > 0, due_now, 0.0).sum(axis=1) / weight_at.sum(axis=1),
                np.nansum(weight_at * np.nan_to_num(rate), axis=1) / weight_at.sum(axis=1),
            ]
        )
    return shares


def _by_age(at: _ActiveAccounts, drawn: Floats) -> tuple[Floats, Floats]:
    """Return the number of accounts and of due accounts per age group in each draw; shape (r, ages) each."""
    of = np.zeros((len(at.account), AGES))
    of[np.arange(len(at.account)), at.age] = 1.0
    some = drawn[:, at.account]
    return some @ of, some @ (of * at.due[:, None])
