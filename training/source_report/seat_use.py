"""Accounts with many more users than seats: their ids of users, or their seats, may be something else."""

from __future__ import annotations

import pandas as pd

from features.signals.validation import Finding
from features.utils.formatting import count_of

SEATS_USED = "usage.seats_used_share"
MOST_USERS_PER_SEAT = 2.0
"""More users than seats are a reason to sell seats. More than this many are rarely people with a seat each."""


def seat_findings(frame: pd.DataFrame) -> tuple[Finding, ...]:
    """Return a finding if accounts have many more users than seats.

    Parameters
    ----------
    frame : rows of the active accounts of one date, with the features.
    """
    share = frame[SEATS_USED].dropna() if SEATS_USED in frame else pd.Series(dtype=float)
    many = share[share > MOST_USERS_PER_SEAT]
    if many.empty:
        return ()
    what = (
        f"{len(many):,} of {count_of(len(share), 'account')} with seats had more than twice as many users in the last "
        f"28 days as seats, up to {many.max():.0f} times"
    )
    cure = "check that user_id is a person who needs a seat, and that seats is the number of all contracts"
    return (Finding("usage", "user_id", 0, what, cure),)
