"""How much more there is to learn from than at a model's training.

An outcome is one churn (or expansion) of one account. It is seen from every date whose window it falls into, so that a
run of such dates counts once. It is known from a date once that date's window of H + G has closed; an outcome whose
windows straddle the training therefore counts as new, unless an earlier window had shown it by then.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from features.signals.signals import Signals
from models.artifacts.bundle import Manifest
from models.targets import Target
from training.config import TrainConfig
from training.dataset.outcome_counts import count_at_horizon

EVERY_DAYS = 28


def new_outcome_share(signals: Signals, told: Manifest) -> float:
    """The outcomes that became known after a model's training, as a share of those known then: whatever part of the
    history they lay in, the test's and the gaps' too.

    Parameters
    ----------
    told : of the model.
    """
    days, grace = told.horizon_days, told.grace_days
    config = TrainConfig(horizon_days=days, grace_days=grace, every_days=EVERY_DAYS)
    labelled = count_at_horizon(signals, config)[1]
    if labelled is None:
        return 0.0
    step, gap = labelled.grid.every_days, timedelta(days=days + grace)
    now = count_outcomes(labelled.labels, told.target, step, signals.data_through - gap)
    then = count_outcomes(labelled.labels, told.target, step, told.trained_through - gap)
    return (now - then) / max(then, 1)


def count_outcomes(labels: pd.DataFrame, target: Target, every_days: int, newest: datetime) -> int:
    """Count the outcomes that are seen from the dates up to ``newest``.

    Parameters
    ----------
    labels : account_id, as_of on a grid of ``every_days``, and the target's 0, 1 or NaN; one row per pair.
    """
    seen = labels.loc[(labels[target] == 1) & (labels["as_of"] <= newest), ["account_id", "as_of"]]
    before = seen.assign(as_of=seen["as_of"] + timedelta(days=every_days))
    return len(seen) - len(seen.merge(before, on=["account_id", "as_of"]))
