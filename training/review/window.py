"""A quarter and the snapshots that it evaluates: date arithmetic in UTC.

A snapshot belongs to the quarter in which its outcome became known, that is, in which horizon and grace period ended.
So every snapshot is evaluated in exactly one review, a review can run as soon as the quarter is over, and later data do
not change it.
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
    """The snapshots that a quarter evaluates.

    Parameters
    ----------
    quarter : the quarter.
    horizon_days, grace_days : H and G of the label.
    data_through : the end of the data, UTC; never after the end of the quarter.
    """

    quarter: Quarter
    horizon_days: int
    grace_days: int
    data_through: datetime

    @classmethod
    def of(cls, quarter: Quarter, horizon_days: int, grace_days: int, newest: datetime) -> Window:
        """Build the window of a quarter.

        Parameters
        ----------
        quarter : the quarter.
        horizon_days, grace_days : H and G of the label.
        newest : the end of the signals; data after the quarter are ignored.

        Raises
        ------
        InsufficientData
            The signals end at or before the start of the quarter, so that no snapshot matured in it.
        """
        if newest <= quarter.start:
            short = -(-(quarter.start - newest) // timedelta(days=1))
            raise InsufficientData(
                [
                    f"the signals end on {to_iso(newest)}, {max(short, 1)} days before {to_iso(quarter.start)}, so no "
                    f"outcome became known in {quarter.name}"
                ],
                "load newer signals, or review an earlier quarter",
                f"review {quarter.name}",
                "signals that reach into the quarter",
            )
        return cls(quarter, horizon_days, grace_days, min(newest, quarter.end))

    @property
    def wait(self) -> timedelta:
        """Time until the outcome of a snapshot is known: H + G."""
        return timedelta(days=self.horizon_days + self.grace_days)

    @property
    def after(self) -> datetime:
        """The quarter evaluates snapshots after this instant …"""
        return self.quarter.start - self.wait

    @property
    def cut_off(self) -> datetime:
        """… up to this one: the label cut-off. The outcome of later snapshots is still open."""
        return self.data_through - self.wait

    @property
    def over(self) -> bool:
        """Whether the signals reach the end of the quarter, with a tolerance of two days."""
        return self.quarter.end - self.data_through <= timedelta(days=2)

    def judged(self, as_of: pd.Series[pd.Timestamp]) -> npt.NDArray[np.bool_]:
        """Return a mask of the instants that the quarter evaluates, shape (n,)."""
        mask: npt.NDArray[np.bool_] = ((as_of > self.after) & (as_of <= self.cut_off)).to_numpy()
        return mask

    def before(self, as_of: pd.Series[pd.Timestamp]) -> npt.NDArray[np.bool_]:
        """Return a mask of the instants evaluated in earlier quarters, shape (n,)."""
        mask: npt.NDArray[np.bool_] = (as_of <= self.after).to_numpy()
        return mask
