"""Coverage of optional columns: the filled share, the first filled day, and whether values stopped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from features.contract.schema import Column
from features.feed_health.silences import day_of, patience_days
from features.utils.arrays import Ints

# A column first filled this many days after the first row counts as added later.
ADDED_AFTER_DAYS = 28


@dataclass(frozen=True)
class ColumnHealth:
    """One optional column.

    Parameters
    ----------
    name : the column's name.
    given : whether the source has it.
    number : whether it is numeric.
    missing_share : share of rows without a value, 0 to 1 (1 without any row).
    filled_since : the first day with a value, if rows began long before; else None.
    dry_since : the last day with a value (for numbers: above zero), if rows continued for longer than the column's
        rhythm allows; else None. Always None for columns that are filled in later.
    """

    name: str
    given: bool
    number: bool = False
    missing_share: float = 1.0
    filled_since: date | None = None
    dry_since: date | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain JSON values, with days in ISO 8601."""
        days = {k: day.isoformat() if (day := getattr(self, k)) else None for k in ("filled_since", "dry_since")}
        return {"given": self.given, "missing_share": self.missing_share} | days

    @property
    def trouble(self) -> str:
        """A message if values stopped; else empty."""
        if self.dry_since is None:
            return ""
        return (
            f"{'no value above zero' if self.number else 'not filled'} since {self.dry_since}, although rows continued"
        )

    @property
    def note(self) -> str:
        """A message if it was not filled from the first row; else empty."""
        return f"filled only since {self.filled_since}" if self.filled_since else ""


def column_health(column: Column, per_day: pd.DataFrame, given: bool) -> ColumnHealth:
    """Assess one optional column.

    Parameters
    ----------
    column : the column.
    per_day : a row per day with ``day`` (days since 1970, ascending), ``rows``, ``filled_*`` and, if it is a number,
        ``values_*``, as returned by `features.feed_health.table_profile.per_day`.
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
    return ColumnHealth(column.name, True, number, missing, since, _dry_since(column, days, live))


def _dry_since(column: Column, days: Ints, live: Ints) -> date | None:
    """Return the last day with a value, if later rows have lacked values for too long."""
    if column.known_from is not None or not len(live):
        return None
    return day_of(live[-1]) if days[-1] - live[-1] > patience_days(live) else None
