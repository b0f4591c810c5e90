"""How long accounts stay, and how much of their ARR: by the quarter in which they began.

The share of accounts that stay is Kaplan and Meier's estimate (1958), by `scipy.stats.ecdf`, with its log-log interval:
an account that is still there counts for as long as it has been seen. ARR is that of accounts seen for the whole time.

A source is taken to hold every account that ever began. One that holds only those which were still there at some date
makes the years before it look better than they were.
"""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import Any

import ibis
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.aggregation.passes import known_before_us
from features.definitions.aggregations import FIXED_POINT
from features.revenue.arr import ACTIVE_DAYS, GRACE_DAYS
from features.revenue.arr_movements import DAY, NEVER, SPAN, stretches
from features.signals.contract_terms import TOLERATED_SHARE
from features.signals.signals import Signals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import epoch_micros, to_iso

MONTH_DAYS = 365.25 / 12
AGES = (3, 6, 12, 24, 36)
"""Months after the start at which retention is told."""
LEVEL = 0.8
"""Of the intervals."""
ASSUMPTION = "the source holds every account that ever began, also those that left long ago"

Floats = npt.NDArray[np.float64]


def cohorts(signals: Signals, as_of: datetime, active_days: int = ACTIVE_DAYS) -> dict[str, Any]:
    """Retention in logos and ARR, of all accounts and by the quarter of their start, as known before ``as_of``.

    An account is lost where it first churns (see `features.revenue.arr`): what it does when it comes back is not
    looked at.
    One that ended within the grace is counted up to its end and not as lost. Without contracts an account is lost
    ``active_days`` after an order that none followed, and ARR is not known at an age.

    Returns
    -------
    dict for JSON: as_of, contractual, ages (months), level (of the intervals), assumption, arr_unknown (why the ARR of
    accounts is not known; None where it is of all), whole and cohorts. Each has cohort (``2025Q3``; None for the
    whole), accounts, lost, arr_start (None unknown), and ages: a record for each with months, at_risk (accounts seen so
    long), logos, low, high (shares; None beyond what was seen) and arr (the ARR at that age of the accounts that began
    so long ago, as a share of theirs at the start; None without any, and where the source has overwritten the terms of
    more than a few of them, see `features.signals.contract_terms`).
    """
    table = _lives(signals, as_of, active_days)
    quarter = pd.to_datetime(table["began"], unit="us", utc=True).dt.tz_localize(None).dt.to_period("Q").astype(str)
    groups = [(name, table[quarter == name]) for name in sorted(quarter.unique())]
    return {
        "as_of": to_iso(as_of),
        "contractual": signals.contractual,
        "ages": list(AGES),
        "level": LEVEL,
        "assumption": ASSUMPTION,
        "arr_unknown": _arr_unknown(table) if signals.contractual else None,
        "whole": _cohort(None, table, epoch_micros(as_of)),
        "cohorts": [_cohort(str(name), own, epoch_micros(as_of)) for name, own in groups],
    }


def survival(days: Floats, lost: npt.NDArray[np.bool_], at: Floats) -> tuple[Floats, Floats, Floats]:
    """Kaplan and Meier's estimate of the share that is still there after ``at`` days, with the log-log interval.

    Parameters
    ----------
    days : how long each account was seen, above 0. Shape (n,).
    lost : whether it was lost then; otherwise it was still there when last seen.
    at : days at which the share is wanted. Shape (m,).

    Returns
    -------
    share, low, high, shape (m,) each: NaN beyond the longest time seen; the interval is NaN too where the share is 0 or
    nobody was lost, for it is not defined there.
    """
    nothing = np.full(len(at), np.nan)
    if not len(days):
        return nothing, nothing, nothing
    # Four hundred modules, which a service that starts does without until somebody asks for cohorts.
    from scipy.stats import CensoredData, ecdf

    found = ecdf(CensoredData(uncensored=days[lost], right=days[~lost]))
    with warnings.catch_warnings():
        # That the interval is not defined everywhere is told by NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = found.sf.confidence_interval(confidence_level=LEVEL, method="log-log")
        low, high = interval.low.evaluate(at), interval.high.evaluate(at)
    seen = at <= days.max()
    share = np.where(seen, found.sf.evaluate(at), np.nan)
    inside = seen & (share > 0) & (share < 1)
    return share, np.where(inside, low, np.nan), np.where(inside, high, np.nan)


