"""What a review judges on: the labelled snapshots of one rubric, and which of them come later than the others."""

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
"""The share of the churns that a proposal is judged on; the others make it."""


@dataclass(frozen=True)
class ReviewRows:
    """Snapshots of n (account, as_of), in any order, scored by one rubric.

    What a proposal is made of are the `earlier` rows, what it is judged on the `later` ones. Between them lies a purge:
    no label window of an earlier row reaches to the first later date (docs/reference/review.md, "The decision rule").

    Parameters
    ----------
    points : of each dimension, 0 to 100, NaN unknown, shape (n, dimensions).
    score : the rubric's, 0 to 100, NaN for no score, shape (n,).
    band : of the score: "green", "yellow", "red" or "insufficient_data", shape (n,).
    churned : 1 where the account churned within the horizon, 0 where it did not, NaN censored, shape (n,).
    accounts : the account of each row, shape (n,).
    as_of : when the row was seen, UTC, shape (n,).
    later : the rows of later dates, shape (n,); see `later_rows_mask`.
    horizon_days, grace_days : H and G. A label window is ``[as_of, as_of + H + G)``.
    segment : of each row by ARR, None where unknown; all None if not given. Shape (n,).
    model : the champion's probability of churn, NaN where it has none, or none that is honest since it was trained on
        the row; all NaN if not given. Shape (n,).

    Raises
    ------
    BadRequest
        Lengths differ, a value is out of range, a date has no zone, or a row that is not later is dated among the
        later ones. The message names the column, never a value.
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
            if (found := np.shape(getattr(self, name))) != (n,):
                raise BadRequest(f"review rows: {name} has the shape {found}", f"({n},), a value for each row")
        if self.horizon_days < 1 or self.grace_days < 0:
            raise BadRequest(
                f"review rows: a horizon of {self.horizon_days} and a grace of {self.grace_days} days",
                "a horizon of 1 day or more and a grace of 0 or more",
            )
        if not len(self.points.columns) or self.points.columns.has_duplicates:
            raise BadRequest("review rows: dimensions without a name of their own", "one column of points for each")
        ranges: list[tuple[str, Floats | None, float]] = [("score", self.score, 100.0), ("model", self.model, 1.0)]
        ranges += [(f"points of {name}", number_column(self.points, name), 100.0) for name in self.points.columns]
        for name, values, most in ranges:
            assert values is not None
            if bool(((values < 0) | (values > most)).any()):
                raise BadRequest(f"review rows: {name} lies out of range", f"0 to {most:g}, NaN for unknown")
        if not bool(np.isin(self.churned[~np.isnan(self.churned)], (0.0, 1.0)).all()):
            raise BadRequest("review rows: churned is neither 0 nor 1", "0, 1, or NaN where it is not known")
        if self.later.dtype != np.bool_:
            raise BadRequest("review rows: later is no mask", "true or false for each row")
        if not isinstance(self.as_of.dtype, pd.DatetimeTZDtype) or bool(self.as_of.isna().any()):
            raise BadRequest("review rows: as_of without a zone or a date", "an instant in UTC for each row")
        if self.first_later is None:
            return
        among = ~self.later & ~np.isnan(self.churned) & (self.as_of >= self.first_later).to_numpy(dtype=bool)
        if among.any():
            raise BadRequest(
                f"review rows: {int(among.sum())} labelled rows are dated among the later ones but are not later",
                "every row from the first later date on is later",
                "divide rows by date, as later_rows does",
            )

    def __len__(self) -> int:
        return len(self.points)

    @property
    def window(self) -> timedelta:
        """How long a label window is: H + G."""
        return timedelta(days=self.horizon_days + self.grace_days)

    @cached_property
    def first_later(self) -> pd.Timestamp | None:
        """The first later date; None where no row is later."""
        return pd.Timestamp(self.as_of[self.later].min()) if self.later.any() else None

    @cached_property
    def labelled(self) -> Bools:
        """Rows with a score and a known outcome, shape (n,)."""
        return np.asarray(~np.isnan(self.churned) & ~np.isnan(self.score))

    @cached_property
    def earlier(self) -> Bools:
        """Labelled rows whose label windows have ended by the first later date, shape (n,): those in the purge are not.

        All labelled rows where none is later.
        """
        if self.first_later is None:
            return self.labelled
        return np.asarray(self.labelled & (self.as_of + self.window <= self.first_later).to_numpy(dtype=bool))

    @cached_property
    def judged_on(self) -> Bools:
        """Labelled rows among the later ones, shape (n,)."""
        return np.asarray(self.labelled & self.later)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The names of the dimensions, in order."""
        return tuple(str(name) for name in self.points.columns)

    def only(self, mask: Bools) -> ReviewRows:
        """Some of the rows, by a mask of shape (n,); what is later stays later."""
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
    """Which rows come later: those of the newest dates that hold about ``share`` of the accounts with a churn.

    Parameters
    ----------
    as_of, churned, accounts : as in `ReviewRows`, shape (n,).
    window_days : H + G; a purge so long before the first later date is left out of both parts, and of the count.
    share : 0 to 1.

    Returns
    -------
    A mask, shape (n,): every row from some date on. None where no date leaves churns on either side of its purge.
    """
    seen = as_of[churned == 1].groupby(accounts[churned == 1]).agg(["min", "max"])
    window = timedelta(days=window_days)
    best: tuple[float, pd.Timestamp] | None = None
    for first in sorted(as_of.unique(), reverse=True):
        after, before = int((seen["max"] >= first).sum()), int((seen["min"] + window <= first).sum())
        if before and after:
            apart = abs(after / (before + after) - share)
            best = (apart, first) if best is None or apart < best[0] else best
    return np.zeros(len(as_of), dtype=bool) if best is None else (as_of >= best[1]).to_numpy(dtype=bool)


