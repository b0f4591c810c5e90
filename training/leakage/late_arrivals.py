"""Late arrival of rows.

Late rows are no leak if ``loaded_at`` records their arrival. Rows that are dated before a churn and arrive after it are
reported as a note.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import ibis
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.contract.current_contract import current_tables, event_tables
from features.signals.signals import OpenSignals
from features.sources.engine import create_table, newest_versions
from features.utils.dates import DAY_SECONDS
from training.leakage.report import LeakFinding

LATE_DAYS = 7
"""Rows that became known this many days after their event, or more, count as late."""
MINIMUM_ROWS = 20
"""Fewer rows that arrive after a churn are no pattern."""
CHURNED = "leakcheck_churned"
EXCESS_FACTOR = 3.0
"""Ratio of the rows to those that the feed's usual delays explain, above which they are reported."""


@dataclass(frozen=True)
class Arrivals:
    """Arrival of the rows of one event table.

    Parameters
    ----------
    table : name of the table.
    rows : number of rows.
    late_share : share of rows that became known `LATE_DAYS` or more after their event.
    before : rows dated within the horizon before their account's churn.
    after : those of them that were loaded at or after the churn.
    expected : how many of those the delays of all other rows explain.
    """

    table: str
    rows: int
    late_share: float
    before: int
    after: int
    expected: float

    @property
    def backdated(self) -> bool:
        """Whether more rows than usual arrive only after the account has churned."""
        return self.after >= MINIMUM_ROWS and self.after > EXCESS_FACTOR * self.expected

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self) | {"backdated": self.backdated}

    def finding(self, horizon_days: int) -> LeakFinding:
        """Return the note for a table that is `backdated`."""
        words = (
            f"{self.table}: {self.after:,} rows are dated in the {horizon_days} days before their account's churn and "
            f"were loaded after it, while its usual delays explain {self.expected:,.0f}; no snapshot uses them before "
            "they arrive, but a source without loaded_at would leak them"
        )
        return LeakFinding("arrival", self.table, words, "note", "churn")


def arrivals(
    signals: OpenSignals, horizon_days: int, grace_days: int, accounts: Collection[str] | None = None
) -> list[Arrivals]:
    """Measure the arrival of the rows of each event table, with one scan per table.

    A table without ``loaded_at`` shows no delays.

    Parameters
    ----------
    signals : signals with subscriptions; the last end is the churn.
    horizon_days, grace_days : H and G, in days.
    accounts : for tables too large to be copied, only the rows of these accounts are used; None for all.

    Returns
    -------
    list of Arrivals
    """
    create_table(signals.connection, CHURNED, pa.Table.from_pandas(_churned(signals, grace_days), preserve_index=False))
    results = []
    for name in event_tables():
        if signals.has(name):
            table = newest_versions(signals.tables[name])
            if name in signals.feeds and accounts is not None:
                table = table.filter(table.account_id.isin(list(accounts)))
            counts = _delay_counts(table, current_tables()[name].at, signals.connection.table(CHURNED), horizon_days)
            results.append(_arrivals_of(name, counts))
    return results


def _churned(signals: OpenSignals, grace_days: int) -> pd.DataFrame:
    """Return the accounts whose last contract ended and whose grace is over: account_id, churned_at."""
    rows = signals.tables["subscriptions"].select("account_id", "ended_at").to_pyarrow().to_pandas()
    over = rows.groupby("account_id")["ended_at"].agg(["max", "count", "size"])
    limit = pd.Timestamp(signals.data_through).tz_localize(None) - timedelta(days=grace_days)
    over = over[(over["count"] == over["size"]) & (over["max"] < limit)]
    return pd.DataFrame({"account_id": over.index.astype(str), "churned_at": over["max"].to_numpy("datetime64[us]")})


def _delay_counts(table: ibis.Table, at: str, churned: ibis.Table, horizon_days: int) -> pd.DataFrame:
    """Return the number of rows (``n``) by whole days of delay and, for those dated within the horizon before a churn,
    by whole days left until it (``gap``, else null) and whether they arrived ``after`` it. Delays longer than the
    horizon count as the horizon plus one day."""
    ends = churned.rename(of="account_id")
    rows = table.left_join(ends, table.account_id == ends.of)
    happened = rows[at]
    gap = _days(happened, rows.churned_at)
    left = rows.churned_at.epoch_seconds() - happened.epoch_seconds()
    near = (happened < rows.churned_at) & (left <= horizon_days * DAY_SECONDS)
    rows = rows.select(
        delay=ibis.least(_days(happened, rows.known_at), horizon_days + 1),
        gap=ibis.ifelse(near, gap, None),
        after=(near & (rows.known_at >= rows.churned_at)).fill_null(False),
    )
    counts = rows.group_by(["delay", "gap", "after"]).aggregate(n=lambda t: t.count())
    return pd.DataFrame(counts.to_pyarrow().to_pandas())


def _arrivals_of(name: str, counts: pd.DataFrame) -> Arrivals:
    rows, late = int(counts["n"].sum()), int(counts["n"][counts["delay"] >= LATE_DAYS].sum())
    near = counts[counts["gap"].notna()]
    others = counts[counts["gap"].isna()].groupby("delay")["n"].sum().astype(np.float64)
    gaps = near.groupby("gap")["n"].sum()
    whole = gaps.index.to_numpy(np.float64)
    # A delay of exactly as many whole days as are left until the churn exceeds it in half of the cases.
    explained = (_share_of_at_least(others, whole) + _share_of_at_least(others, whole + 1)) / 2
    return Arrivals(
        name,
        rows,
        late / rows if rows else 0.0,
        int(gaps.sum()),
        int(near["n"][near["after"]].sum()),
        float((gaps.to_numpy(np.float64) * explained).sum()),
    )


def _days(start: Any, end: Any) -> Any:
    """Return the whole days from one instant to another, rounded down."""
    return ((end.epoch_seconds() - start.epoch_seconds()) / float(DAY_SECONDS)).floor().cast("int64")


def _share_of_at_least(delays: pd.Series[float], days: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return, for each of ``days``, the share of delays that are at least as long."""
    total = float(delays.sum())
    return np.array([float(delays[delays.index >= d].sum()) / total if total else 0.0 for d in days])
