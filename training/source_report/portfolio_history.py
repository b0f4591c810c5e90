"""Active accounts and their ARR, week by week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.signals.signals import OpenSignals
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid, midnight, to_iso

MAX_WEEKS = 260
ARR = "contract.arr"


@dataclass(frozen=True)
class PortfolioWeek:
    """The active accounts at an instant, and the sum of their known ARR."""

    as_of: datetime
    accounts: int
    arr: float

    def as_dict(self) -> dict[str, Any]:
        """Return the week as JSON values."""
        return {"as_of": to_iso(self.as_of), "accounts": self.accounts, "arr": self.arr}


def portfolio_history(signals: OpenSignals) -> tuple[PortfolioWeek, ...]:
    """Return the portfolio's weeks up to the end of the data, oldest first; at most `MAX_WEEKS`.

    Accounts are active, and ARR is known, as in snapshots: from what was known before each date.

    Parameters
    ----------
    signals : checked signals.
    """
    last = midnight(signals.data_through)
    table, at = ("subscriptions", "started_at") if signals.contractual else ("orders", "occurred_at")
    oldest = signals.tables[table][at].min().to_pyarrow().as_py()
    if oldest is None:
        return ()
    first = max(midnight(oldest.replace(tzinfo=last.tzinfo)), last - timedelta(weeks=MAX_WEEKS - 1))
    if first > last:
        return ()
    frame = snapshot(signals, Grid.ending(last, first), catalogue=Catalogue((CATALOGUE[ARR],)))
    weeks = frame.groupby("as_of")[ARR].agg(["size", "sum"])
    return tuple(
        PortfolioWeek(as_of.to_pydatetime(), int(accounts), float(arr)) for as_of, accounts, arr in weeks.itertuples()
    )
