"""A candidate beside the champion, on outcomes that the champion could not know when it was trained."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from models.bundle import Bundle
from training.bootstrap import AccountBootstrap, interval
from training.config import TrainConfig
from training.logistic import log_loss
from training.metrics import log_odds
from training.steps import Floats
from training.sufficiency import MINIMUM_OUTCOMES


@dataclass(frozen=True)
class Against:
    """How much worse (positive) the candidate's log loss is than the champion's, with its 95% interval; None with a
    reason where the two cannot be compared."""

    version: str
    apart: tuple[float, float, float] | None
    reason: str = ""


def against_champion(
    champion: Bundle, p: Floats, frame: pd.DataFrame, y: Floats, grace_days: int, config: TrainConfig
) -> Against:
    """Compare them on the test rows whose label window was still open when the champion was trained.

    Parameters
    ----------
    p : the candidate's probabilities on the test rows, shape (n,).
    frame, y : the rows and their labels, 0 or 1.
    """
    told, horizon = champion.manifest, config.horizon_days
    if (told.horizon_days, told.grace_days) != (horizon, grace_days):
        return Against(told.version, None, f"the champion predicts {told.horizon_days} days ahead")
    open_then = (frame["as_of"] + timedelta(days=horizon + grace_days) > told.trained_through).to_numpy()
    accounts = frame["account_id"].to_numpy(dtype=object)
    if len(set(accounts[open_then & (y == 1)])) < MINIMUM_OUTCOMES["test"]:
        return Against(told.version, None, "the champion has seen the outcomes of the test")
    rows = np.flatnonzero(open_then)
    theirs = champion.scorer.predict(frame.iloc[rows]).probability
    losses = [log_loss(log_odds(of), y[rows]) for of in (p[rows], theirs)]
    apart = losses[0] - losses[1]
    means = AccountBootstrap(accounts[rows], config.resamples, config.seed).means(apart)
    return Against(told.version, (float(apart.mean()), *interval(means)))
