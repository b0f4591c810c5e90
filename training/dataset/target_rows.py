"""The labelled snapshots of one target, by slice of the split."""

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
    """Rows whose label is known, n of them.

    Parameters
    ----------
    frame : the snapshots.
    y : the label, 0 or 1, shape (n,).
    health : the health score by each rubric, 0 to 100, NaN for unknown, shape (n,) each.
    """

    frame: pd.DataFrame
    y: Floats
    health: Mapping[str, Floats]

    @property
    def accounts(self) -> Objects:
        """Of each row."""
        return self.frame["account_id"].to_numpy(dtype=object)

    @property
    def keys(self) -> tuple[Objects, pd.Series[pd.Timestamp]]:
        """Account and date of each row."""
        return self.accounts, self.frame["as_of"]


@dataclass(frozen=True)
class TargetRows:
    """All labelled snapshots.

    Parameters
    ----------
    target : whose labels.
    health : the health score of each snapshot by each rubric.
    main : the main horizon in days.
    """

    prepared: LabelledSnapshots
    target: Target
    health: Mapping[str, Floats]
    main: int

    def designed(self, before: datetime) -> Design:
        """The training rows whose label windows have ended by then.

        Raises
        ------
        ValueError : one reaches further, which is a fault of ours and never trained on.
        """
        known = {self.main: self.prepared.labels} | dict(self.prepared.beside)
        labels = {days: found[self.target].to_numpy(dtype=np.float64) for days, found in known.items()}
        prepared = self.prepared
        made = build_design(prepared.frame, labels, self.main, prepared.grace_days, prepared.catalogue, before)
        require_purged(made.ends, before)
        return made

    def of(self, parts: TimeSplit, name: str, days: int | None = None) -> LabelledSlice:
        """The rows of one slice whose label is known at a horizon, the main one if None."""
        labels = self.prepared.labels if days is None else self.prepared.beside[days]
        y = labels[self.target].to_numpy(dtype=np.float64)
        mask = parts.mask(name, self.prepared.frame["as_of"]) & np.isfinite(y)
        return LabelledSlice(
            self.prepared.frame[mask].reset_index(drop=True), y[mask], {n: h[mask] for n, h in self.health.items()}
        )
