"""How many accounts each feed describes: all of them, and the active ones of late."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from features.contract.current_contract import current_tables
from features.signals.signals import OpenSignals

RECENT_DAYS = 90
"""An active account counts as recently described by a feed if a row is at most this old."""


@dataclass(frozen=True)
class AccountCoverage:
    """The accounts that a feed describes.

    Parameters
    ----------
    table : the event table.
    accounts : accounts with any row.
    active : active accounts with a row in the last `RECENT_DAYS` days.
    """

    table: str
    accounts: int
    active: int

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        return asdict(self)


def account_coverage(signals: OpenSignals, active: Collection[str]) -> tuple[AccountCoverage, ...]:
    """Count the accounts of each event table.

    Parameters
    ----------
    signals : checked signals.
    active : the ids of the active accounts at the end of the data.
    """
    since = (signals.data_through - timedelta(days=RECENT_DAYS)).replace(tzinfo=None)
    ids, coverage = set(active), []
    for name, table in current_tables().items():
        # Tables such as exchange rates describe no account.
        if not (table.event and signals.has(name) and "account_id" in table.names):
            continue
        rows = signals.tables[name]
        newest = rows.group_by("account_id").aggregate(newest=rows[table.at].max()).to_pyarrow().to_pandas()
        recent = newest.loc[newest["newest"] >= since, "account_id"]
        coverage.append(AccountCoverage(name, len(newest), len(ids.intersection(recent))))
    return tuple(coverage)
