"""Share of outcomes that became known after a model's training.

An outcome is one churn (or expansion) of one account. It appears at every date whose window contains it, so a run of
consecutive dates counts once. It becomes known at a date when that date's window of H + G has closed. An outcome whose
windows straddle the training therefore counts as new, unless an earlier window had already closed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from features.signals.signals import OpenSignals
from models.artifacts.bundle_files import Manifest
from models.targets import Target
from training.config import TrainConfig
from training.dataset.outcome_counts import count_at_horizon

EVERY_DAYS = 28


def new_outcome_share(signals: OpenSignals, manifest: Manifest) -> float:
    """Return the outcomes that became known after a model's training, relative to those known at training.

    The whole history counts, at dates four weeks apart. A run of consecutive dates with the outcome counts once.

    Parameters
    ----------
    signals : the current signals.
    manifest : the model's manifest.
    """
    days, grace = manifest.horizon_days, manifest.grace_days
    config = TrainConfig(horizon_days=days, grace_days=grace, every_days=EVERY_DAYS)
    labelled = count_at_horizon(signals, config)[1]
    if labelled is None:
        return 0.0
    step, gap = labelled.grid.every_days, timedelta(days=days + grace)
    now = count_outcomes(labelled.labels, manifest.target, step, signals.data_through - gap)
    then = count_outcomes(labelled.labels, manifest.target, step, manifest.trained_through - gap)
    return (now - then) / max(then, 1)


def count_outcomes(labels: pd.DataFrame, target: Target, every_days: int, newest: datetime) -> int:
    """Count the outcomes that appear at dates up to ``newest``.

    Parameters
    ----------
    labels : account_id, as_of on a grid of ``every_days``, and the target's 0, 1 or NaN; one row per pair.
    """
    positive = labels.loc[(labels[target] == 1) & (labels["as_of"] <= newest), ["account_id", "as_of"]]
    before = positive.assign(as_of=positive["as_of"] + timedelta(days=every_days))
    return len(positive) - len(positive.merge(before, on=["account_id", "as_of"]))