def overlap_weights(accounts: npt.ArrayLike, as_of: pd.Series[pd.Timestamp], horizon_days: int) -> Floats:
    """What each row counts for, 0 to 1: the share of its horizon that it does not share with its account's next row.

    Rows of one account a week apart see nearly the same 90 days: together they count as one, so that the weights of
    the rows that see one churn add up to about one (compare `training.dataset.time_split.row_weight`, which knows one
    step for all).
    Rows of one account and date share what one of them would count for.

    Parameters
    ----------
    accounts, as_of : of each row, shape (n,).
    horizon_days : H.

    Returns
    -------
    Shape (n,), in the rows' order. An account's last row counts as much as one at the usual step (the median), or
    fully where no account has two dates.
    """
    code, time = pd.factorize(np.asarray(accounts, dtype=object))[0], as_of.astype("int64").to_numpy()
    day = pd.Timedelta(days=1) // pd.Timedelta(1, unit=as_of.dt.unit)
    order = np.lexsort((time, code))
    code, time = code[order], time[order]
    # Rows of one account and date are one run; each run's weight is shared by its rows.
    begins = np.flatnonzero(np.diff(code, prepend=-1) | np.diff(time, prepend=-1))
    size = np.diff(begins, append=len(code))
    same = code[begins[1:]] == code[begins[:-1]]
    share = np.full(len(begins), np.nan)
    share[:-1][same] = np.diff(time[begins])[same] / (day * horizon_days)
    share[np.isnan(share)] = np.nanmedian(share) if same.any() else 1.0
    found = np.empty(len(code))
    found[order] = np.repeat(np.minimum(share, 1.0) / size, size)
    return found


def thin_dates(rows: ReviewRows, mask: Bools, most: int) -> Bools:
    """The rows of a mask (n,), or those of every second date of theirs, or third, and so on, if they are too many.

    Rows of one account a few weeks apart are nearly the same: fewer dates tell as much, sooner. The newest is kept.
    """
    every = -(-int(mask.sum()) // most)
    if every <= 1:
        return mask
    kept = sorted(rows.as_of[mask].unique(), reverse=True)[::every]
    return np.asarray(mask & rows.as_of.isin(kept).to_numpy(dtype=bool))
