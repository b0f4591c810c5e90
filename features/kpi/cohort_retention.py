"""Retention of accounts and of their ARR, by the quarter in which the accounts began.

The share of retained accounts is the Kaplan-Meier estimate (1958) of `scipy.stats.ecdf` with its log-log interval: an
account that has not left counts for as long as it was observed. ARR retention uses accounts observed for the whole
time.

The source is assumed to contain every account that ever began. A source with only the accounts that were still active
at some date makes earlier years look better than they were.
"""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import Any

import ibis
import numpy as np
import pandas as pd

from features.aggregation.passes import known_before_us
from features.definitions.aggregations import FIXED_POINT
from features.revenue.arr import ACTIVE_DAYS, GRACE_DAYS, set_span
from features.revenue.arr_movements import DAY, NEVER, SPAN, stretches
from features.signals.signals import OpenSignals
from features.signals.tolerances import TOLERATED_SHARE
from features.sources.engine import collect, contract_table
from features.sources.sql_functions import epoch_us
from features.utils.arrays import Bools, Floats
from features.utils.dates import epoch_micros, to_iso

MONTH_DAYS = 365.25 / 12
AGES = (3, 6, 12, 24, 36)
"""Ages, in months after the start, at which retention is reported."""
LEVEL = 0.8
"""Level of the confidence intervals."""
ASSUMPTION = "the source contains every account that ever began, including those that left long ago"


def cohorts(signals: OpenSignals, as_of: datetime, active_days: int = ACTIVE_DAYS) -> dict[str, Any]:
    """Compute logo and ARR retention of all accounts and by the quarter of their start, as known before ``as_of``.

    An account is lost when it first churns (see `features.revenue.arr`); later returns are ignored. An account that
    ended within the grace counts up to its end and is not lost. Without contracts, an account is lost ``active_days``
    after an order that no other followed, and its ARR by age is unknown.

    Parameters
    ----------
    signals : the open signals.
    as_of : the instant before which rows must be known.
    active_days : without contracts, the days for which an order makes an account active.

    Returns
    -------
    dict
        JSON data: as_of, contractual, ages (months), level (of the intervals), assumption, arr_unknown (why the ARR of
        some accounts is unknown, else None), whole and cohorts. Each cohort has cohort (``2025Q3``; None for the
        whole),
        accounts, lost, arr_start (None if unknown), and ages: a record for each age with months, at_risk (accounts
        observed that long), logos, low, high (shares; None beyond the observed time) and arr (the ARR at that age of
        the accounts that are old enough, as a share of their ARR at the start; None without any, or if the source has
        overwritten the terms of more than a few of them, see `features.signals.contract_terms`).
    """
    return retention_of(account_lives(signals, as_of, active_days), as_of, signals.contractual)


def retention_of(lives: pd.DataFrame, as_of: datetime, contractual: bool) -> dict[str, Any]:
    """Compute the retention of accounts from their lives; see `cohorts`.

    Parameters
    ----------
    lives : rows of `account_lives`.
    as_of : the instant at which they were observed.
    contractual : whether accounts have contracts.
    """
    quarter = pd.to_datetime(lives["began"], unit="us", utc=True).dt.tz_localize(None).dt.to_period("Q").astype(str)
    groups = [(name, lives[quarter == name]) for name in sorted(quarter.unique())]
    return {
        "as_of": to_iso(as_of),
        "contractual": contractual,
        "ages": list(AGES),
        "level": LEVEL,
        "assumption": ASSUMPTION,
        "arr_unknown": _arr_unknown(lives) if contractual else None,
        "whole": _cohort(None, lives, epoch_micros(as_of)),
        "cohorts": [_cohort(str(name), own, epoch_micros(as_of)) for name, own in groups],
    }


def survival(days: Floats, lost: Bools, at: Floats) -> tuple[Floats, Floats, Floats]:
    """Estimate the retained share after ``at`` days (Kaplan-Meier), with the log-log interval.

    Parameters
    ----------
    days : the observed time of each account, above 0. Shape (n,).
    lost : whether the account was lost at that time; otherwise it was still retained.
    at : days at which to evaluate the share. Shape (m,).

    Returns
    -------
    share, low, high : array, shape (m,)
        NaN beyond the longest observed time. The interval is also NaN if the share is 0 or no account was lost, because
        it is undefined there.
    """
    unknown = np.full(len(at), np.nan)
    if not len(days):
        return unknown, unknown, unknown
    # Imported here: four hundred modules that a service does not need until cohorts are requested.
    from scipy.stats import CensoredData, ecdf

    estimate = ecdf(CensoredData(uncensored=days[lost], right=days[~lost]))
    with warnings.catch_warnings():
        # NaN marks where the interval is undefined.
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = estimate.sf.confidence_interval(confidence_level=LEVEL, method="log-log")
        low, high = interval.low.evaluate(at), interval.high.evaluate(at)
    observed = at <= days.max()
    share = np.where(observed, estimate.sf.evaluate(at), np.nan)
    inside = observed & (share > 0) & (share < 1)
    return share, np.where(inside, low, np.nan), np.where(inside, high, np.nan)


