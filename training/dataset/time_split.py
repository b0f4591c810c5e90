"""Time split of a history into training, calibration and test, in this order and without overlap.

The window of a label is ``[as_of, as_of + H + G)``. Two slices are purged if every label window of the earlier one has
ended by the first ``as_of`` of the later one (Lopez de Prado 2018, chapter 7; docs/explanation/method.md, "Time
split").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import BadRequest, InsufficientData

# Shares of the days without the two gaps. Training gets the most: it needs the most outcomes.
CALIBRATION_SHARE = 0.15
TEST_SHARE = 0.15
# Once the later slices span a quarter of a year, more history goes to training only.
LONGEST_SLICE = timedelta(days=91)
# Days from the first to the last as_of of a slice. Eight weeks of snapshots are few, but their labels span five months
# at H + G = 120. Four weeks give a calibrator or a test the renewals of more than one month.
MINIMUM_TRAIN_DAYS = 56
MINIMUM_CALIBRATION_DAYS = 28
MINIMUM_TEST_DAYS = 28


@dataclass(frozen=True)
class TimeSplit:
    """The dates of each slice, ascending, in UTC. Dates in the gaps between slices belong to none.

    Parameters
    ----------
    train, calibration, test : dates of each slice. Only `test` may be empty (see `final`).
    labelled : all dates whose label window had ended by the end of the data, including those in the gaps.
    gap_days : H + G, the length of a label window.

    Raises
    ------
    ValueError
        If a label window reaches into a later slice, or a slice is out of order. `split_dates` never returns such a
        split.
    """

    train: tuple[datetime, ...]
    calibration: tuple[datetime, ...]
    test: tuple[datetime, ...]
    labelled: tuple[datetime, ...]
    gap_days: int

    def __post_init__(self) -> None:
        gap = timedelta(days=self.gap_days)
        slices = [part for part in (self.train, self.calibration, self.test) if part]
        if not self.train or not self.calibration:
            raise ValueError("a split without training or calibration dates")
        if any(list(part) != sorted(set(part)) for part in slices):
            raise ValueError("a slice whose dates do not ascend")
        for earlier, later in pairwise(slices):
            if earlier[-1] + gap > later[0]:
                raise ValueError(f"label windows up to {earlier[-1] + gap} reach into the slice from {later[0]} on")

    def final(self) -> TimeSplit:
        """Return the split for the model that ships, after the evaluation on this one.

        Training uses every date whose label window ends before the first test date, including dates of the calibration
        slice and the gap. The test slice becomes the calibration slice, and the test slice is empty.
        """
        gap = timedelta(days=self.gap_days)
        train = tuple(t for t in self.labelled if t + gap <= self.test[0])
        return TimeSplit(train, self.test, (), self.labelled, self.gap_days)

    def slices(self) -> dict[str, tuple[datetime, ...]]:
        """Return the slices by name, in chronological order."""
        return {"train": self.train, "calibration": self.calibration, "test": self.test}

    def mask(self, name: str, as_of: pd.Series[pd.Timestamp]) -> npt.NDArray[np.bool_]:
        """Return which rows belong to a slice.

        Parameters
        ----------
        name : "train", "calibration" or "test".
        as_of : the date of each row, UTC.

        Returns
        -------
        array of bool, shape (n,)
        """
        return as_of.isin(pd.DatetimeIndex(self.slices()[name])).to_numpy(dtype=bool)


def split_dates(as_ofs: Iterable[datetime], horizon_days: int, grace_days: int, data_through: datetime) -> TimeSplit:
    """Split the dates of a grid by time, with gaps of H + G.

    The latest labelled dates are the test slice, those before the gap the calibration slice, and the rest is for
    training: 15%, 15% and 70% of the days without the gaps, and more for the two smaller slices if their share is below
    their minimum.

    Parameters
    ----------
    as_ofs : instants of the grid, UTC, in any order.
    horizon_days, grace_days : H and G.
    data_through : the instant up to which the source is complete.

    Returns
    -------
    TimeSplit

    Raises
    ------
    BadRequest
        If H is not positive, or G is negative.
    InsufficientData
        If the history is too short; the error gives the number of missing days. The gaps are never shortened.
    """
    if horizon_days < 1 or grace_days < 0:
        raise BadRequest(
            f"a horizon of {horizon_days} days and a grace period of {grace_days} days",
            "at least 1 day and at least 0 days",
        )
    gap, everything = timedelta(days=horizon_days + grace_days), sorted(set(as_ofs))
    labelled = [t for t in everything if t + gap <= data_through]
    needed = _days_needed(everything, gap.days)
    if labelled and len(labelled) == len(everything):
        available = labelled[-1] - labelled[0]
    else:
        available = data_through - gap - (everything[0] if everything else data_through)
    if (missing_days := math.ceil(needed - available / timedelta(days=1))) > 0:
        slices = f"training, calibration and test, each followed by the {gap.days} days of its label windows"
        raise InsufficientData(
            [f"{missing_days} more days of history ({slices}, take {needed + gap.days} days of snapshots)"],
            "wait for more history, or load older data",
        )
    usable = labelled[-1] - labelled[0] - 2 * gap
    parts = _divide(
        labelled, gap, min(CALIBRATION_SHARE * usable, LONGEST_SLICE), min(TEST_SHARE * usable, LONGEST_SLICE)
    )
    if not parts[0] or parts[0][-1] - parts[0][0] < timedelta(days=MINIMUM_TRAIN_DAYS):
        parts = _divide(labelled, gap, timedelta(0), timedelta(0))
    train, calibration, test = parts
    return TimeSplit(train, calibration, test, tuple(labelled), gap.days)


def require_purged(ends: pd.Series[pd.Timestamp], first: datetime) -> None:
    """Assert that no training label window ends after the first date of a later slice.

    Parameters
    ----------
    ends : ends of the training label windows.
    first : first date of the later slice.

    Raises
    ------
    ValueError
        If one does.
    """
    if len(ends) and ends.max() > first:
        raise ValueError(f"label windows of training up to {ends.max()} reach into the slice from {first} on")


def row_weight(every_days: float, horizon_days: int) -> float:
    """Return the weight of a snapshot row: the share of its label window that does not overlap the next one.

    Rows of one account that are a week apart cover nearly the same 90 days; together they count as one.

    Parameters
    ----------
    every_days : days between snapshots.
    horizon_days : the length of the label window.

    Returns
    -------
    float
        From 0 to 1.
    """
    return min(1.0, every_days / horizon_days)


def step_days(as_ofs: Sequence[datetime]) -> float:
    """Return the median number of days between consecutive dates; infinity for a single date, which gives weight 1."""
    ordered = sorted(set(as_ofs))
    steps = [(b - a) / timedelta(days=1) for a, b in pairwise(ordered)]
    return float(np.median(steps)) if steps else float("inf")


_Dates = tuple[datetime, ...]


def _divide(
    labelled: Sequence[datetime], gap: timedelta, calibration: timedelta, test: timedelta
) -> tuple[_Dates, ...]:
    """Return train, calibration and test dates; the latter two span the given times or their minimum."""
    last = _latest(labelled, max(test, timedelta(days=MINIMUM_TEST_DAYS)))
    before = [t for t in labelled if t + gap <= last[0]]
    middle = _latest(before, max(calibration, timedelta(days=MINIMUM_CALIBRATION_DAYS)))
    return tuple(t for t in before if t + gap <= middle[0]), middle, last


def _latest(as_ofs: Sequence[datetime], span: timedelta) -> _Dates:
    """Return the newest dates that span the given time."""
    first = max((t for t in as_ofs if as_ofs[-1] - t >= span), default=as_ofs[0])
    return tuple(t for t in as_ofs if t >= first)


def _days_needed(as_ofs: Sequence[datetime], gap_days: int) -> int:
    """Return the days that the three minimal slices and the gaps between them need.

    Slices start and end on the grid, so each part is rounded up to whole steps.
    """
    step = step_days(as_ofs)
    step = step if math.isfinite(step) else MINIMUM_TRAIN_DAYS
    parts = (MINIMUM_TRAIN_DAYS, gap_days, MINIMUM_CALIBRATION_DAYS, gap_days, MINIMUM_TEST_DAYS)
    return math.ceil(sum(math.ceil(days / step) * step for days in parts))
