"""How many churns and expansions a source holds for each horizon. Only labels are needed, so no feature is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features.errors import InsufficientData
from features.signals.signals import Signals
from features.utils.dates import Grid, to_iso
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.labelled_snapshots import labelled_grid
from training.dataset.labels import label
from training.dataset.overwritten_terms import mask_growth, overwritten_rows
from training.dataset.sufficiency import count_outcomes

HORIZONS = (30, 60, 90, 180)
"""Days ahead that are counted, beside the one that is asked for."""


@dataclass(frozen=True)
class TargetCounts:
    """What a source holds of one target at one horizon.

    Parameters
    ----------
    accounts : distinct accounts with a label.
    with_outcome : those of them to which it happened.
    missing : what training would lack, and by how much, a line each; empty is enough.
    long_enough : whether the history can be split for training, calibration and test.
    """

    accounts: int
    with_outcome: int
    missing: tuple[str, ...]
    long_enough: bool


@dataclass(frozen=True)
class HorizonCounts:
    """What a source holds at one horizon.

    Parameters
    ----------
    days : H.
    grace_days : G in force: none for order businesses.
    first, last : the first and the last usable as_of, the last being one whose outcome is known; None without any.
    targets : what there is, by target.
    """

    days: int
    grace_days: int
    first: datetime | None
    last: datetime | None
    targets: Mapping[Target, TargetCounts]

    @property
    def ready(self) -> tuple[Target, ...]:
        """The targets of which there is enough to train on."""
        return tuple(t for t, there in self.targets.items() if not there.missing)

    def as_dict(self) -> dict[str, Any]:
        """The counts as plain JSON values; instants as ISO 8601."""
        dates = {k: None if (at := getattr(self, k)) is None else to_iso(at) for k in ("first", "last")}
        told = {target: asdict(there) | {"missing": list(there.missing)} for target, there in self.targets.items()}
        return {"days": self.days, "grace_days": self.grace_days} | dates | told


@dataclass(frozen=True)
class LabelledGrid:
    """The dates of which the outcome is known, and the labels of every account that is active at one of them."""

    grid: Grid
    labels: pd.DataFrame


def count_at_horizon(signals: Signals, config: TrainConfig) -> tuple[HorizonCounts, LabelledGrid | None]:
    """What ``signals`` hold at ``config.horizon_days``, on the grid that training would use, and the labels that tell
    it; None without any."""
    days, grace = config.horizon_days, config.grace_days if signals.contractual else 0
    try:
        labelled = _labelled(signals, config)
    except InsufficientData as lacking:
        nothing = TargetCounts(0, 0, tuple(lacking.missing), False)
        return HorizonCounts(days, grace, None, None, dict.fromkeys(TARGETS, nothing)), None
    there = {}
    for target in TARGETS:
        counted = count_outcomes(labelled.labels, labelled.grid.as_ofs, target, days, grace, signals.data_through)
        long_enough = counted.split is not None
        there[target] = TargetCounts(counted.accounts, counted.accounts_with_outcome, counted.missing, long_enough)
    return HorizonCounts(days, grace, labelled.grid.first, labelled.grid.last, there), labelled


def _labelled(signals: Signals, config: TrainConfig) -> LabelledGrid:
    grid, grace = labelled_grid(signals, config)
    table = signals.tables["subscriptions" if signals.contractual else "orders"]
    known = table.select("account_id").distinct().order_by("account_id").to_pyarrow()
    accounts = known["account_id"].to_numpy(zero_copy_only=False)
    as_ofs = pd.DatetimeIndex(grid.as_ofs).as_unit("us")
    pairs = pd.DataFrame({"account_id": np.tile(accounts, grid.n), "as_of": as_ofs.repeat(len(accounts))})
    labels = label(signals, pairs, config.horizon_days, grace)
    # Only active accounts have snapshots.
    labels = labels[labels["active"]].reset_index(drop=True)
    if signals.contractual:
        labels = mask_growth(labels, overwritten_rows(labels["as_of"], labels["arr"]))
    if labels.empty:
        raise InsufficientData(["accounts: none is active at any date with a known outcome"])
    return LabelledGrid(grid, labels)
