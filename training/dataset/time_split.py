"""The split of a history: train, then calibrate, then test, in the order of time and with nothing shared between them.

A label looks at ``[as_of, as_of + H + G)``. Two slices are apart (purged) when every label window of the earlier one
has ended by the first ``as_of`` of the later one (Lopez de Prado 2018, chapter 7;
docs/explanation/method.md, "Time split").
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

# Shares of the days that are left after the two gaps. Training gets most: it needs the most outcomes.
CALIBRATION_SHARE = 0.15
TEST_SHARE = 0.15
# A longer history goes to training alone once the later slices span a quarter of a year.
LONGEST_SLICE = timedelta(days=91)
# Days from the first to the last as_of of a slice. Eight weeks of snapshots are little, but their labels span five
# months at H + G = 120; four weeks let a calibrator or a test see more than one month's renewals.
MINIMUM_TRAIN_DAYS = 56
MINIMUM_CALIBRATION_DAYS = 28
MINIMUM_TEST_DAYS = 28


@dataclass(frozen=True)
class TimeSplit:
    """Which as_of belongs to which slice: ascending, UTC. Gaps between slices belong to none.

    Parameters
    ----------
    train, calibration, test : the instants of each slice. Only `test` may be empty (the final arrangement).
    labelled : every instant whose label window had ended by the end of the data, those in the gaps too.
    gap_days : H + G, the length of a label window.

    Raises
    ------
    ValueError
        A label window reaches into a later slice, or a slice is out of order: a fault of the caller, for `split_dates`
        never makes such a one.
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
        """The arrangement for the model that ships, once this one has been judged.

        Training takes every date whose label window ends before the first test date, the calibration's and the gap's
        too; the test slice becomes the calibration; nothing is left to test on.
        """
        gap = timedelta(days=self.gap_days)
        train = tuple(t for t in self.labelled if t + gap <= self.test[0])
        return TimeSplit(train, self.test, (), self.labelled, self.gap_days)

    def slices(self) -> dict[str, tuple[datetime, ...]]:
        """The slices by name, in the order of time."""
        return {"train": self.train, "calibration": self.calibration, "test": self.test}

    def mask(self, name: str, as_of: pd.Series[pd.Timestamp]) -> npt.NDArray[np.bool_]:
        """Which rows, by their as_of (datetime, UTC), lie in the slice "train", "calibration" or "test"."""
        return as_of.isin(pd.DatetimeIndex(self.slices()[name])).to_numpy(dtype=bool)


def split_dates(as_ofs: Iterable[datetime], horizon_days: int, grace_days: int, data_through: datetime) -> TimeSplit:
    """Divide the dates of a grid by time, with gaps of H + G.

    The latest labelled dates are for the test, the ones before the gap for the calibration, the rest for training:
    15%, 15% and 70% of the days that the gaps leave, and more for the two smaller ones where their share is less than
    their minimum.

    Parameters
    ----------
    as_ofs : the grid's instants, UTC, in any order.
    horizon_days, grace_days : H and G.
    data_through : the instant up to which the source is complete.

    Raises
    ------
    BadRequest
        H is not positive, or G negative.
    InsufficientData
        The history is too short: how many days are missing. The gaps are never shortened.
    """
    if horizon_days < 1 or grace_days < 0:
        raise BadRequest(f"a horizon of {horizon_days} and a grace of {grace_days} days", "at least 1 and at least 0")
    gap, everything = timedelta(days=horizon_days + grace_days), sorted(set(as_ofs))
    labelled = [t for t in everything if t + gap <= data_through]
    needed = _days_needed(everything, gap.days)
    if labelled and len(labelled) == len(everything):
        there = labelled[-1] - labelled[0]
    else:
        there = data_through - gap - (everything[0] if everything else data_through)
    if (lacking := math.ceil(needed - there / timedelta(days=1))) > 0:
        slices = f"training, calibration and test, each followed by the {gap.days} days of its label windows"
        raise InsufficientData(
            [f"{lacking} more days of history ({slices}, take {needed + gap.days} days of snapshots)"],
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
    """Hold at run time that no label window of training, by its end, reaches beyond the first date of a later slice.

    Raises
    ------
    ValueError : one does.
    """
    if len(ends) and ends.max() > first:
        raise ValueError(f"label windows of training up to {ends.max()} reach into the slice from {first} on")


def row_weight(every_days: float, horizon_days: int) -> float:
    """The weight of one snapshot row, 0 to 1: the share of its label window that it does not share with the next one.

    Rows of one account that are a week apart see nearly the same 90 days; together they count as one.
    """
    return min(1.0, every_days / horizon_days)


def step_days(as_ofs: Sequence[datetime]) -> float:
    """The days from one date to the next (their median); for a single date the weight's neutral: infinity."""
    ordered = sorted(set(as_ofs))
    steps = [(b - a) / timedelta(days=1) for a, b in pairwise(ordered)]
    return float(np.median(steps)) if steps else float("inf")


_Dates = tuple[datetime, ...]


def _divide(
    labelled: Sequence[datetime], gap: timedelta, calibration: timedelta, test: timedelta
) -> tuple[_Dates, ...]:
    """Train, calibration and test dates, where the latter two span the given times or their minimum."""
    last = _latest(labelled, max(test, timedelta(days=MINIMUM_TEST_DAYS)))
    before = [t for t in labelled if t + gap <= last[0]]
    middle = _latest(before, max(calibration, timedelta(days=MINIMUM_CALIBRATION_DAYS)))
    return tuple(t for t in before if t + gap <= middle[0]), middle, last


def _latest(as_ofs: Sequence[datetime], span: timedelta) -> _Dates:
    """The newest dates, as many as it takes to span the time."""
    first = max((t for t in as_ofs if as_ofs[-1] - t >= span), default=as_ofs[0])
    return tuple(t for t in as_ofs if t >= first)


def _days_needed(as_ofs: Sequence[datetime], gap_days: int) -> int:
    """Days from the first to the last labelled date that the three minimal slices and the gaps between them take.

    Slices begin and end on the grid, so each part is rounded up to whole steps.
    """
    step = step_days(as_ofs)
    step = step if math.isfinite(step) else MINIMUM_TRAIN_DAYS
    parts = (MINIMUM_TRAIN_DAYS, gap_days, MINIMUM_CALIBRATION_DAYS, gap_days, MINIMUM_TEST_DAYS)
    return math.ceil(sum(math.ceil(days / step) * step for days in parts))
