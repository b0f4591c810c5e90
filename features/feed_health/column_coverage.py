"""The health of an optional column: how much of it is filled, since when, and whether it ran dry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from features.contract.schema import Column
from features.feed_health.silences import Days, day_of, patience_days

# A column that is first filled so many days after the first row was added to the feed later.
ADDED_AFTER_DAYS = 28


@dataclass(frozen=True)
class ColumnHealth:
    """One optional column.

    Parameters
    ----------
    name : its name.
    given : whether the source has it.
    number : whether it holds numbers.
    missing_share : rows without it, 0 to 1 (1 without any row).
    filled_since : the first day with a value, where rows came long before; else None.
    dry_since : the last day with a value (of a number: above zero), where rows kept coming for longer than the column's
        rhythm allows; else None. Never said of columns that are filled in later.
    """

    name: str
    given: bool
    number: bool = False
    missing_share: float = 1.0
    filled_since: date | None = None
    dry_since: date | None = None

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain JSON values; days as ISO 8601."""
        days = {k: day.isoformat() if (day := getattr(self, k)) else None for k in ("filled_since", "dry_since")}
        return {"given": self.given, "missing_share": self.missing_share} | days

    @property
    def trouble(self) -> str:
        """That it ran dry; empty if it did not."""
        if self.dry_since is None:
            return ""
        return (
            f"{'no value above zero' if self.number else 'not filled'} since {self.dry_since}, though rows kept coming"
        )

    @property
    def note(self) -> str:
        """Since when it is filled, where not from the first row; empty otherwise."""
        return f"filled only since {self.filled_since}" if self.filled_since else ""


def column_health(column: Column, per_day: pd.DataFrame, given: bool) -> ColumnHealth:
    """Judge one optional column.

    Parameters
    ----------
    column : the column.
    per_day : a row per day with ``day`` (days since 1970, ascending), ``rows``, ``filled_*`` and, if it is a number,
        ``values_*``, as `features.feed_health.table_profile.per_day` has them.
    given : whether the source has the column.
    """
    filled, number = f"filled_{column.name}", column.kind in ("float", "int")
    if not given or not per_day["rows"].sum() or not per_day[filled].sum():
        return ColumnHealth(column.name, given, number)
    days = per_day["day"].to_numpy(dtype=np.int64)
    with_any = days[per_day[filled].to_numpy() > 0]
    since = day_of(with_any[0]) if with_any[0] - days[0] >= ADDED_AFTER_DAYS else None
    live = days[per_day[f"values_{column.name}"].to_numpy() > 0] if number else with_any
    missing = float(1 - per_day[filled].sum() / per_day["rows"].sum())
    return ColumnHealth(column.name, True, number, missing, since, _dry(column, days, live))


def _dry(column: Column, days: Days, live: Days) -> date | None:
    """The last day with a value, if the rows since then have gone without for too long."""
    if column.known_from is not None or not len(live):
        return None
    return day_of(live[-1]) if days[-1] - live[-1] > patience_days(live) else None
