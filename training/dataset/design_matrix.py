"""Design matrix: the rows that models are fitted on, one per snapshot and horizon.

One model covers all horizons. A snapshot gives a row for each horizon whose outcome was known in time, and columns of
the row identify the horizon (`models.scorer.encoding.HORIZON_COLUMNS`). Shorter horizons add newer outcomes, and all of
them together show the shape of the risk over time. On simulated portfolios this gained 2 to 4% of the oracle's skill at
the main horizon (bench/RESULTS.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from features.definitions.feature import Feature
from features.errors import InsufficientData
from features.utils.arrays import Bools, Floats, Ints, Objects
from models.scorer.base import RENEWAL_FEATURE
from models.scorer.encoding import horizon_columns
from training.dataset.encoding import Encoding, fit_encoding
from training.dataset.inner_folds import Fold, date_offsets, later_folds, search_date_mask
from training.dataset.origins import row_weight, step_days
from training.dataset.row_limit import MOST_ROWS, MOST_SEARCH_ROWS, thin_rows

# For speed, rows of one account and horizon that are closer than about this share of the horizon are left out. All rows
# of the main horizon stay: more rows average out more of the noise in the signals.
MINIMUM_STEP_SHARE = 1 / 2
# Rows of the other horizons only support the main one: they weigh half as much.
OTHER_HORIZON_WEIGHT = 0.5
# Snapshots that are encoded at a time.
_BLOCK = 20_000


@dataclass(frozen=True)
class Design:
    """Design matrix of m training rows.

    Parameters
    ----------
    encoding : how a snapshot becomes columns.
    matrix : float64 of shape (m, columns), NaN where unknown.
    y, weight : label, 0 or 1, and weight, 0 to 1, of each row. The weight is the share of the label window that does
        not overlap the next one.
    accounts, as_of : account and date of each row.
    main : which rows belong to the main horizon.
    row_index : position of each row in the frame from which it was built.
    ends : end of the label window of each row.
    share : the share of the rows that are left after `at_most`; 1 without it.
    """

    encoding: Encoding
    matrix: Floats
    y: Floats
    weight: Floats
    accounts: Objects
    as_of: pd.Series[pd.Timestamp]
    main: Bools
    row_index: Ints
    ends: pd.Series[pd.Timestamp]
    share: float = 1.0

    def __post_init__(self) -> None:
        _require_both_outcomes(self.y[self.main])

    @cached_property
    def search_mask(self) -> Bools:
        """Rows that a search uses, for speed: those of the main horizon at a part of the dates."""
        return search_date_mask(self.as_of) & self.main

    @cached_property
    def search_weight(self) -> Floats:
        """Weight of each row of `search_mask`, scaled up in proportion to the rows left out."""
        weight = self.weight[self.search_mask]
        return np.asarray(np.minimum(1.0, weight * (self.main.sum() / len(weight))), dtype=np.float64)

    def search_rows(self) -> Design:
        """Return the rows of `search_mask` with their `search_weight`, at most about `MOST_SEARCH_ROWS` of them."""
        weight = self.weight.copy()
        weight[self.search_mask] = self.search_weight
        return replace(self, weight=weight).at_most(MOST_SEARCH_ROWS, self.search_mask)

    def member_rows(self, number: int, outside: Bools) -> Design:
        """Return the rows of one member of an ensemble.

        Snapshots a week apart are nearly the same. Each member gets one set of dates about four weeks apart, so all
        members cost about as much as one fit, and weights are scaled up in proportion. A weekly grid has four sets:
        fewer members than sets leave some dates out. Rows of other horizons lie on fewer dates, so only the members
        with those dates get them. More than `MOST_ROWS` are thinned (`at_most`).

        Parameters
        ----------
        number : the member.
        outside : rows of the accounts that the member may use.
        """
        offset, sets = date_offsets(self.as_of)
        rows = outside & (offset == number % sets)
        main_y = self.y[rows & self.main]
        if not 0 < main_y.sum() < len(main_y):
            rows, sets = outside, 1
        limit = np.where(self.main, 1.0, OTHER_HORIZON_WEIGHT)
        return replace(self, weight=np.minimum(limit, self.weight * sets)).at_most(MOST_ROWS, rows)

    def at_most(self, most: int, rows: Bools | None = None) -> Design:
        """Return some of the rows, about ``most`` at most, with the weights of all (`training.dataset.row_limit`).

        Parameters
        ----------
        most : number of rows to keep, approximately.
        rows : the rows to choose from; None for all.
        """
        index = np.flatnonzero(np.ones(len(self.y), dtype=bool) if rows is None else rows)
        if len(index) <= most:
            return self if rows is None else self.subset(rows)
        days = ((self.ends - self.as_of) / timedelta(days=1)).to_numpy()
        strata = np.column_stack([days, self.y])[index]
        chosen, factor = thin_rows(self.accounts[index], self.as_of.iloc[index], strata, most)
        weight, keep = self.weight.copy(), np.zeros(len(self.y), dtype=np.bool_)
        weight[index] *= factor
        keep[index[chosen]] = True
        return replace(self, weight=weight, share=float(chosen.mean())).subset(keep)

    def subset(self, rows: Bools) -> Design:
        """Return some of the rows, by mask."""
        return Design(
            self.encoding,
            self.matrix[rows],
            self.y[rows],
            self.weight[rows],
            self.accounts[rows],
            self.as_of[rows].reset_index(drop=True),
            self.main[rows],
            self.row_index[rows],
            self.ends[rows].reset_index(drop=True),
            self.share,
        )

    def folds(self) -> tuple[Fold, ...]:
        """Return the inner folds (`training.dataset.inner_folds.later_folds`)."""
        return later_folds(self.accounts, self.as_of, self.y)


def build_design(
    frame: pd.DataFrame,
    labels: Mapping[int, Floats],
    main: int,
    grace_days: int,
    features: Mapping[str, Feature],
    before: datetime | None = None,
) -> Design:
    """Build the design matrix of labelled snapshots.

    Parameters
    ----------
    frame : n snapshots: account_id, as_of and the features.
    labels : labels by horizon in days (H): 0 or 1, NaN where unknown, shape (n,).
    main : the horizon at which the model is evaluated.
    grace_days : G.
    features : the catalogue.
    before : use only labels whose window ``[as_of, as_of + H + G)`` has ended by then; None: all.

    Returns
    -------
    Design

    Raises
    ------
    InsufficientData
        If the main horizon has labels of one class only.
    """
    as_of = frame["as_of"].reset_index(drop=True)
    labelled = {horizon: np.isfinite(y) for horizon, y in labels.items()}
    if before is not None:
        labelled = {
            h: rows & (as_of + timedelta(days=h + grace_days) <= before).to_numpy() for h, rows in labelled.items()
        }
    if not labelled[main].any():
        raise InsufficientData(["no outcome at the training dates is known"])
    _require_both_outcomes(labels[main][labelled[main]])
    dates = np.sort(as_of[np.any(list(labelled.values()), axis=0)].unique())[::-1]
    step = min(step_days(pd.DatetimeIndex(dates).to_pydatetime().tolist()), min(labels))
    indexes, horizon_steps = [], []
    for horizon, rows in labelled.items():
        # Powers of two, so that the dates left out here and in a search are the same.
        every = 1 if horizon == main else 2 ** max(0, int(np.log2(max(horizon * MINIMUM_STEP_SHARE / step, 1.0))))
        index = np.flatnonzero(rows & as_of.isin(dates[::every]).to_numpy())
        if horizon == main or 0 < labels[horizon][index].sum() < len(index):
            indexes.append(index)
            horizon_steps.append((horizon, every))
    horizons = tuple(sorted(horizon for horizon, _ in horizon_steps))
    past = frame[(as_of <= dates[0]).to_numpy()]
    encoding = fit_encoding(past, features, horizons, main)
    if len(horizons) == 1 and RENEWAL_FEATURE not in encoding.features:
        encoding = fit_encoding(past, features)
    row_index = np.concatenate(indexes)
    days = np.repeat([horizon for horizon, _ in horizon_steps], [len(rows) for rows in indexes])
    weight = [
        np.full(len(rows), row_weight(step * every, horizon) * (1.0 if horizon == main else OTHER_HORIZON_WEIGHT))
        for rows, (horizon, every) in zip(indexes, horizon_steps, strict=True)
    ]
    row_dates = as_of.iloc[row_index].reset_index(drop=True)
    return Design(
        encoding,
        _matrix(frame, encoding, row_index, days.astype(np.float64)),
        np.concatenate([labels[horizon][rows] for rows, (horizon, _) in zip(indexes, horizon_steps, strict=True)]),
        np.concatenate(weight),
        frame["account_id"].to_numpy(dtype=object)[row_index],
        row_dates,
        days == main,
        row_index.astype(np.int64),
        row_dates + pd.to_timedelta(days + grace_days, unit="D"),
    )


def _matrix(frame: pd.DataFrame, encoding: Encoding, row_index: Ints, days: Floats) -> Floats:
    """Encode some snapshots, each at a horizon. A block at a time, because with 10,000 accounts each copy is 1 GB."""
    matrix = np.empty((len(row_index), len(encoding.columns)))
    for start in range(0, len(row_index), _BLOCK):
        rows = slice(start, start + _BLOCK)
        snapshots = encoding.encode(frame.iloc[row_index[rows]]).matrix
        matrix[rows, : len(encoding.features)] = snapshots
        if encoding.horizons:
            matrix[rows, len(encoding.features) :] = horizon_columns(snapshots, encoding.features, days[rows])
    return matrix


def _require_both_outcomes(y: Floats) -> None:
    if not 0 < y.sum() < len(y):
        raise InsufficientData(["only one outcome occurs at the training dates; both are needed"])
