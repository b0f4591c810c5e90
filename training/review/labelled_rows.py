"""Labelled snapshots of one rubric, split by time into earlier and later rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import BadRequest
from features.utils.arrays import Bools, Floats, Objects
from models.peer_groups.frame_columns import number_column

LATER_SHARE = 0.3
"""Share of the churns in the later rows, which evaluate a proposal; the others are used for the fit."""


@dataclass(frozen=True)
class ReviewRows:
    """Snapshots of n (account, as_of), in any order, scored by one rubric.

    Proposals are fitted on the `earlier` rows and evaluated on the `later` ones. Between them is a purge: no label
    window of an earlier row reaches the first later date (docs/reference/review.md, "The decision rule").

    Parameters
    ----------
    points : points of each dimension, 0 to 100, NaN if missing, shape (n, dimensions).
    score : score of the rubric, 0 to 100, NaN without a score, shape (n,).
    band : band of the score: "green", "yellow", "red" or "insufficient_data", shape (n,).
    churned : 1 if the account churned within the horizon, 0 if it did not, NaN if censored, shape (n,).
    accounts : the account of each row, shape (n,).
    as_of : date of the row, UTC, shape (n,).
    later : mask of the rows on later dates, shape (n,); see `later_rows_mask`.
    horizon_days, grace_days : H and G. A label window is ``[as_of, as_of + H + G)``.
    segment : segment of each row by ARR, None if unknown; all None if not given. Shape (n,).
    model : churn probability of the champion, NaN if there is none or if it was trained on the row; all NaN if not
        given. Shape (n,).

    Raises
    ------
    BadRequest
        Lengths differ, a value is out of range, a date has no time zone, or a row on a later date is not marked as
        later. The message names the column, but no value.
    """

    points: pd.DataFrame
    score: Floats
    band: Objects
    churned: Floats
    accounts: Objects
    as_of: pd.Series[pd.Timestamp]
    later: Bools
    horizon_days: int
    grace_days: int
    segment: Objects | None = field(default=None)
    model: Floats | None = field(default=None)

    def __post_init__(self) -> None:
        n = len(self.points)
        if self.segment is None:
            object.__setattr__(self, "segment", np.full(n, None, dtype=object))
        if self.model is None:
            object.__setattr__(self, "model", np.full(n, np.nan))
        for name in ("score", "band", "churned", "accounts", "as_of", "later", "segment", "model"):
            if (shape := np.shape(getattr(self, name))) != (n,):
                raise BadRequest(f"review rows: {name} has the shape {shape}", f"({n},), one value per row")
        if self.horizon_days < 1 or self.grace_days < 0:
            raise BadRequest(
                f"review rows: a horizon of {self.horizon_days} days and a grace period of {self.grace_days} days",
                "a horizon of at least 1 day and a grace period of at least 0 days",
            )
        if not len(self.points.columns) or self.points.columns.has_duplicates:
            raise BadRequest("review rows: no dimensions, or duplicate names", "one column of points per dimension")
        ranges: list[tuple[str, Floats | None, float]] = [("score", self.score, 100.0), ("model", self.model, 1.0)]
        ranges += [(f"points of {name}", number_column(self.points, name), 100.0) for name in self.points.columns]
        for name, values, most in ranges:
            assert values is not None
            if bool(((values < 0) | (values > most)).any()):
                raise BadRequest(f"review rows: {name} is out of range", f"0 to {most:g}, NaN for unknown")
        if not bool(np.isin(self.churned[~np.isnan(self.churned)], (0.0, 1.0)).all()):
            raise BadRequest("review rows: churned has values other than 0 and 1", "0, 1, or NaN if unknown")
        if self.later.dtype != np.bool_:
            raise BadRequest("review rows: later is not a Boolean array", "true or false for each row")
        if not isinstance(self.as_of.dtype, pd.DatetimeTZDtype) or bool(self.as_of.isna().any()):
            raise BadRequest("review rows: as_of has no time zone or missing dates", "an instant in UTC for each row")
        if self.first_later is None:
            return
        unmarked = ~self.later & ~np.isnan(self.churned) & (self.as_of >= self.first_later).to_numpy(dtype=bool)
        if unmarked.any():
            raise BadRequest(
                f"review rows: {int(unmarked.sum())} labelled rows on later dates are not marked as later",
                "every labelled row from the first later date onward marked as later",
                "split the rows by date with later_rows_mask",
            )

    def __len__(self) -> int:
        return len(self.points)

    @property
    def window(self) -> timedelta:
        """Length of a label window: H + G."""
        return timedelta(days=self.horizon_days + self.grace_days)

    @cached_property
    def first_later(self) -> pd.Timestamp | None:
        """The first later date; None without later rows."""
        return pd.Timestamp(self.as_of[self.later].min()) if self.later.any() else None

    @cached_property
    def labelled(self) -> Bools:
        """Mask of the rows with a score and a known outcome, shape (n,)."""
        return np.asarray(~np.isnan(self.churned) & ~np.isnan(self.score))

    @cached_property
    def earlier(self) -> Bools:
        """Mask of the labelled rows whose label windows end by the first later date, shape (n,).

        Rows in the purge are left out. Without later rows, these are all labelled rows.
        """
        if self.first_later is None:
            return self.labelled
        return np.asarray(self.labelled & (self.as_of + self.window <= self.first_later).to_numpy(dtype=bool))

    @cached_property
    def judged_on(self) -> Bools:
        """Mask of the labelled rows among the later ones, shape (n,)."""
        return np.asarray(self.labelled & self.later)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The names of the dimensions, in order."""
        return tuple(str(name) for name in self.points.columns)

    def only(self, mask: Bools) -> ReviewRows:
        """Select rows; later rows stay later.

        Parameters
        ----------
        mask : shape (n,).
        """
        assert self.segment is not None
        assert self.model is not None
        return ReviewRows(
            points=self.points[mask].reset_index(drop=True),
            score=self.score[mask],
            band=self.band[mask],
            churned=self.churned[mask],
            accounts=self.accounts[mask],
            as_of=self.as_of[mask].reset_index(drop=True),
            later=self.later[mask],
            horizon_days=self.horizon_days,
            grace_days=self.grace_days,
            segment=self.segment[mask],
            model=self.model[mask],
        )


