"""Percentiles of accounts among others: the mid-rank percentile, over a portfolio or within groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.segments import ARR_FEATURE, MINIMUM_COMPARABLE, segment_of


def midrank(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the mid-rank percentile: 100 * (number below + half of the equal ones) / number of known values.

    Parameters
    ----------
    values : shape (n,); NaN is unknown and not counted.

    Returns
    -------
    float64, shape (n,), above 0 and below 100; NaN where the value is NaN. It does not depend on the order of the rows
    or the unit, and duplicating every row does not change it.
    """
    return midrank_by_group(values, np.zeros(np.shape(values), dtype=np.int64))[0]


def midrank_by_group(
    values: npt.ArrayLike, group: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the mid-rank percentile within groups.

    Parameters
    ----------
    values : shape (n,); NaN is unknown and not counted.
    group : the group of each row, shape (n,); a row of group -1 has no group.

    Returns
    -------
    (percentile, counts), each of shape (n,): the mid-rank percentile (NaN if the value is unknown or there is no
    group) and the number of known values in the row's group (0 without a group).
    """
    x = pd.Series(np.asarray(values, dtype=np.float64)).where(group >= 0)
    grouped = x.groupby(group)
    counts = grouped.transform("count").to_numpy(dtype=np.int64)
    rank = grouped.rank(method="average").to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100.0 * (rank - 0.5) / counts, counts


def percentile_among_comparable(
    values: npt.ArrayLike, portfolio: npt.NDArray[np.int64], segment: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the percentile among comparable accounts: those of the same portfolio (one as_of) and segment.

    If fewer than MINIMUM_COMPARABLE of them have a known value, or the segment is unknown (-1), the whole portfolio is
    used.

    Parameters
    ----------
    values : shape (n,); NaN is unknown.
    portfolio : an integer per as_of, 0 or more, shape (n,).
    segment : an integer per segment, -1 if unknown, shape (n,).

    Returns
    -------
    float64, shape (n,), above 0 and below 100; NaN if the value is unknown.
    """
    among_all, _ = midrank_by_group(values, portfolio)
    cell = np.where(segment >= 0, portfolio * (int(segment.max(initial=-1)) + 1) + segment, -1)
    among_segment, counts = midrank_by_group(values, cell)
    return np.where(counts >= MINIMUM_COMPARABLE, among_segment, among_all)


@dataclass(frozen=True)
class ComparableAccounts:
    """Accounts and those that they are compared with.

    Parameters
    ----------
    frame : rows of accounts with ``as_of`` and the features. The rows of each ``as_of`` are treated as a whole
        portfolio and compared with each other.
    peers : the accounts to compare with instead, for single accounts.
    """

    frame: pd.DataFrame
    peers: Peers | None = None

    @cached_property
    def segments(self) -> npt.NDArray[np.object_]:
        """The segment of each row, None if unknown, shape (n,)."""
        return segment_of(number_column(self.frame, ARR_FEATURE))

    @cached_property
    def _places(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        codes, _ = pd.factorize(self.segments)
        return pd.factorize(self.frame["as_of"])[0].astype(np.int64), codes.astype(np.int64)

    def percentile(self, feature: str) -> npt.NDArray[np.float64]:
        """Return the percentile of each row's value, 0 to 100, NaN if unknown, shape (n,).

        See `models.peer_groups.percentiles.percentile_among_comparable` and
        `models.peer_groups.peers.Peers.percentile`.
        """
        x = number_column(self.frame, feature)
        if self.peers is not None:
            return self.peers.percentile(feature, x, self.segments)
        return percentile_among_comparable(x, *self._places)