def _cohort(name: str | None, lives: pd.DataFrame, now: int) -> dict[str, Any]:
    days = np.maximum((lives["ended"] - lives["began"]).to_numpy(dtype=np.float64) / DAY, 1e-6)
    lost = lives["lost"].to_numpy(dtype=bool)
    at = np.array([months * MONTH_DAYS for months in AGES])
    share, low, high = survival(days, lost, at)
    start = lives["arr_start"].to_numpy(dtype=np.float64)
    whole = np.nan if np.isnan(start).any() else start.sum()
    told = []
    for i, months in enumerate(AGES):
        # Whoever ended within the grace is not known to have left or stayed.
        old = (now - lives["began"].to_numpy(dtype=np.float64) >= at[i] * DAY) & (lost | (days >= at[i]))
        arr = _arr_kept(start[old], lives[f"arr_{months}"].to_numpy(dtype=np.float64)[old])
        told.append(
            {
                "months": months,
                "at_risk": int((days >= at[i]).sum()),
                "logos": _told(share[i]),
                "low": _told(low[i]),
                "high": _told(high[i]),
                "arr": _told(arr),
            }
        )
    return {"cohort": name, "accounts": len(lives), "lost": int(lost.sum()), "arr_start": _told(whole), "ages": told}


def _arr_unknown(lives: pd.DataFrame) -> str | None:
    unknown = int(lives["arr_start"].isna().sum())
    if not unknown:
        return None
    return (
        f"the terms of {unknown:,} of {len(lives):,} accounts are not known at their start: the source overwrites them"
    )


def _arr_kept(start: Floats, later: Floats) -> float:
    """The share of the ARR at the start that is there at an age; NaN where there was none, or where the source has
    overwritten the terms of more than a few of the accounts. The few are left out of both sums."""
    known = ~(np.isnan(start) | np.isnan(later))
    base = start[known].sum()
    if (~known).sum() > TOLERATED_SHARE * len(known) or not base > 0:
        return np.nan
    return float(later[known].sum() / base)


def _told(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _lives(signals: Signals, as_of: datetime, active_days: int) -> pd.DataFrame:
    """Of every account that ever began: began, ended (when lost, or last seen; microseconds), lost, arr_start, and the
    ARR at each age (NaN unknown)."""
    now = epoch_micros(as_of)
    grace = (GRACE_DAYS if signals.contractual else active_days) * DAY
    row = {"start": [now], "end": [now], "known": [now], "grace": [grace]}
    create_table(signals.connection, "ledger_span", pa.table(row))
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
        # Plain sums would take unknown terms for nothing.
        unknown = amounts.isna().groupby(rows["account_id"]).any()
        lives[name] = amounts.groupby(rows["account_id"]).sum().mask(unknown)
    found: pd.DataFrame = lives.reset_index()
    return found


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
    # The first silence that is too long ends the life; later orders are another one.
    silent = (following.isna() & (orders["at"] + active < now)) | (following - orders["at"] > active)
    began = orders.groupby("account_id")["at"].min()
    ended = (orders["at"].where(silent) + active).groupby(orders["account_id"]).min()
    lives = pd.DataFrame({"began": began, "ended": ended.fillna(now), "lost": ended.notna()})
    unknown = dict.fromkeys(("arr_start", *(f"arr_{months}" for months in AGES)), np.nan)
    found: pd.DataFrame = lives.assign(**unknown).reset_index()
    return found
