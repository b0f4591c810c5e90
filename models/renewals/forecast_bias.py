"""How far a model's whole level may be off, learnt from past forecasts.

Each probability has an interval, but what is unknown of one account alone changes nothing in a sum over many: a yes or
no drawn with an uncertain probability is a yes or no drawn with its mean. What widens a sum is the part of the error
that all accounts share (a level that has moved, a calibrator fitted on few outcomes). It is modelled as one normal
draw S for all, which moves the log-odds of account i by ``k * s_i * S``, where ``s_i`` is the standard deviation of its
own interval in log-odds and ``k`` the shared part of it.

``k`` is not known either. Past quarters tell it: there the count that happened misses the one expected by more than
chance, or does not. With a half-normal prior for k (Gelman 2006, for the scale of few groups) its distribution is
worked out on a grid, each quarter's count taken as normal with the variance ``V + k**2 * D**2``: V the sum of p(1 - p),
D that of p(1 - p) s. Forecasts draw k from it, so that a portfolio without a past is told wider, not surer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: The normal quantile of an 80% interval.
NORMAL_80 = 1.2815515655446004
#: The scale of the prior. An account's interval is about 0.9 wide on either side in standard deviations, so that 0.15
#: lets a level be off by a seventh. Held against twenty simulated quarters (bench/RESULTS.md): at 0.35, what a
#: calibrator fitted on the fewest accounts leaves open, the intervals of ARR held 18 of 20, at 0.15 17 of 20.
PRIOR_SCALE = 0.15
_GRID = np.linspace(0.0, 2.0, 401)
_EDGE = 1e-6
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_STEPS = 8


@dataclass(frozen=True)
class Missed:
    """One past forecast of a count: what was ``expected``, what ``happened``, the ``variance`` by chance (V above), and
    ``drawn``, the change of the expected count for a unit of ``k * S`` (D above)."""

    expected: float
    happened: float
    variance: float
    drawn: float


@dataclass(frozen=True)
class Level:
    """The distribution of k: ``weight`` of each value of ``grid``."""

    grid: Floats
    weight: Floats

    @property
    def mean(self) -> float:
        """The mean of k."""
        return float(self.grid @ self.weight)

    def draws(self, n: int, rng: np.random.Generator) -> Floats:
        """``k * S`` of n forecasts, shape (n,)."""
        return rng.choice(self.grid, size=n, p=self.weight) * rng.standard_normal(n)

    @property
    def spread(self) -> float:
        """The standard deviation of ``k * S``."""
        return float(np.sqrt(self.grid**2 @ self.weight))


#: Nothing is shared: every probability is exactly right.
CERTAIN = Level(np.zeros(1), np.ones(1))


def level_of(missed: Iterable[Missed]) -> Level:
    """What past forecasts say of k; without any, the prior."""
    weight = -0.5 * (_GRID / PRIOR_SCALE) ** 2
    for each in missed:
        if each.variance <= 0 or each.drawn <= 0:
            continue
        variance = each.variance + (_GRID * each.drawn) ** 2
        weight = weight - 0.5 * (each.happened - each.expected) ** 2 / variance - 0.5 * np.log(variance)
    weight = np.exp(weight - weight.max())
    return Level(_GRID, weight / weight.sum())


def missed_of(p: Floats, spread: Floats, happened: Floats) -> Missed:
    """One past forecast: the probabilities of n accounts, their spreads (`spread_of`), and what happened, 0 or 1."""
    chance = p * (1 - p)
    return Missed(float(p.sum()), float(happened.sum()), float(chance.sum()), float((chance * spread).sum()))


def spread_of(low: Floats, high: Floats) -> Floats:
    """The standard deviation, in log-odds, of 80% intervals, shape (n,)."""
    return (log_odds(high) - log_odds(low)) / (2 * NORMAL_80)


def log_odds(p: Floats) -> Floats:
    """Of probabilities, kept within 1e-6 of 0 and 1."""
    kept = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(kept) - np.log1p(-kept)


def moved(p: Floats, by: Floats, spread: Floats) -> Floats:
    """Probabilities (n,) whose log-odds are moved ``by`` each of m amounts, shape (m, n).

    Parameters
    ----------
    spread : the standard deviation of the amounts for each account, (n,): the log-odds are first shifted so that the
        mean over normal amounts stays p.
    by : shape (m, n) or (m, 1).

    0 and 1 stay what they are.
    """
    return Moving.of(p, spread)(by)


@dataclass(frozen=True)
class Moving:
    """`moved` for many amounts one after another: the shift is worked out once."""

    p: Floats
    centre: Floats
    stays: Bools

    @classmethod
    def of(cls, p: Floats, spread: Floats) -> Moving:
        """Probabilities and the spread of the amounts, as `moved` takes them."""
        return cls(p, _centred(p, spread), (p <= 0) | (p >= 1))

    def __call__(self, by: Floats) -> Floats:
        """The probabilities moved."""
        return np.where(self.stays, self.p, _logistic(self.centre + by))


def _centred(p: Floats, spread: Floats) -> Floats:
    """The log-odds whose logistic, averaged over a normal of this spread around them, is p: Newton's steps on
    Gauss-Hermite's quadrature."""
    z = log_odds(p)
    amounts = spread[:, None] * _NODES
    for _ in range(_STEPS):
        each = _logistic(z[:, None] + amounts)
        slope = (each * (1 - each)) @ _WEIGHTS
        z = z - (each @ _WEIGHTS - np.clip(p, _EDGE, 1 - _EDGE)) / np.maximum(slope, 1e-12)
    return z


def _logistic(z: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -40.0, 40.0))), dtype=np.float64)
