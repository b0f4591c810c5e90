"""Number of churns and expansions in a source per horizon. Needs labels only, so no feature is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features.errors import InsufficientData
from features.signals.signals import OpenSignals
from features.utils.dates import Grid, to_iso
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.labelled_snapshots import labelled_grid
from training.dataset.labels import label
from training.dataset.overwritten_terms import mask_growth, overwritten_rows
from training.dataset.sufficiency import count_outcomes

HORIZONS = (30, 60, 90, 180)
"""Horizons in days that are counted in addition to the requested one."""


@dataclass(frozen=True)
class TargetCounts:
    """Outcome counts of one target at one horizon.

    Parameters
    ----------
    accounts : distinct accounts with a label.
    with_outcome : those with the outcome.
    missing : what is missing for training, and how much, one line each; empty if there is enough.
    long_enough : whether the history is long enough for a backtest.
    """

    accounts: int
    with_outcome: int
    missing: tuple[str, ...]
    long_enough: bool


@dataclass(frozen=True)
class HorizonCounts:
    """Outcome counts at one horizon.

    Parameters
    ----------
    days : H.
    grace_days : G in effect: 0 for order businesses.
    first, last : first and last usable as_of; the outcome of the last is known. None if there are none.
    targets : counts by target.
    """

    days: int
    grace_days: int
    first: datetime | None
    last: datetime | None
    targets: Mapping[Target, TargetCounts]

    @property
    def accounts(self) -> int:
        """Distinct accounts with a label of any target."""
        return max(counts.accounts for counts in self.targets.values())

    @property
    def ready(self) -> tuple[Target, ...]:
        """Targets with enough data to train on."""
        return tuple(t for t, counts in self.targets.items() if not counts.missing)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values; instants as ISO 8601."""
        dates = {k: None if (at := getattr(self, k)) is None else to_iso(at) for k in ("first", "last")}
        targets = {name: asdict(counts) | {"missing": list(counts.missing)} for name, counts in self.targets.items()}
        return {"days": self.days, "grace_days": self.grace_days} | dates | targets


@dataclass(frozen=True)
class LabelledGrid:
    """Dates whose outcome is known, and the labels of every account that is active at them."""

    grid: Grid
    labels: pd.DataFrame


def count_at_horizon(signals: OpenSignals, config: TrainConfig) -> tuple[HorizonCounts, LabelledGrid | None]:
    """Count the outcomes at ``config.horizon_days``, on the grid that training would use.

    Parameters
    ----------
    signals : validated signals.
    config : the training settings.

    Returns
    -------
    HorizonCounts
    LabelledGrid or None
        The labels that were counted; None if there are none.
    """
    days, grace = config.horizon_days, config.grace_days if signals.contractual else 0
    try:
        labelled = _labelled(signals, config)
    except InsufficientData as lacking:
        empty = TargetCounts(0, 0, tuple(lacking.missing), False)
        return HorizonCounts(days, grace, None, None, dict.fromkeys(TARGETS, empty)), None
    targets = {}
    for target in TARGETS:
        counts = count_outcomes(labelled.labels, labelled.grid.as_ofs, target, days, grace, signals.data_through)
        long_enough = counts.origins is not None
        targets[target] = TargetCounts(counts.accounts, counts.accounts_with_outcome, counts.missing, long_enough)
    return HorizonCounts(days, grace, labelled.grid.first, labelled.grid.last, targets), labelled


def _labelled(signals: OpenSignals, config: TrainConfig) -> LabelledGrid:
    grid, grace = labelled_grid(signals, config)
    table = signals.tables["subscriptions" if signals.contractual else "orders"]
    ids = table.select("account_id").distinct().order_by("account_id").to_pyarrow()
    accounts = ids["account_id"].to_numpy(zero_copy_only=False)
    as_ofs = pd.DatetimeIndex(grid.as_ofs).as_unit("us")
    pairs = pd.DataFrame({"account_id": np.tile(accounts, grid.n), "as_of": as_ofs.repeat(len(accounts))})
    labels = label(signals, pairs, config.horizon_days, grace)
    # Only active accounts have snapshots.
    labels = labels[labels["active"]].reset_index(drop=True)
    if signals.contractual:
        labels = mask_growth(labels, overwritten_rows(labels["as_of"], labels["arr"]))
    if labels.empty:
        raise InsufficientData(["no account is active at any date with a known outcome"])
    return LabelledGrid(grid, labels)
