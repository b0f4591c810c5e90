"""Where an account stands among others: the mid-rank percentile, over a portfolio or within its groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.segments import MINIMUM_COMPARABLE


def midrank(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Where each value stands among all: 100 * (number below + half of the equal ones) / number known.

    Parameters
    ----------
    values : shape (n,); NaN is unknown and counts for nobody.

    Returns
    -------
    float64, shape (n,), above 0 and below 100; NaN where the value is. Unchanged by the order of the rows, by a
    change of unit, and by taking every row twice.
    """
    return midrank_within(values, np.zeros(np.shape(values), dtype=np.int64))[0]


def midrank_within(
    values: npt.ArrayLike, group: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The same within groups.

    Parameters
    ----------
    values : shape (n,); NaN is unknown and counts for nobody.
    group : the group of each row, shape (n,); a row of group -1 belongs to none.

    Returns
    -------
    (percentile, known), each of shape (n,): the mid-rank percentile (NaN where the value is unknown or there is no
    group) and the number of known values in the row's group (0 where there is none).
    """
    x = pd.Series(np.asarray(values, dtype=np.float64)).where(group >= 0)
    grouped = x.groupby(group)
    known = grouped.transform("count").to_numpy(dtype=np.int64)
    rank = grouped.rank(method="average").to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100.0 * (rank - 0.5) / known, known


def percentile_among_comparable(
    values: npt.ArrayLike, portfolio: npt.NDArray[np.int64], segment: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The percentile among comparable accounts: those of the same portfolio (one as_of) and segment.

    Where fewer than MINIMUM_COMPARABLE of them have a known value, or the segment is unknown (-1), the whole
    portfolio is taken.

    Parameters
    ----------
    values : shape (n,); NaN is unknown.
    portfolio : a whole number per as_of, 0 or more, shape (n,).
    segment : a whole number per segment, -1 where unknown, shape (n,).

    Returns
    -------
    float64, shape (n,), above 0 and below 100; NaN where the value is unknown.
    """
    among_all, _ = midrank_within(values, portfolio)
    cell = np.where(segment >= 0, portfolio * (int(segment.max(initial=-1)) + 1) + segment, -1)
    among_segment, known = midrank_within(values, cell)
    return np.where(known >= MINIMUM_COMPARABLE, among_segment, among_all)
