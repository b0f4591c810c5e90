"""States of accounts: values that describe an account at a date, where a source has no events that show them.

A spreadsheet says how many users an account has today, and not who used the product when. Such a value becomes the
value of the feature with the same meaning from its date on. No event is made up for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

KEYS = ("account_id", "observed_at")


@dataclass(frozen=True)
class AccountStates:
    """The states of the accounts of a source.

    Parameters
    ----------
    rows : ``account_id``, ``observed_at`` (UTC, without a time zone), and one column per feature: a number, a text, or
        an instant, for a feature that is a number of days since then or until then. Null is unknown.
    sole : whether every feature that has no column here is unknown, because the source is one picture of the accounts.
    """

    rows: pa.Table
    sole: bool = True

    @property
    def features(self) -> tuple[str, ...]:
        """The features with a column."""
        return tuple(name for name in self.rows.column_names if name not in KEYS)

    @property
    def dates(self) -> list[datetime]:
        """The instants of the states, in order, in UTC."""
        return sorted(at.replace(tzinfo=UTC) for at in pc.unique(self.rows[KEYS[1]]).to_pylist())
