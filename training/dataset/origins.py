"""Rolling origins: past dates from which a model is judged, each with only the labels that were known then.

The window of a label is ``[as_of, as_of + H + G)``. At an origin, a model is fitted on every label whose window has
ended, and predicts the snapshots from the origin up to the next one (Tashman 2000, rolling-origin evaluation). So no
history is set aside: the model that ships is fitted on every label known at the end of the data, by the same recipe.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from features.errors import BadRequest, InsufficientData
from features.utils.arrays import Bools

MOST_ORIGINS = 5
# A model is usually trained again every quarter.
LONGEST_STEP = timedelta(days=91)
SHORTEST_STEP = timedelta(days=28)
# Days from the first to the last training date at the first origin. Eight weeks of snapshots are few, but their labels
# span five months at H + G = 120.
MINIMUM_TRAIN_DAYS = 56
# Days from the first to the last predicted date: with fewer, all outcomes would be those of one month.
MINIMUM_TEST_DAYS = 28


@dataclass(frozen=True)
class Origins:
    """The origins of a backtest, and the dates with a known outcome; all in UTC and ascending.

    Parameters
    ----------
    dates : the origins.
    labelled : all dates whose label window had ended by the end of the data.
    gap_days : H + G, the length of a label window.

    Raises
    ------
    ValueError
        If an origin has no training dates or no dates to predict. `choose_origins` never returns such origins.
    """

    dates: tuple[datetime, ...]
    labelled: tuple[datetime, ...]
    gap_days: int

    def __post_init__(self) -> None:
        if not self.dates or list(self.dates) != sorted(set(self.dates)):
            raise ValueError("origins must ascend, and there must be at least one")
        if not self.train(self.dates[0]) or not all(self.predicted(origin) for origin in self.dates):
            raise ValueError("an origin without training dates or without dates to predict")

    @property
    def first(self) -> datetime:
        """The first origin. Label windows that ended by then are used by no prediction of the backtest."""
        return self.dates[0]

    def train(self, origin: datetime) -> tuple[datetime, ...]:
        """Return the training dates of an origin.

        Parameters
        ----------
        origin : one of ``dates``.

        Returns
        -------
        tuple of datetime
            The dates whose label windows had ended by the origin, ascending.
        """
        gap = timedelta(days=self.gap_days)
        return tuple(t for t in self.labelled if t + gap <= origin)

    def predicted(self, origin: datetime | None = None) -> tuple[datetime, ...]:
        """Return the dates predicted from an origin.

        Parameters
        ----------
        origin : one of ``dates``; None for all of them.

        Returns
        -------
        tuple of datetime
            The dates with a known outcome from the origin up to the next one, ascending.
        """
        if origin is None:
            return tuple(t for t in self.labelled if t >= self.first)
        later = [other for other in self.dates if other > origin]
        return tuple(t for t in self.labelled if t >= origin and not (later and t >= later[0]))

    def predicted_mask(self, as_of: pd.Series[pd.Timestamp]) -> Bools:
        """Return which rows the backtest predicts.

        Parameters
        ----------
        as_of : date of each row (UTC), shape (n,).

        Returns
        -------
        array of bool, shape (n,)
        """
        return as_of.isin(pd.DatetimeIndex(self.predicted())).to_numpy(dtype=bool)


def choose_origins(
    as_ofs: Iterable[datetime],
    horizon_days: int,
    grace_days: int,
    data_through: datetime,
    earliest: datetime | None = None,
) -> Origins:
    """Choose up to MOST_ORIGINS origins, evenly spaced over the newest dates with a known outcome.

    Parameters
    ----------
    as_ofs : instants of the grid, UTC, in any order.
    horizon_days, grace_days : H and G.
    data_through : the instant up to which the source is complete.
    earliest : no origin is earlier, for example because there are too few outcomes before.

    Returns
    -------
    Origins

    Raises
    ------
    BadRequest
        If H is not positive, or G is negative.
    InsufficientData
        If the history is too short; the error gives the number of missing days. Label windows are never shortened.
    """
    if horizon_days < 1 or grace_days < 0:
        raise BadRequest(
            f"a horizon of {horizon_days} days and a grace period of {grace_days} days",
            "at least 1 day and at least 0 days",
        )
    gap, everything = timedelta(days=horizon_days + grace_days), sorted(set(as_ofs))
    labelled = [t for t in everything if t + gap <= data_through]
    first = _first_origin(labelled, gap, earliest)
    if first is None or labelled[-1] - first < timedelta(days=MINIMUM_TEST_DAYS):
        needed = _days_needed(everything, gap.days)
        start = everything[0] if everything else data_through
        available = (labelled[-1] - start) if labelled else data_through - gap - start
        missing_days = max(1, math.ceil(needed - available / timedelta(days=1)))
        slices = f"snapshots to learn from and to predict, each followed by the {gap.days} days of its label windows"
        raise InsufficientData(
            [f"{missing_days} more days of history ({slices}, take {needed + gap.days} days)"],
            "wait for more history, or load older data",
        )
    span = labelled[-1] - first
    count = max(1, min(MOST_ORIGINS, span // SHORTEST_STEP))
    step = min(span / count, LONGEST_STEP)
    starts = [labelled[-1] - step * (count - i) for i in range(count)]
    usable = [t for t in labelled if t >= first]
    dates = sorted({min(t for t in usable if t >= start) for start in starts})
    return Origins(tuple(dates), tuple(labelled), gap.days)


def require_purged(ends: pd.Series[pd.Timestamp], first: datetime) -> None:
    """Assert that no training label window ends after the first predicted date.

    Parameters
    ----------
    ends : ends of the training label windows.
    first : the first predicted date.

    Raises
    ------
    ValueError
        If one does.
    """
    if len(ends) and ends.max() > first:
        raise ValueError(f"label windows of training up to {ends.max()} reach into the predictions from {first} on")


def row_weight(every_days: float, horizon_days: int) -> float:
    """Return the weight of a snapshot row: the share of its label window that does not overlap the next one.

    Rows of one account that are a week apart cover nearly the same 90 days; together they count as one.

    Parameters
    ----------
    every_days : days between the snapshots of an account.
    horizon_days : H.

    Returns
    -------
    float
        From 0 to 1.
    """
    return min(1.0, every_days / horizon_days)


def step_days(as_ofs: Sequence[datetime]) -> float:
    """Return the median number of days between consecutive dates.

    Parameters
    ----------
    as_ofs : instants, in any order.

    Returns
    -------
    float
        Infinity for a single date, whose rows `row_weight` gives weight 1.
    """
    ordered = sorted(set(as_ofs))
    steps = [(b - a) / timedelta(days=1) for a, b in pairwise(ordered)]
    return float(np.median(steps)) if steps else float("inf")


def _first_origin(labelled: Sequence[datetime], gap: timedelta, earliest: datetime | None) -> datetime | None:
    """Return the first date with enough training dates before it, label windows included; None if there is none."""
    for origin in labelled:
        before = [t for t in labelled if t + gap <= origin]
        enough = bool(before) and before[-1] - before[0] >= timedelta(days=MINIMUM_TRAIN_DAYS)
        if enough and (earliest is None or origin >= earliest):
            return origin
    return None


def _days_needed(as_ofs: Sequence[datetime], gap_days: int) -> int:
    """Return the days that the training dates, a label window and the predicted dates need, in whole grid steps."""
    step = step_days(as_ofs)
    step = step if math.isfinite(step) else MINIMUM_TRAIN_DAYS
    parts = (MINIMUM_TRAIN_DAYS, gap_days, MINIMUM_TEST_DAYS)
    return math.ceil(sum(math.ceil(days / step) * step for days in parts))