def _cohort(name: str | None, lives: pd.DataFrame, now: int) -> dict[str, Any]:
    days = np.maximum((lives["ended"] - lives["began"]).to_numpy(dtype=np.float64) / DAY, 1e-6)
    lost = lives["lost"].to_numpy(dtype=bool)
    at = np.array([months * MONTH_DAYS for months in AGES])
    share, low, high = survival(days, lost, at)
    start = lives["arr_start"].to_numpy(dtype=np.float64)
    whole = np.nan if np.isnan(start).any() else start.sum()
    records = []
    for i, months in enumerate(AGES):
        # Accounts that ended within the grace have neither left nor stayed for certain.
        old = (now - lives["began"].to_numpy(dtype=np.float64) >= at[i] * DAY) & (lost | (days >= at[i]))
        arr = _arr_retention(start[old], lives[f"arr_{months}"].to_numpy(dtype=np.float64)[old])
        records.append(
            {
                "months": months,
                "at_risk": int((days >= at[i]).sum()),
                "logos": _number_or_none(share[i]),
                "low": _number_or_none(low[i]),
                "high": _number_or_none(high[i]),
                "arr": _number_or_none(arr),
            }
        )
    return {
        "cohort": name,
        "accounts": len(lives),
        "lost": int(lost.sum()),
        "arr_start": _number_or_none(whole),
        "ages": records,
    }


def _arr_unknown(lives: pd.DataFrame) -> str | None:
    unknown = int(lives["arr_start"].isna().sum())
    if not unknown:
        return None
    return f"the terms of {unknown:,} of {len(lives):,} accounts are unknown at their start: the source overwrites them"


def _arr_retention(start: Floats, later: Floats) -> float:
    """Return the ARR at an age as a share of the ARR at the start.

    NaN if there was none, or if the source has overwritten the terms of more than a few accounts. A few are excluded
    from both sums.
    """
    known = ~(np.isnan(start) | np.isnan(later))
    base = start[known].sum()
    if (~known).sum() > TOLERATED_SHARE * len(known) or not base > 0:
        return np.nan
    return float(later[known].sum() / base)


def _number_or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def account_lives(signals: OpenSignals, as_of: datetime, active_days: int = ACTIVE_DAYS) -> pd.DataFrame:
    """Return how long each account stayed, active or not, as known before ``as_of``.

    Parameters
    ----------
    signals, as_of, active_days : as in `cohorts`.

    Returns
    -------
    DataFrame
        A row per account: account_id, began and ended (lost or last observed; microseconds since 1970), lost (bool),
        arr_start and the ARR by age, such as arr_12 (NaN if unknown).
    """
    now = epoch_micros(as_of)
    grace = (GRACE_DAYS if signals.contractual else active_days) * DAY
    set_span(signals, now, now, now, grace)
    if not signals.contractual:
        return _order_lives(collect(signals.connection, _orders).to_pandas(), now, grace)
    rows = collect(signals.connection, _first_stretches).to_pandas()
    over = rows["stretch_end"] + grace < now
    rows = rows.assign(lost=over & (rows["stretch_end"] < NEVER), last=np.minimum(rows["stretch_end"], now))
    own = rows.groupby("account_id", sort=True)
    lives = own.agg(began=("stretch", "min"), ended=("last", "max"), lost=("lost", "max"))
    for name, age in (("arr_start", 0.0), *((f"arr_{months}", months * MONTH_DAYS) for months in AGES)):
        at = rows["stretch"] + int(age * DAY)
        runs = (rows["started"] <= at) & (rows["ended"] > at)
        amounts = (rows["fixed"].where(runs, 0) / FIXED_POINT).astype(np.float64)
        # Plain sums would count unknown terms as zero.
        unknown = amounts.isna().groupby(rows["account_id"]).any()
        lives[name] = amounts.groupby(rows["account_id"]).sum().mask(unknown)
    result: pd.DataFrame = lives.reset_index()
    return result


def _first_stretches() -> ibis.Table:
    rows = stretches()
    first = rows.stretch.min().over(ibis.window(group_by="account_id"))
    rows = rows.mutate(first=first).filter(lambda t: t.stretch == t.first)
    return rows.select("account_id", "started", "ended", "fixed", "stretch", "stretch_end")


def _orders() -> ibis.Table:
    rows = contract_table("orders").cross_join(SPAN)
    rows = rows.mutate(at=epoch_us(rows.occurred_at))
    rows = rows.filter((rows.at < rows.end) & known_before_us(rows, rows.known) & (rows.amount > 0))
    return rows.select("account_id", "at").distinct()


def _order_lives(orders: pd.DataFrame, now: int, active: int) -> pd.DataFrame:
    orders = orders.sort_values(["account_id", "at"], ignore_index=True)
    following = orders.groupby("account_id")["at"].shift(-1)
    # The first silence that is too long ends the observed life; later orders are ignored.
    silent = (following.isna() & (orders["at"] + active < now)) | (following - orders["at"] > active)
    began = orders.groupby("account_id")["at"].min()
    ended = (orders["at"].where(silent) + active).groupby(orders["account_id"]).min()
    lives = pd.DataFrame({"began": began, "ended": ended.fillna(now), "lost": ended.notna()})
    unknown = dict.fromkeys(("arr_start", *(f"arr_{months}" for months in AGES)), np.nan)
    result: pd.DataFrame = lives.assign(**unknown).reset_index()
    return result
