"""How rows arrive: late ones are no leak where ``loaded_at`` says so, but rows that are dated before a churn and come
after it are worth knowing of."""

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

from features.contract.schema import EVENT_TABLES
from features.signals.signals import Signals
from features.sources.engine import create_table, newest_versions
from features.utils.dates import DAY_SECONDS
from training.leakage.report import LeakFinding

LATE_DAYS = 7
"""Rows that were known so many days after they happened, or more, count as late."""
MINIMUM_ROWS = 20
"""Fewer rows that come after a churn are no pattern."""
CHURNED = "leakcheck_churned"
EXCESS_FACTOR = 3.0
"""So many times as many rows as the feed's usual delays explain."""


@dataclass(frozen=True)
class Arrivals:
    """How the rows of one event table arrive.

    Parameters
    ----------
    table : its name.
    rows : how many there are.
    late_share : of them, those known `LATE_DAYS` or more after they happened.
    before : rows dated in the horizon before their account's churn.
    after : of those, the ones that were loaded at or after it.
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
        """Whether more rows than usual arrive only once the account has churned."""
        return self.after >= MINIMUM_ROWS and self.after > EXCESS_FACTOR * self.expected

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self) | {"backdated": self.backdated}

    def finding(self, horizon_days: int) -> LeakFinding:
        """What is said of it if it is `backdated`."""
        words = (
            f"{self.table}: {self.after:,} rows are dated in the {horizon_days} days before their account's churn and "
            f"were loaded after it, where its usual delays explain {self.expected:,.0f}; no snapshot uses them before "
            "they arrived, but a source without loaded_at would leak them"
        )
        return LeakFinding("arrival", self.table, words, "note", "churn")


def arrivals(
    signals: Signals, horizon_days: int, grace_days: int, accounts: Collection[str] | None = None
) -> list[Arrivals]:
    """How the rows of each event table arrive, one scan each; a table without ``loaded_at`` seems to have no delays.

    Parameters
    ----------
    signals : with subscriptions, whose last end is the churn.
    horizon_days, grace_days : H and G, in days.
    accounts : of tables too large to be copied, the rows of these alone are looked at; None for all.
    """
    create_table(signals.connection, CHURNED, pa.Table.from_pandas(_churned(signals, grace_days), preserve_index=False))
    found = []
    for name in EVENT_TABLES:
        if signals.has(name):
            table = newest_versions(signals.tables[name])
            if name in signals.feeds and accounts is not None:
                table = table.filter(table.account_id.isin(list(accounts)))
            found.append(_of(name, _counted(table, signals.connection.table(CHURNED), horizon_days)))
    return found


def _churned(signals: Signals, grace_days: int) -> pd.DataFrame:
    """The accounts whose last contract ended and whose grace is over: account_id, churned_at."""
    rows = signals.tables["subscriptions"].select("account_id", "ended_at").to_pyarrow().to_pandas()
    over = rows.groupby("account_id")["ended_at"].agg(["max", "count", "size"])
    limit = pd.Timestamp(signals.data_through).tz_localize(None) - timedelta(days=grace_days)
    over = over[(over["count"] == over["size"]) & (over["max"] < limit)]
    return pd.DataFrame({"account_id": over.index.astype(str), "churned_at": over["max"].to_numpy("datetime64[us]")})


def _counted(table: ibis.Table, churned: ibis.Table, horizon_days: int) -> pd.DataFrame:
    """How many rows there are (``n``) by whole days of delay, and, of those dated within the horizon before a churn, by
    whole days left until it (``gap``, else null) and whether they came ``after`` it. Longer delays count as the
    horizon and a day."""
    ends = churned.rename(of="account_id")
    rows = table.left_join(ends, table.account_id == ends.of)
    gap = _days(rows.occurred_at, rows.churned_at)
    left = rows.churned_at.epoch_seconds() - rows.occurred_at.epoch_seconds()
    near = (rows.occurred_at < rows.churned_at) & (left <= horizon_days * DAY_SECONDS)
    rows = rows.select(
        delay=ibis.least(_days(rows.occurred_at, rows.known_at), horizon_days + 1),
        gap=ibis.ifelse(near, gap, None),
        after=(near & (rows.known_at >= rows.churned_at)).fill_null(False),
    )
    counts = rows.group_by(["delay", "gap", "after"]).aggregate(n=lambda t: t.count())
    return pd.DataFrame(counts.to_pyarrow().to_pandas())


def _of(name: str, counts: pd.DataFrame) -> Arrivals:
    rows, late = int(counts["n"].sum()), int(counts["n"][counts["delay"] >= LATE_DAYS].sum())
    near = counts[counts["gap"].notna()]
    others = counts[counts["gap"].isna()].groupby("delay")["n"].sum().astype(np.float64)
    gaps = near.groupby("gap")["n"].sum()
    whole = gaps.index.to_numpy(np.float64)
    # A delay of as many whole days as are left until the churn is longer than that in every other case.
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
    """Whole days from one instant to another, rounded down."""
    return ((end.epoch_seconds() - start.epoch_seconds()) / float(DAY_SECONDS)).floor().cast("int64")


def _share_of_at_least(delays: pd.Series[float], days: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of all delays, the share of those as long as each of ``days``."""
    total = float(delays.sum())
    return np.array([float(delays[delays.index >= d].sum()) / total if total else 0.0 for d in days])
