"""The rows that models are fitted on: snapshots, each asked about one or several horizons.

One model answers for all horizons: a snapshot gives a row for each horizon whose outcome was known in time, and what
tells the horizons apart are columns of the row (`models.scorer.encoding.HORIZON_COLUMNS`). The shorter ones bring newer
outcomes, all of them bring the shape of the risk over time. On simulated portfolios that gained 2 to 4% of the
oracle's skill at the main horizon (bench/RESULTS.md).
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
from training.dataset.inner_folds import Fold, later_folds, search_date_mask
from training.dataset.time_split import row_weight, step_days

# Rows of one account and horizon nearer to each other than about this share of it are left out, to be quick. All rows
# of the main horizon are kept: more of them average out more of the signals' noise.
MINIMUM_STEP_SHARE = 1 / 2
# The other horizons serve the main one: they weigh half as much.
OTHER_HORIZON_WEIGHT = 0.5


@dataclass(frozen=True)
class Design:
    """Training rows, m of them.

    Parameters
    ----------
    reading : how a snapshot becomes columns.
    matrix : float64 of shape (m, columns), NaN where unknown.
    y, weight : the label, 0 or 1, and the weight, 0 to 1, of each row; a row weighs the share of its label window that
        it does not share with the next one.
    accounts, as_of : of each row.
    main : the rows of the main horizon.
    place : each row's place in the frame that it came from.
    ends : the instant at which each row's label window is over.
    """

    reading: Encoding
    matrix: Floats
    y: Floats
    weight: Floats
    accounts: Objects
    as_of: pd.Series[pd.Timestamp]
    main: Bools
    place: Ints
    ends: pd.Series[pd.Timestamp]

    def __post_init__(self) -> None:
        happened = self.y[self.main]
        if not 0 < happened.sum() < len(happened):
            raise InsufficientData(["both outcomes among the training dates: only one of them occurs there"])

    @cached_property
    def thinned(self) -> Bools:
        """The rows that a search looks at, to be quick: the main horizon's, of every so manieth date."""
        return search_date_mask(self.as_of) & self.main

    def thin(self) -> Design:
        """The `search_date_mask` rows, weighing as much more as there are fewer of them."""
        thin = self.only(self.thinned)
        return replace(thin, weight=np.minimum(1.0, thin.weight * (self.main.sum() / len(thin.y))))

    def only(self, rows: Bools) -> Design:
        """Some of the rows."""
        return Design(
            self.reading,
            self.matrix[rows],
            self.y[rows],
            self.weight[rows],
            self.accounts[rows],
            self.as_of[rows].reset_index(drop=True),
            self.main[rows],
            self.place[rows],
            self.ends[rows].reset_index(drop=True),
        )

    def folds(self) -> tuple[Fold, ...]:
        """Inner folds."""
        return later_folds(self.accounts, self.as_of, self.y)


def build_design(
    frame: pd.DataFrame,
    labels: Mapping[int, Floats],
    main: int,
    grace_days: int,
    features: Mapping[str, Feature],
    before: datetime | None = None,
) -> Design:
    """Make training rows.

    Parameters
    ----------
    frame : n snapshots: account_id, as_of and the features.
    labels : for each horizon in days (H) what happened, 0 or 1, NaN where not known, shape (n,).
    main : the horizon that the model is judged at.
    grace_days : G.
    features : the catalogue.
    before : only labels whose window ``[as_of, as_of + H + G)`` has ended by then are used; None: all.

    Raises
    ------
    InsufficientData
        Of the main horizon, one class only.
    """
    as_of = frame["as_of"].reset_index(drop=True)
    known = {horizon: np.isfinite(happened) for horizon, happened in labels.items()}
    if before is not None:
        known = {h: rows & (as_of + timedelta(days=h + grace_days) <= before).to_numpy() for h, rows in known.items()}
    if not known[main].any():
        raise InsufficientData(["outcomes among the training dates: none is known there"])
    dates = np.sort(as_of[np.any(list(known.values()), axis=0)].unique())[::-1]
    step = min(step_days(pd.DatetimeIndex(dates).to_pydatetime().tolist()), min(labels))
    places, days = [], []
    for horizon, rows in known.items():
        # Powers of two, so that dates left out here and for a quick search are the same ones.
        every = 1 if horizon == main else 2 ** max(0, int(np.log2(max(horizon * MINIMUM_STEP_SHARE / step, 1.0))))
        kept = np.flatnonzero(rows & as_of.isin(dates[::every]).to_numpy())
        if horizon == main or 0 < labels[horizon][kept].sum() < len(kept):
            places.append(kept)
            days.append((horizon, every))
    horizons = tuple(sorted(horizon for horizon, _ in days))
    past = frame[(as_of <= dates[0]).to_numpy()]
    reading = fit_encoding(past, features, horizons, main)
    if len(horizons) == 1 and RENEWAL_FEATURE not in reading.features:
        reading = fit_encoding(past, features)
    plain = reading.encode(frame).matrix
    place = np.concatenate(places)
    of = np.repeat([horizon for horizon, _ in days], [len(rows) for rows in places])
    weight = [
        np.full(len(rows), row_weight(step * every, horizon) * (1.0 if horizon == main else OTHER_HORIZON_WEIGHT))
        for rows, (horizon, every) in zip(places, days, strict=True)
    ]
    matrix = plain[place]
    if reading.horizons:
        matrix = np.hstack([matrix, horizon_columns(matrix, reading.features, of.astype(np.float64))])
    dates_of = as_of.iloc[place].reset_index(drop=True)
    return Design(
        reading,
        matrix,
        np.concatenate([labels[horizon][rows] for rows, (horizon, _) in zip(places, days, strict=True)]),
        np.concatenate(weight),
        frame["account_id"].to_numpy(dtype=object)[place],
        dates_of,
        of == main,
        place.astype(np.int64),
        dates_of + pd.to_timedelta(of + grace_days, unit="D"),
    )
