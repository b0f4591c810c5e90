"""Detection of overwritten contracts, in sources that store no history.

Billing systems often store one row per subscription and overwrite it at each renewal. Such a row shows the end and the
price of the *last* term at every earlier date, which reveals in advance who left. If the source has the start of the
current term (``term_started_at``), nothing leaks, but the earlier terms are lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from features.signals.signals import OpenSignals
from features.signals.validation import Finding
from features.utils.arrays import Bools, Floats

EXPORT = (
    "export the history of each subscription, one row per term (from the billing system's invoices or line items, or "
    "from its subscription change events), or provide term_started_at, the start of the current term"
)
"""What to export instead of overwritten contracts."""

MIN_ROWS = 20
"""Minimum number of rows of a pattern."""
MIN_SHARE = 0.2
"""Minimum share of the active subscriptions."""
MIN_RENEWALS = 50
"""Minimum number of renewals among which a price change is expected."""
FOLLOWS_WITHIN = np.timedelta64(31, "D")
"""A row that starts this soon after the end of another one continues it."""
IMPLAUSIBLE_FACTOR = 1.5
"""A term is implausible above this multiple of the longest remaining time of any subscription."""
MOSTLY, HARDLY = 0.8, 0.05


def contract_findings(signals: OpenSignals) -> list[Finding]:
    """Report lost or overwritten subscription data, the outcomes that cannot be learned, and what to export.

    Parameters
    ----------
    signals : checked signals; without subscriptions there are no findings.

    Returns
    -------
    list of Finding
        Without positions, because patterns concern many rows.
    """
    # A spreadsheet has no history by its nature.
    if not signals.contractual or (signals.states is not None and signals.states.sole):
        return []
    rows = _rows(signals)
    return [
        finding
        for finding in (_lost_terms(rows), *_leaks(rows, signals), _constant_prices(rows))
        if finding is not None
    ]


def leaking_contracts(signals: OpenSignals) -> list[Finding]:
    """Return the findings that reveal at earlier dates who will leave; no model may be trained on such data."""
    return [] if not signals.contractual else _leaks(_rows(signals), signals)


def _leaks(rows: pd.DataFrame, signals: OpenSignals) -> list[Finding]:
    through = pd.Timestamp(signals.data_through).tz_convert(None).to_datetime64()
    findings = (_rows_older_than_terms(rows, through), _cleared_renewal_dates(rows))
    return [finding for finding in findings if finding is not None]


def _rows(signals: OpenSignals) -> pd.DataFrame:
    """Return the subscriptions, sorted by account and start."""
    columns = ("account_id", "started_at", "ended_at", "arr", "seats", "plan", "renewal_at")
    rows = signals.tables["subscriptions"].select(*columns).to_pyarrow().to_pandas()
    for name in ("started_at", "ended_at", "renewal_at"):
        rows[name] = pd.to_datetime(rows[name]).astype("datetime64[us]")
    ordered: pd.DataFrame = rows.sort_values(["account_id", "started_at"], kind="stable", ignore_index=True)
    return ordered


def _lost_terms(rows: pd.DataFrame) -> Finding | None:
    lost = int(rows["arr"].isna().sum())
    if not lost:
        return None
    last = pd.Timestamp(rows["ended_at"][rows["arr"].isna()].max())
    until = "" if pd.isna(last) else f" before {last:%Y-%m-%d}"
    return Finding(
        "subscriptions",
        "term_started_at",
        lost,
        "began before their current term, and the earlier terms are lost: expansion, contraction and the effect "
        f"of contracts on churn cannot be learned at dates{until}",
        "export the history of each subscription, one row per term, to learn from it",
    )


def _rows_older_than_terms(rows: pd.DataFrame, through: np.datetime64) -> Finding | None:
    """Find single active rows whose time to renewal grows with their age and exceeds any remaining term."""
    runs = (rows["ended_at"].isna() & rows["renewal_at"].notna() & rows["arr"].notna()).to_numpy()
    alone = runs & ~_continues(rows)
    started, renewal = rows["started_at"].to_numpy(), rows["renewal_at"].to_numpy()
    age, length, left = (_days(d) for d in (through - started, renewal - started, renewal - through))
    ahead = left[runs & (left >= 0)]
    if len(ahead) < MIN_ROWS:
        return None
    longest = float(np.quantile(ahead, 0.95))
    older = alone & (length > IMPLAUSIBLE_FACTOR * longest) & (age > longest)
    if older.sum() < max(MIN_ROWS, MIN_SHARE * runs.sum()) or not _one_for_one(age[alone], length[alone]):
        return None
    return Finding(
        "subscriptions",
        "renewal_at",
        int(older.sum()),
        "continue in a single row for longer than any term (renewal date, price and plan seem to be overwritten at "
        "each renewal): churn and expansion cannot be learned, because every earlier date shows the last term",
        EXPORT,
    )


def _one_for_one(age: Floats, length: Floats) -> bool:
    """Return whether the time from start to renewal grows one day per day of age, unlike real terms."""
    if np.std(age) == 0 or np.std(length) == 0:
        return False
    slope = float(np.cov(age, length)[0, 1] / np.var(age, ddof=1))
    return bool(np.corrcoef(age, length)[0, 1] > 0.9 and 0.75 < slope < 1.25)


def _cleared_renewal_dates(rows: pd.DataFrame) -> Finding | None:
    """Find renewal dates that are missing for nearly all accounts that left."""
    runs = rows["ended_at"].isna().to_numpy()
    active = rows["account_id"].isin(rows["account_id"][runs]).to_numpy()
    last = ~active & (rows["ended_at"] == rows.groupby("account_id")["ended_at"].transform("max")).to_numpy()
    known = rows["renewal_at"].notna().to_numpy()
    if min(last.sum(), runs.sum()) < MIN_ROWS or known[last].mean() > HARDLY or known[runs].mean() < MOSTLY:
        return None
    return Finding(
        "subscriptions",
        "renewal_at",
        int((last & ~known).sum()),
        "of accounts that left have no renewal date, but nearly all active ones do (it seems to be cleared when a "
        "contract ends): churn cannot be learned from it, because its absence reveals who will leave",
        "export the renewal date that was valid until the end, or remove the column",
    )


def _constant_prices(rows: pd.DataFrame) -> Finding | None:
    """Find consecutive rows with today's price although seats or plans changed."""
    after = rows[_continues(rows)]
    if len(after) < MIN_RENEWALS:
        return None
    several = rows.groupby("account_id")[["arr", "seats", "plan"]].nunique()
    changed = (several["seats"] > 1) | (several["plan"] > 1)
    if (several["arr"] > 1).any() or changed.sum() < MIN_ROWS:
        return None
    return Finding(
        "subscriptions",
        "arr",
        len(after),
        "renew an earlier row without any price change, although seats or plans changed (earlier prices seem to be "
        "overwritten with today's price): expansion and contraction cannot be learned",
        "export the price of each term, from invoices or line items",
    )


def _continues(rows: pd.DataFrame) -> Bools:
    """Return which rows, sorted by account and start, start at the end of an earlier row of the account."""
    continues = np.zeros(len(rows), dtype=np.bool_)
    ends = rows.loc[rows["ended_at"].notna(), ["account_id", "ended_at"]].sort_values("ended_at")
    if ends.empty:
        return continues
    starts = rows[["account_id", "started_at"]].reset_index(names="row").sort_values("started_at")
    matches = pd.merge_asof(
        starts,
        ends,
        left_on="started_at",
        right_on="ended_at",
        by="account_id",
        tolerance=pd.Timedelta(FOLLOWS_WITHIN),
    )
    continues[matches["row"].to_numpy()] = matches["ended_at"].notna().to_numpy()
    return continues


def _days(span: Any) -> Floats:
    days = np.asarray(span, dtype="timedelta64[us]").astype(np.float64) / 86_400e6
    return np.where(np.isnat(np.asarray(span, dtype="timedelta64[us]")), np.nan, days)
