"""Labelled snapshots of one target, by date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from features.utils.arrays import Floats, Objects
from models.targets import Target
from training.dataset.design_matrix import Design, build_design
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.origins import require_purged


@dataclass(frozen=True)
class LabelledSlice:
    """The n labelled rows at some dates.

    Parameters
    ----------
    frame : the snapshots.
    y : labels, 0 or 1, shape (n,).
    health : health score by rubric, 0 to 100, NaN for unknown, shape (n,) each.
    """

    frame: pd.DataFrame
    y: Floats
    health: Mapping[str, Floats]

    @property
    def accounts(self) -> Objects:
        """Account of each row."""
        return self.frame["account_id"].to_numpy(dtype=object)

    @property
    def keys(self) -> tuple[Objects, pd.Series[pd.Timestamp]]:
        """Account and date of each row."""
        return self.accounts, self.frame["as_of"]


@dataclass(frozen=True)
class TargetRows:
    """All snapshots with the labels of one target.

    Parameters
    ----------
    prepared : the labelled snapshots.
    target : the target whose labels are used.
    health : health score of each snapshot, by rubric.
    main_horizon : the main horizon in days.
    """

    prepared: LabelledSnapshots
    target: Target
    health: Mapping[str, Floats]
    main_horizon: int

    def training_design(self, before: datetime) -> Design:
        """Return the training rows whose label windows have ended by ``before``.

        Raises
        ------
        ValueError
            If a label window ends later, which would be a bug.
        """
        prepared = self.prepared
        frames = {self.main_horizon: prepared.labels} | dict(prepared.further_labels)
        labels = {days: frame[self.target].to_numpy(dtype=np.float64) for days, frame in frames.items()}
        grace, catalogue = prepared.grace_days, prepared.catalogue
        design = build_design(prepared.frame, labels, self.main_horizon, grace, catalogue, before)
        require_purged(design.ends, before)
        return design

    def main_horizon_only(self) -> TargetRows:
        """Return the same rows without the labels of further horizons."""
        return replace(self, prepared=replace(self.prepared, further_labels={}))

    def rows_at(self, dates: Sequence[datetime], days: int | None = None) -> LabelledSlice:
        """Return the rows at these dates that have a label at a horizon, the main one if None."""
        prepared = self.prepared
        labels = prepared.labels if days is None else prepared.further_labels[days]
        y = labels[self.target].to_numpy(dtype=np.float64)
        inside = prepared.frame["as_of"].isin(pd.DatetimeIndex(list(dates))).to_numpy(dtype=bool)
        mask = inside & np.isfinite(y)
        return LabelledSlice(
            prepared.frame[mask].reset_index(drop=True), y[mask], {n: h[mask] for n, h in self.health.items()}
        )

    def today(self, at: datetime) -> pd.DataFrame:
        """Return the newest snapshots that are not later than an instant, labelled or not; none are read later."""
        frame, current = self.prepared.frame, self.prepared.current
        if current is not None and len(current) and current["as_of"].max() <= at:
            return current
        known = frame["as_of"][(frame["as_of"] <= at).to_numpy()]
        newest: pd.DataFrame = frame[(frame["as_of"] == known.max()).to_numpy()]
        return newest

    def newest(self, design: Design) -> pd.DataFrame:
        """Return the snapshots of the newest training date of a design of these rows."""
        frame = self.prepared.frame
        return frame[(frame["as_of"] == design.as_of.max()).to_numpy()]
