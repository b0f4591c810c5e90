"""A quarter and the snapshots that it judges: pure arithmetic of dates, in UTC.

A snapshot belongs to the quarter in which its outcome became known: horizon and grace were over after the quarter's
start and not after its end. So every snapshot is judged in one review and in no other, the review can be held as soon
as the quarter is over, and nothing that comes to be known later changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import InsufficientData
from features.utils.dates import to_iso
from features.utils.periods import Quarter


@dataclass(frozen=True)
class Window:
    """Which snapshots a quarter judges.

    Parameters
    ----------
    quarter : the quarter.
    horizon_days, grace_days : H and G of the label.
    data_through : the end of what is read, UTC; never after the quarter's end.
    """

    quarter: Quarter
    horizon_days: int
    grace_days: int
    data_through: datetime

    @classmethod
    def of(cls, quarter: Quarter, horizon_days: int, grace_days: int, newest: datetime) -> Window:
        """The window of a quarter, for signals that are complete up to ``newest``: what comes after the quarter is not
        looked at.

        Raises
        ------
        InsufficientData
            Nothing has matured in the quarter yet: the signals end at or before its start.
        """
        if newest <= quarter.start:
            short = -(-(quarter.start - newest) // timedelta(days=1))
            raise InsufficientData(
                [
                    f"the signals end on {to_iso(newest)}, {max(short, 1)} days short of {to_iso(quarter.start)}, so "
                    f"that no outcome has become known in {quarter.name}"
                ],
                "load newer signals, or review an earlier quarter",
                f"review {quarter.name}",
                "signals that reach into the quarter",
            )
        return cls(quarter, horizon_days, grace_days, min(newest, quarter.end))

    @property
    def wait(self) -> timedelta:
        """How long after a snapshot its outcome is known: H + G."""
        return timedelta(days=self.horizon_days + self.grace_days)

    @property
    def after(self) -> datetime:
        """Snapshots later than this are judged in the quarter …"""
        return self.quarter.start - self.wait

    @property
    def cut_off(self) -> datetime:
        """… up to this one: the label cut-off. What became of later snapshots is not known yet."""
        return self.data_through - self.wait

    @property
    def over(self) -> bool:
        """Whether the signals reach the quarter's end, up to a day."""
        return self.quarter.end - self.data_through <= timedelta(days=2)

    def judged(self, as_of: pd.Series[pd.Timestamp]) -> npt.NDArray[np.bool_]:
        """Which instants the quarter judges, shape (n,)."""
        found: npt.NDArray[np.bool_] = ((as_of > self.after) & (as_of <= self.cut_off)).to_numpy()
        return found

    def before(self, as_of: pd.Series[pd.Timestamp]) -> npt.NDArray[np.bool_]:
        """Which were judged in earlier quarters, shape (n,)."""
        found: npt.NDArray[np.bool_] = (as_of <= self.after).to_numpy()
        return found
