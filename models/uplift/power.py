"""Power of a comparison of two churn rates.

A difference is detected if its two-sided interval excludes zero. By the normal approximation, an effect ``d`` with
standard error ``e`` is detected with the given power if ``d`` is at least ``(z_(1 - alpha / 2) + z_power) * e`` (Cohen,
Statistical Power Analysis, 1988, chapter 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from statistics import NormalDist

import numpy as np

from features.utils.arrays import Floats

CONFIDENCE = 0.95
POWER = 0.8
#: Minimum accounts per arm, and minimum lost accounts among those held out, for an effect.
MIN_ACCOUNTS = 20
MIN_LOST = 5
_STEPS = 60


def required_ratio(power: float = POWER, confidence: float = CONFIDENCE) -> float:
    """Return the number of standard errors that an effect must have to be detected.

    Parameters
    ----------
    power : the probability to detect the effect, above 0.5 and below 1.
    confidence : of the interval.
    """
    normal = NormalDist()
    return normal.inv_cdf(0.5 + confidence / 2) + normal.inv_cdf(power)


def smallest_effect(
    most: float, variance: Callable[[float], float], power: float = POWER, confidence: float = CONFIDENCE
) -> float | None:
    """Return the smallest effect that is detected with the given power, or None if there is none up to ``most``.

    Parameters
    ----------
    most : the largest possible effect.
    variance : returns the variance of the estimate if the effect is its argument.
    power, confidence : as in `required_ratio`.
    """
    ratio = required_ratio(power, confidence)
    if not most > 0 or most < ratio * variance(most) ** 0.5:
        return None
    low, high = 0.0, most
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if middle >= ratio * variance(middle) ** 0.5 else (middle, high)
    return high


@dataclass(frozen=True)
class RiskProfile:
    """Churn probabilities of the accounts that a trial draws from, shape (n,).

    The probabilities are used as given, so the power is that of an estimate that is adjusted for them, if they are
    calibrated: the outcomes of an arm then vary around the probabilities with ``p * (1 - p)``.
    """

    churn: Floats

    @property
    def mean(self) -> float:
        """The expected churn rate without plays."""
        return float(self.churn.mean())

    def variance(self, save_rate: float, share: float) -> float:
        """Return the variance of the estimated reduction of the churn rate, times the number of accounts.

        Parameters
        ----------
        save_rate : the share of the churning accounts that the play saves, 0 to 1.
        share : the share of held-out accounts, above 0 and below 1.
        """
        treated = self.churn * (1.0 - save_rate)
        arms = [float(np.mean(rate * (1.0 - rate))) for rate in (treated, self.churn)]
        return arms[0] / (1.0 - share) + arms[1] / share

    def required_accounts(self, save_rate: float, share: float, power: float = POWER) -> int | None:
        """Return how many accounts detect a play that saves a share of the churning accounts.

        The arms also have the minimum sizes for an effect. None: without risk, no number of accounts is enough.
        """
        if not self.mean * save_rate > 0:
            return None
        enough = (required_ratio(power) / (save_rate * self.mean)) ** 2 * self.variance(save_rate, share)
        return ceil(max(enough, MIN_ACCOUNTS / min(share, 1.0 - share), MIN_LOST / (share * self.mean)) - 1e-9)

    def detectable_save_rate(self, accounts: int, share: float, power: float = POWER) -> float | None:
        """Return the smallest save rate that a number of accounts detects; None if not even 1 is detected."""
        if accounts * min(share, 1.0 - share) < MIN_ACCOUNTS or accounts * share * self.mean < MIN_LOST:
            return None
        mean = self.mean
        effect = smallest_effect(mean, lambda d: self.variance(d / mean, share) / accounts, power)
        return None if effect is None else min(effect / mean, 1.0)