def later_rows_mask(
    as_of: pd.Series[pd.Timestamp], churned: Floats, accounts: Objects, window_days: int, share: float = LATER_SHARE
) -> Bools:
    """Mark the later rows: those on the newest dates that have about ``share`` of the churned accounts.

    Parameters
    ----------
    as_of, churned, accounts : as in `ReviewRows`, shape (n,).
    window_days : H + G; the purge of this length before the first later date belongs to neither part.
    share : 0 to 1.

    Returns
    -------
    A mask, shape (n,): every row from some date on. All false if no date leaves churns on both sides of its purge.
    """
    churn_dates = as_of[churned == 1].groupby(accounts[churned == 1]).agg(["min", "max"])
    window = timedelta(days=window_days)
    best: tuple[float, pd.Timestamp] | None = None
    for first in sorted(as_of.unique(), reverse=True):
        after, before = int((churn_dates["max"] >= first).sum()), int((churn_dates["min"] + window <= first).sum())
        if before and after:
            error = abs(after / (before + after) - share)
            best = (error, first) if best is None or error < best[0] else best
    return np.zeros(len(as_of), dtype=bool) if best is None else (as_of >= best[1]).to_numpy(dtype=bool)


def overlap_weights(accounts: npt.ArrayLike, as_of: pd.Series[pd.Timestamp], horizon_days: int) -> Floats:
    """Weight of each row, 0 to 1: the share of its horizon that does not overlap with the next row of its account.

    Rows of one account a week apart cover nearly the same 90 days. Together they count as one, so that the weights of
    the rows before one churn add up to about one (compare `training.dataset.time_split.row_weight`, which assumes the
    same step for all). Duplicate rows of one account and date share the weight of one row.

    Parameters
    ----------
    accounts, as_of : of each row, shape (n,).
    horizon_days : H.

    Returns
    -------
    Weights, shape (n,). The last row of an account has the weight of the usual step (the median), or full weight if no
    account has two dates.
    """
    code, time = pd.factorize(np.asarray(accounts, dtype=object))[0], as_of.astype("int64").to_numpy()
    day = pd.Timedelta(days=1) // pd.Timedelta(1, unit=as_of.dt.unit)
    order = np.lexsort((time, code))
    code, time = code[order], time[order]
    # Rows of one account and date form a run, and share its weight.
    begins = np.flatnonzero(np.diff(code, prepend=-1) | np.diff(time, prepend=-1))
    size = np.diff(begins, append=len(code))
    same = code[begins[1:]] == code[begins[:-1]]
    share = np.full(len(begins), np.nan)
    share[:-1][same] = np.diff(time[begins])[same] / (day * horizon_days)
    share[np.isnan(share)] = np.nanmedian(share) if same.any() else 1.0
    weights = np.empty(len(code))
    weights[order] = np.repeat(np.minimum(share, 1.0) / size, size)
    return weights


def thin_dates(rows: ReviewRows, mask: Bools, most: int) -> Bools:
    """Reduce the rows of a mask to every second date, or every third, and so on, if there are too many.

    Rows of one account a few weeks apart are nearly the same, so fewer dates give the same result faster. The newest
    date is always included.

    Parameters
    ----------
    rows : all rows.
    mask : the rows to reduce, shape (n,).
    most : maximum number of rows.

    Returns
    -------
    The reduced mask, shape (n,).
    """
    every = -(-int(mask.sum()) // most)
    if every <= 1:
        return mask
    dates = sorted(rows.as_of[mask].unique(), reverse=True)[::every]
    return np.asarray(mask & rows.as_of.isin(dates).to_numpy(dtype=bool))
