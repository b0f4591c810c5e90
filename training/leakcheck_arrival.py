"""How rows arrive: late ones are no leak where ``loaded_at`` says so, but rows that are dated before a churn and come
after it are worth knowing of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import ibis
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.clock import DAY_SECONDS
from features.contract import EVENT_TABLES
from features.engine import lay
from features.signals import Signals
from training.leakcheck_report import Finding

LATE_DAYS = 7
"""Rows that were known more than so many days after they happened count as late."""
LEAST_ROWS = 20
"""Fewer rows that come after a churn are no pattern."""
CHURNED = "leakcheck_churned"
OUT_OF_PROPORTION = 3.0
"""So many times as many rows as the feed's usual delays explain."""


@dataclass(frozen=True)
class Arrivals:
    """How the rows of one event table arrive.

    Parameters
    ----------
    table : its name.
    rows : how many there are.
    late_share : of them, those known more than `LATE_DAYS` after they happened.
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
        return self.after >= LEAST_ROWS and self.after > OUT_OF_PROPORTION * self.expected

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self) | {"backdated": self.backdated}

    def finding(self, horizon_days: int) -> Finding:
        """What is said of it if it is `backdated`."""
        words = (
            f"{self.table}: {self.after:,} rows are dated in the {horizon_days} days before their account's churn and "
            f"were loaded after it, where its usual delays explain {self.expected:,.0f}; no snapshot uses them before "
            "they arrived, but a source without loaded_at would leak them"
        )
        return Finding("arrival", self.table, words, "note", "churn")


def arrivals(signals: Signals, horizon_days: int, grace_days: int) -> list[Arrivals]:
    """How the rows of each event table arrive; a table without ``loaded_at`` seems to have no delays.

    Parameters
    ----------
    signals : with subscriptions, whose last end is the churn.
    horizon_days, grace_days : H and G, in days.
    """
    lay(signals.connection, CHURNED, pa.Table.from_pandas(_churned(signals, grace_days), preserve_index=False))
    churned = signals.connection.table(CHURNED)
    return [_of(signals, name, churned, horizon_days) for name in EVENT_TABLES if signals.has(name)]


def _churned(signals: Signals, grace_days: int) -> pd.DataFrame:
    """The accounts whose last contract ended and whose grace is over: account_id, churned_at."""
    rows = signals.tables["subscriptions"].select("account_id", "ended_at").to_pyarrow().to_pandas()
    over = rows.groupby("account_id")["ended_at"].agg(["max", "count", "size"])
    limit = pd.Timestamp(signals.data_through).tz_localize(None) - timedelta(days=grace_days)
    over = over[(over["count"] == over["size"]) & (over["max"] < limit)]
    return pd.DataFrame({"account_id": over.index.astype(str), "churned_at": over["max"].to_numpy("datetime64[us]")})


def _of(signals: Signals, name: str, churned: ibis.Table, horizon_days: int) -> Arrivals:
    table = signals.tables[name]
    delays = _by_days(table.mutate(days=_days(table.occurred_at, table.known_at)))
    rows, late = int(delays["n"].sum()), float(delays["n"][delays["days"] >= LATE_DAYS].sum())
    if late == 0:
        return Arrivals(name, rows, 0.0, 0, 0, 0.0)
    ends = table.inner_join(churned, "account_id")
    ends = ends.filter(
        (ends.occurred_at < ends.churned_at) & (ends.occurred_at >= ends.churned_at - ibis.interval(days=horizon_days))
    )
    came_after = (ends.known_at >= ends.churned_at).cast("int64").sum()
    gaps = _by_days(ends.mutate(days=_days(ends.occurred_at, ends.churned_at)), after=came_after)
    own = _by_days(ends.mutate(days=_days(ends.occurred_at, ends.known_at)))
    others = delays.set_index("days")["n"].sub(own.set_index("days")["n"], fill_value=0)
    whole = gaps["days"].to_numpy(np.int64)
    # A delay of as many whole days as are left until the churn is longer than that in every other case.
    explained = (_share_of_at_least(others, whole) + _share_of_at_least(others, whole + 1)) / 2
    before, after = int(gaps["n"].sum()), int(gaps["after"].sum())
    return Arrivals(name, rows, late / rows, before, after, float((gaps["n"] * explained).sum()))


def _days(start: Any, end: Any) -> Any:
    """Whole days from one instant to another, rounded down."""
    return ((end.epoch_seconds() - start.epoch_seconds()) / float(DAY_SECONDS)).floor().cast("int64")


def _by_days(table: ibis.Table, **more: Any) -> pd.DataFrame:
    grouped = table.group_by("days").aggregate(n=table.count(), **more)
    return pd.DataFrame(grouped.to_pyarrow().to_pandas())


def _share_of_at_least(delays: pd.Series[float], days: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Of all delays, the share of those as long as each of ``days``."""
    total = float(delays.sum())
    return np.array([float(delays[delays.index >= d].sum()) / total if total else 0.0 for d in days])
