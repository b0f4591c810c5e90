"""Evaluation of the model at the horizons other than the main one, on the predictions of the backtest.

The outcome of a longer horizon is known later, so fewer predicted dates count. A horizon that cannot be evaluated is
reported as not evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Floats, Objects
from training.evaluation.test_predictions import MINIMUM_ACCOUNTS, UNDEFINED, PartMetrics, part_metrics


@dataclass(frozen=True)
class HorizonRows:
    """The predicted rows of one origin with a known outcome at a horizon of ``days``; arrays of shape (n,)."""

    days: int
    y: Floats
    p: Floats
    accounts: Objects


@dataclass(frozen=True)
class HorizonMetrics(PartMetrics):
    """Metrics of the model at one horizon.

    Parameters
    ----------
    note : why there are no metrics, if there are not ``enough`` rows.
    """

    note: str = ""

    @property
    def words(self) -> str:
        """Remark that belongs to the metrics or replaces them; empty if there is none."""
        if not self.enough:
            return f"{self.name}: not evaluated ({self.note})"
        return f"{self.name}: {self.note}" if self.note else ""


def evaluate_by_horizon(horizons: Sequence[int], rows: Sequence[HorizonRows], seed: int) -> tuple[HorizonMetrics, ...]:
    """Evaluate every further horizon, shortest first.

    Parameters
    ----------
    horizons : the horizons in days, ascending.
    rows : the predictions, of every origin.
    seed : seed of the intervals.

    Returns
    -------
    tuple of HorizonMetrics
    """
    return tuple(
        _evaluated(days, [part for part in rows if part.days == days and len(part.y)], seed) for days in horizons
    )


def _evaluated(days: int, parts: Sequence[HorizonRows], seed: int) -> HorizonMetrics:
    if not parts:
        return not_evaluated(days, "no predicted date has a known outcome, or there was none to learn from")
    y, p, accounts = (np.concatenate(each) for each in zip(*((x.y, x.p, x.accounts) for x in parts), strict=True))
    metrics = part_metrics(_name(days), y, p, accounts, seed)
    if metrics.enough:
        return HorizonMetrics(**vars(metrics))
    without = len(set(accounts[y == 0]))
    counts = f"{metrics.happened} accounts with the outcome and {without} without"
    return HorizonMetrics(**vars(metrics), note=f"{counts}; at least {MINIMUM_ACCOUNTS} of each")


def not_evaluated(days: int, reason: str) -> HorizonMetrics:
    """Return undefined metrics for a horizon that could not be evaluated.

    Parameters
    ----------
    days : the horizon.
    reason : why it could not be evaluated.

    Returns
    -------
    HorizonMetrics
    """
    nan = float("nan")
    return HorizonMetrics(_name(days), 0, 0, 0, nan, nan, False, UNDEFINED, UNDEFINED, UNDEFINED, note=reason)


def _name(days: int) -> str:
    return f"{days} days"
