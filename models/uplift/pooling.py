"""Save rates of plays, pooled: the fewer accounts a play has, the closer its rate to that of all plays.

The rates of the plays are taken to vary around the rate of all plays with a variance that is estimated by the method of
moments (DerSimonian and Laird, Controlled Clinical Trials 7, 1986). Without evidence that plays differ, the variance is
zero, and every play has the rate of all plays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from models.uplift.average_effect import InterventionEffect
from models.uplift.power import CONFIDENCE


@dataclass(frozen=True)
class PooledRate:
    """A save rate of a play, with its 95% interval. Below 0, plays do harm."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PooledRates:
    """Save rates by play.

    ``others`` is the rate of a play without an estimate of its own; ``variance`` is that between plays; ``measured`` is
    whether the interval of the effect of all plays lies above zero.
    """

    by_play: Mapping[str, PooledRate]
    others: PooledRate
    variance: float
    measured: bool

    def save_rate(self, play: str | None) -> float | None:
        """Return the save rate of a play, 0 to 1, or None if it is unknown.

        If all plays together have a measured effect, every play has a rate. Otherwise, only a play whose own interval
        lies above zero has one.
        """
        rate = self.others if play is None else self.by_play.get(play, self.others)
        if not self.measured and (rate is self.others or rate.low <= 0):
            return None
        return min(max(rate.value, 0.0), 1.0)


def pool_rates(overall: InterventionEffect, by_play: Mapping[str, InterventionEffect]) -> PooledRates:
    """Pool the save rates of plays.

    Parameters
    ----------
    overall : the effect of all plays.
    by_play : the effects of the plays that have one of their own.
    """
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    variance = _between(by_play)
    whole = overall.ratio_error**2
    rates = {}
    for play, effect in by_play.items():
        own = effect.ratio_error**2
        weight = variance / (variance + own) if variance + own > 0 else 0.0
        value = weight * effect.ratio + (1.0 - weight) * overall.ratio
        error = (weight * own + (1.0 - weight) ** 2 * whole) ** 0.5
        rates[play] = PooledRate(value, value - z * error, value + z * error)
    error = (variance + whole) ** 0.5
    others = PooledRate(overall.ratio, overall.ratio - z * error, overall.ratio + z * error)
    return PooledRates(rates, others, variance, overall.low > 0)


def _between(by_play: Mapping[str, InterventionEffect]) -> float:
    """Return the variance of the save rates between plays."""
    if len(by_play) < 2:
        return 0.0
    values = np.array([effect.ratio for effect in by_play.values()])
    weights = 1.0 / np.maximum([effect.ratio_error**2 for effect in by_play.values()], 1e-12)
    mean = float(np.sum(weights * values) / weights.sum())
    statistic = float(np.sum(weights * (values - mean) ** 2))
    scale = float(weights.sum() - np.sum(weights**2) / weights.sum())
    return max((statistic - (len(values) - 1)) / scale, 0.0)
