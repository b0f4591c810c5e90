"""Labelled snapshots of one target, per slice of the time split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from features.utils.arrays import Floats, Objects
from models.targets import Target
from training.dataset.design_matrix import Design, build_design
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.time_split import TimeSplit, require_purged


@dataclass(frozen=True)
class LabelledSlice:
    """The n labelled rows of one slice.

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

    def slice(self, parts: TimeSplit, name: str, days: int | None = None) -> LabelledSlice:
        """Return the rows of one slice that have a label.

        Parameters
        ----------
        parts : the dates of the slices.
        name : the slice: "train", "calibration" or "test".
        days : the horizon of the labels; None for the main one.

        Returns
        -------
        LabelledSlice
        """
        labels = self.prepared.labels if days is None else self.prepared.further_labels[days]
        y = labels[self.target].to_numpy(dtype=np.float64)
        mask = parts.mask(name, self.prepared.frame["as_of"]) & np.isfinite(y)
        return LabelledSlice(
            self.prepared.frame[mask].reset_index(drop=True), y[mask], {n: h[mask] for n, h in self.health.items()}
        )
