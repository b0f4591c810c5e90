"""Whether renewals come due at the dates trained on as they do at the end of the data.

A source that writes each renewal over the last one shows, at every earlier date, the renewal date of today: hardly any
account is due then but those that left. At the end of the data as many are due as ever. So the share of accounts due
within the horizon at earlier dates is compared with that at the end, between accounts of the same age.

The test. At each earlier date the accounts are weighted by age to those of the end, so that a portfolio may grow and
age. The end has to lie above, or below, *every* earlier date (two years of them, so that seasons make no difference) by
more than `MARGIN`, and to do so in all but `ERROR_RATE` of the resamples of accounts (Efron's bootstrap, 1979, by
account, as an account's dates hang together). As every date has to agree, chance does so less often still.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.signals.contract_terms import TOLERATED_SHARE
from features.signals.signals import Signals
from features.utils.dates import midnight
from training.leakage.report import LeakFinding

ERROR_RATE = 0.01
"""At most so many of the sources without a leak are taken for one with; half of them on either side."""
MARGIN = 0.02
"""Shares that differ by less are of no weight."""
RESAMPLES = 1_000
EVERY_DAYS, BACK_DAYS = 28, 728
"""Earlier dates are so many days apart, and go back so far from the last one whose outcome is known."""
MINIMUM_SPAN_DAYS = 270
"""Dates that span fewer days do not show every season."""
AGE_DAYS, AGES = 122, 18
"""Accounts are compared by age: so many groups of so many days, the last one open."""
MINIMUM_AGE_ACCOUNTS = 3
"""Fewer accounts of an age tell nothing of it."""
MINIMUM_COVERED_SHARE = 0.5
"""Of the accounts at the end, so many have to be of an age that an earlier date knows."""
MINIMUM_ACCOUNTS = 50
MAXIMUM_ACCOUNTS = 4_000
"""Of more accounts so many are looked at."""
SUBJECT = "contract.days_to_renewal"

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DueComparison:
    """What was compared.

    Parameters
    ----------
    dates : earlier dates that could be compared.
    at_end : share of accounts due within the horizon at the end of the data.
    low, high : the lowest and highest such share at the earlier dates, accounts weighted by age as at the end.
    differs : whether they cannot come from one process.
    lacking : why nothing could be compared; empty where it could.
    """

    dates: int = 0
    at_end: float = np.nan
    low: float = np.nan
    high: float = np.nan
    differs: bool = False
    lacking: str = ""

    def finding(self, horizon_days: int) -> LeakFinding:
        """What is said of it if it `differs`."""
        words = (
            f"{SUBJECT} tells the future: {self.at_end:.0%} of the accounts are due within {horizon_days} days at the "
            f"end of the data, and {self.low:.0%} to {self.high:.0%} of accounts of the same ages at {self.dates} "
            f"earlier dates (chance does so in fewer than {ERROR_RATE:.0%} of sources); renewals look overwritten"
        )
        return LeakFinding("due dates", SUBJECT, words)


def compare_due_shares(signals: Signals, horizon_days: int, grace_days: int, seed: int = 0) -> DueComparison:
    """Compare the share of accounts that are due within the horizon at earlier dates with that at the end.

    Parameters
    ----------
    signals : with subscriptions.
    horizon_days, grace_days : H and G, in days: earlier dates are those whose outcome is known.
    seed : of the resamples.
    """
    rows = _rows(signals, seed)
    end = midnight(signals.data_through)
    last = end - timedelta(days=horizon_days + grace_days)
    dates = [last - timedelta(days=back) for back in range(0, BACK_DAYS + 1, EVERY_DAYS)]
    places = [_at(rows, pd.Timestamp(date).tz_convert(None).to_datetime64(), horizon_days) for date in (end, *dates)]
    now, earlier = places[0], [(date, at) for date, at in zip(dates, places[1:], strict=True) if at.known]
    if not now.known or len(now.account) < MINIMUM_ACCOUNTS:
        return DueComparison(lacking="too few accounts run under known terms at the end of the data")
    if not now.due.any() and not any(at.due.any() for _, at in earlier):
        return DueComparison(lacking="no renewal comes due")
    weight = np.bincount(now.age, minlength=AGES)
    kept = []
    for date, at in earlier:
        ages = np.bincount(at.age, minlength=AGES) >= MINIMUM_AGE_ACCOUNTS
        if weight[ages].sum() >= MINIMUM_COVERED_SHARE * weight.sum():
            kept.append((date, at, ages))
    if len(kept) < 2 or (kept[0][0] - kept[-1][0]) < timedelta(days=MINIMUM_SPAN_DAYS):
        return DueComparison(
            lacking=f"fewer than {MINIMUM_SPAN_DAYS} days of earlier dates with accounts of the same ages"
        )
    many, rng = rows.accounts, np.random.default_rng(seed)
    ones = np.ones((1, many))
    drawn = np.vstack([rng.multinomial(many, np.full(many, 1 / many), RESAMPLES).astype(np.float64), ones])
    gaps = np.stack([_gap(now, at, ages, drawn) for _, at, ages in kept])
    apart = gaps[:, 0] - gaps[:, 1]
    above = float(np.quantile(apart[:, :-1].min(axis=0), ERROR_RATE / 2))
    below = float(np.quantile(apart[:, :-1].max(axis=0), 1 - ERROR_RATE / 2))
    shares = gaps[:, 1, -1]
    differs = bool(above > MARGIN or below < -MARGIN)
    return DueComparison(len(kept), float(now.due.mean()), float(shares.min()), float(shares.max()), differs)


@dataclass(frozen=True)
class _Subscriptions:
    """Subscriptions as arrays: the account's number, start, end (NaT runs), renewal, and whether its terms are
    unknown."""

    account: Ints
    start: npt.NDArray[np.datetime64]
    end: npt.NDArray[np.datetime64]
    renewal: npt.NDArray[np.datetime64]
    unknown: npt.NDArray[np.bool_]
    accounts: int


@dataclass(frozen=True)
class _ActiveAccounts:
    """The accounts that are active at a date: their numbers, the group of their age, and whether they are due (0 or 1);
    ``known``: whether their terms are."""

    account: Ints
    age: Ints
    due: Floats
    known: bool


def _rows(signals: Signals, seed: int) -> _Subscriptions:
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
    begun = rows.start < date
    runs = begun & (np.isnat(rows.end) | (rows.end >= date))
    first = np.full(rows.accounts, np.datetime64("9999-01-01", "us"))
    np.minimum.at(first, rows.account[begun], rows.start[begun])
    dated = runs & ~np.isnat(rows.renewal)
    renewal = np.full(rows.accounts, np.datetime64("9999-01-01", "us"))
    np.minimum.at(renewal, rows.account[dated], rows.renewal[dated])
    active = np.unique(rows.account[runs])
    lost = np.unique(rows.account[runs & rows.unknown])
    until = renewal[active] - date
    due = (until >= np.timedelta64(0)) & (until < np.timedelta64(horizon_days, "D"))
    age = ((date - first[active]) // np.timedelta64(AGE_DAYS, "D")).astype(np.int64)
    known = len(active) > 0 and len(lost) <= TOLERATED_SHARE * len(active)
    return _ActiveAccounts(active, np.minimum(age, AGES - 1), due.astype(np.float64), known)


def _gap(now: _ActiveAccounts, at: _ActiveAccounts, ages: npt.NDArray[np.bool_], drawn: Floats) -> Floats:
    """The shares due now and at an earlier date, accounts of these ages weighted as now, in each of the draws (r, n);
    shape (2, r)."""
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
    """How many accounts of each age there are in each draw, and how many of them are due; shape (r, ages) each."""
    of = np.zeros((len(at.account), AGES))
    of[np.arange(len(at.account)), at.age] = 1.0
    some = drawn[:, at.account]
    return some @ of, some @ (of * at.due[:, None])
