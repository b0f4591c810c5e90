"""Contracts that look overwritten: what a source shows of them that keeps no history.

Billing systems often keep one row per subscription and write each renewal over it. Read as it stands, such a row says
at every earlier date when the *last* term ends and what it costs: who left is known in advance. Where the source says
since when the current term runs (``term_started_at``), nothing leaks, but what held before is lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.signals.signals import Signals
from features.signals.validation import Finding

EXPORT = (
    "export the history of each subscription, one row per term (from the billing system's invoices or line items, or "
    "from its subscription change events), or give term_started_at, the start of the current term"
)
"""What to export in place of overwritten contracts."""

LEAST_ROWS = 20
"""Fewer rows are no pattern."""
LEAST_SHARE = 0.2
"""Nor is a smaller share of the subscriptions that run."""
LEAST_RENEWALS = 50
"""Of so many renewals one would have changed a price."""
FOLLOWS_WITHIN = np.timedelta64(31, "D")
"""A row that starts so soon after another one's end continues it."""
LONGER = 1.5
"""So many times the longest time that any subscription has left: no term is so long."""
MOSTLY, HARDLY = 0.8, 0.05

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def contract_findings(signals: Signals) -> list[Finding]:
    """Name what is lost or looks overwritten in the subscriptions, which outcomes cannot be learned from it, and what
    to export.

    Parameters
    ----------
    signals : checked signals; without subscriptions nothing is found.

    Returns
    -------
    list of Finding
        Without positions, as rows are looked at together.
    """
    if not signals.contractual:
        return []
    rows = _rows(signals)
    return [finding for finding in (_lost(rows), *_leaks(rows, signals), _level(rows)) if finding is not None]


def leaking_contracts(signals: Signals) -> list[Finding]:
    """Those of `contract_findings` by which earlier dates tell who will leave: no model may be made from them."""
    return [] if not signals.contractual else _leaks(_rows(signals), signals)


def _leaks(rows: pd.DataFrame, signals: Signals) -> list[Finding]:
    through = pd.Timestamp(signals.data_through).tz_convert(None).to_datetime64()
    found = (_older_than_their_term(rows, through), _active_only(rows))
    return [finding for finding in found if finding is not None]


def _rows(signals: Signals) -> pd.DataFrame:
    """The subscriptions, sorted by account and start."""
    columns = ("account_id", "started_at", "ended_at", "arr", "seats", "plan", "renewal_at")
    rows = signals.tables["subscriptions"].select(*columns).to_pyarrow().to_pandas()
    for name in ("started_at", "ended_at", "renewal_at"):
        rows[name] = pd.to_datetime(rows[name]).astype("datetime64[us]")
    found: pd.DataFrame = rows.sort_values(["account_id", "started_at"], kind="stable", ignore_index=True)
    return found


def _lost(rows: pd.DataFrame) -> Finding | None:
    lost = int(rows["arr"].isna().sum())
    if not lost:
        return None
    last = pd.Timestamp(rows["ended_at"][rows["arr"].isna()].max())
    until = "" if pd.isna(last) else f" before {last:%Y-%m-%d}"
    return Finding(
        "subscriptions",
        "term_started_at",
        lost,
        "began before their current term, and the terms before it are lost: expansion, contraction and what contracts "
        f"tell of churn cannot be learned at dates{until}",
        "export the history of each subscription, one row per term, to learn from it",
    )


def _older_than_their_term(rows: pd.DataFrame, through: np.datetime64) -> Finding | None:
    """Single rows that run, whose time from start to renewal grows with their age and is longer than any term left."""
    runs = (rows["ended_at"].isna() & rows["renewal_at"].notna() & rows["arr"].notna()).to_numpy()
    alone = runs & ~_continues(rows)
    started, renewal = rows["started_at"].to_numpy(), rows["renewal_at"].to_numpy()
    age, length, left = (_days(d) for d in (through - started, renewal - started, renewal - through))
    ahead = left[runs & (left >= 0)]
    if len(ahead) < LEAST_ROWS:
        return None
    longest = float(np.quantile(ahead, 0.95))
    older = alone & (length > LONGER * longest) & (age > longest)
    if older.sum() < max(LEAST_ROWS, LEAST_SHARE * runs.sum()) or not _one_for_one(age[alone], length[alone]):
        return None
    return Finding(
        "subscriptions",
        "renewal_at",
        int(older.sum()),
        "run on in a single row for longer than any term (their renewal date, price and plan look overwritten at each "
        "renewal): neither churn nor expansion can be learned from them, as every earlier date sees the last term",
        EXPORT,
    )


def _one_for_one(age: Floats, length: Floats) -> bool:
    """Whether the time from start to renewal grows by a day with each day of age: terms do not."""
    if np.std(age) == 0 or np.std(length) == 0:
        return False
    slope = float(np.cov(age, length)[0, 1] / np.var(age, ddof=1))
    return bool(np.corrcoef(age, length)[0, 1] > 0.9 and 0.75 < slope < 1.25)


def _active_only(rows: pd.DataFrame) -> Finding | None:
    """Renewal dates that hardly any account has that left."""
    runs = rows["ended_at"].isna().to_numpy()
    active = rows["account_id"].isin(rows["account_id"][runs]).to_numpy()
    last = ~active & (rows["ended_at"] == rows.groupby("account_id")["ended_at"].transform("max")).to_numpy()
    known = rows["renewal_at"].notna().to_numpy()
    if min(last.sum(), runs.sum()) < LEAST_ROWS or known[last].mean() > HARDLY or known[runs].mean() < MOSTLY:
        return None
    return Finding(
        "subscriptions",
        "renewal_at",
        int((last & ~known).sum()),
        "of accounts that left bear no renewal date, which nearly all that run have (it looks cleared when a contract "
        "ends): churn cannot be learned from it, as its absence tells who will leave",
        "export the renewal date that held until the end, or leave the column out",
    )


def _level(rows: pd.DataFrame) -> Finding | None:
    """Rows that follow each other at the price that holds today, though their seats or plans changed."""
    after = rows[_continues(rows)]
    if len(after) < LEAST_RENEWALS:
        return None
    several = rows.groupby("account_id")[["arr", "seats", "plan"]].nunique()
    changed = (several["seats"] > 1) | (several["plan"] > 1)
    if (several["arr"] > 1).any() or changed.sum() < LEAST_ROWS:
        return None
    return Finding(
        "subscriptions",
        "arr",
        len(after),
        "renew an earlier one and no price ever changed, though seats or plans did (today's price looks written over "
        "the earlier ones): expansion and contraction cannot be learned",
        "export the price that held in each term, from invoices or line items",
    )


def _continues(rows: pd.DataFrame) -> Bools:
    """Which rows, sorted by account and start, start where an earlier one of their account ended."""
    found = np.zeros(len(rows), dtype=np.bool_)
    ends = rows.loc[rows["ended_at"].notna(), ["account_id", "ended_at"]].sort_values("ended_at")
    if ends.empty:
        return found
    starts = rows[["account_id", "started_at"]].reset_index(names="row").sort_values("started_at")
    met = pd.merge_asof(
        starts,
        ends,
        left_on="started_at",
        right_on="ended_at",
        by="account_id",
        tolerance=pd.Timedelta(FOLLOWS_WITHIN),
    )
    found[met["row"].to_numpy()] = met["ended_at"].notna().to_numpy()
    return found


def _days(span: Any) -> Floats:
    days = np.asarray(span, dtype="timedelta64[us]").astype(np.float64) / 86_400e6
    return np.where(np.isnat(np.asarray(span, dtype="timedelta64[us]")), np.nan, days)
