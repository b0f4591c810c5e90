"""The bias of a model's level, learned from past forecasts.

Each probability has an interval, but the uncertainty about a single account does not widen a sum over many: a Bernoulli
draw with an uncertain probability is a Bernoulli draw with its mean. A sum is widened by the part of the error that all
accounts share (a level that has shifted, or a calibrator fitted on few outcomes). This is modeled as one normal draw S
for all accounts, which shifts the log-odds of account i by ``k * s_i * S``. ``s_i`` is the standard deviation of its
interval in log-odds, and ``k`` is the shared part of it.

``k`` is unknown too, and is estimated from past quarters: there, the observed count differs from the expected one by
more than chance, or not. With a half-normal prior for k (Gelman 2006, for the scale of few groups), its distribution is
computed on a grid. Each quarter's count is taken as normal with the variance ``V + k**2 * D**2``: V is the sum of
p(1 - p), and D that of p(1 - p) s. Forecasts draw k from this distribution, so that a portfolio without past forecasts
gets wider intervals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Bools, Floats

#: The normal quantile of an 80% interval.
NORMAL_80 = 1.2815515655446004
#: The scale of the prior. The interval of an account is about 0.9 standard deviations wide on either side, so that 0.15
#: allows a bias of about a seventh. Over twenty simulated quarters (bench/RESULTS.md), the intervals of ARR covered 17
#: of 20 at 0.15, and 18 of 20 at 0.35, the uncertainty of a calibrator fitted on the fewest accounts.
PRIOR_SCALE = 0.15
_GRID = np.linspace(0.0, 2.0, 401)
_EDGE = 1e-6
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_STEPS = 8


@dataclass(frozen=True)
class CountForecast:
    """A past forecast of a count.

    ``expected`` and ``happened`` are the forecast and the observed count, ``variance`` is the variance by chance (V
    above), and ``drawn`` is the change of the expected count per unit of ``k * S`` (D above).
    """

    expected: float
    happened: float
    variance: float
    drawn: float


@dataclass(frozen=True)
class BiasDistribution:
    """The distribution of k: ``weight`` of each value of ``grid``."""

    grid: Floats
    weight: Floats

    @property
    def mean(self) -> float:
        """The mean of k."""
        return float(self.grid @ self.weight)

    def draws(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw ``k * S`` for n forecasts, shape (n,)."""
        return rng.choice(self.grid, size=n, p=self.weight) * rng.standard_normal(n)

    @property
    def spread(self) -> float:
        """The standard deviation of ``k * S``."""
        return float(np.sqrt(self.grid**2 @ self.weight))


def bias_distribution(forecasts: Iterable[CountForecast]) -> BiasDistribution:
    """Estimate the distribution of k from past forecasts; without any, it is the prior."""
    weight = -0.5 * (_GRID / PRIOR_SCALE) ** 2
    for each in forecasts:
        if each.variance <= 0 or each.drawn <= 0:
            continue
        variance = each.variance + (_GRID * each.drawn) ** 2
        weight = weight - 0.5 * (each.happened - each.expected) ** 2 / variance - 0.5 * np.log(variance)
    weight = np.exp(weight - weight.max())
    return BiasDistribution(_GRID, weight / weight.sum())


def count_forecast(p: Floats, spread: Floats, happened: Floats) -> CountForecast:
    """Return the past forecast of a count, from probabilities and spreads of n accounts and outcomes (0 or 1).

    Parameters
    ----------
    p : the probabilities, shape (n,).
    spread : the standard deviation of their intervals in log-odds, shape (n,).
    happened : the outcomes, 0 or 1, shape (n,).

    Returns
    -------
    CountForecast
    """
    chance = p * (1 - p)
    return CountForecast(float(p.sum()), float(happened.sum()), float(chance.sum()), float((chance * spread).sum()))


def log_odds_spread(low: Floats, high: Floats) -> Floats:
    """Return the standard deviations, in log-odds, of 80% intervals, shape (n,)."""
    return (clipped_log_odds(high) - clipped_log_odds(low)) / (2 * NORMAL_80)


def clipped_log_odds(p: Floats) -> Floats:
    """Return the log-odds of probabilities, clipped to at least 1e-6 from 0 and 1."""
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(clipped) - np.log1p(-clipped)


def shift_probabilities(p: Floats, by: Floats, spread: Floats) -> Floats:
    """Shift the log-odds of probabilities (n,) by m amounts, shape (m, n). Probabilities of 0 and 1 do not change.

    Parameters
    ----------
    p : the probabilities.
    by : the amounts, shape (m, n) or (m, 1).
    spread : the standard deviation of the amounts for each account, (n,). The log-odds are centered so that the mean
        over normal amounts is p.
    """
    return ProbabilityShift.of(p, spread)(by)


@dataclass(frozen=True)
class ProbabilityShift:
    """`shift_probabilities` for repeated use: the centering is computed once."""

    p: Floats
    center: Floats
    stays: Bools

    @classmethod
    def of(cls, p: Floats, spread: Floats) -> ProbabilityShift:
        """Create a shift from probabilities and spreads, as in `shift_probabilities`."""
        return cls(p, _center_log_odds(p, spread), (p <= 0) | (p >= 1))

    def __call__(self, by: Floats) -> Floats:
        """Return the shifted probabilities."""
        return np.where(self.stays, self.p, _logistic(self.center + by))


def _center_log_odds(p: Floats, spread: Floats) -> Floats:
    """Return the log-odds whose logistic, averaged over a normal distribution with this spread around them, is p.

    It uses Newton steps with Gauss-Hermite quadrature.
    """
    z = clipped_log_odds(p)
    amounts = spread[:, None] * _NODES
    for _ in range(_STEPS):
        each = _logistic(z[:, None] + amounts)
        slope = (each * (1 - each)) @ _WEIGHTS
        z = z - (each @ _WEIGHTS - np.clip(p, _EDGE, 1 - _EDGE)) / np.maximum(slope, 1e-12)
    return z


def _logistic(z: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -40.0, 40.0))), dtype=np.float64)
