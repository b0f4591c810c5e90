"""Value of a ranking for a team that can look after a limited number of accounts per date."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from training.evaluation.comparison import json_safe
from training.evaluation.test_predictions import RESAMPLES, UNDEFINED, MetricEstimate, ScoredTestRows
from training.statistics.account_bootstrap import AccountBootstrap, interval

RANDOM = "random"
"""Name of the random ranking, for comparison."""


@dataclass(frozen=True)
class CapacityCapture:
    """Share of the outcomes among the ``capacity`` accounts that a candidate ranks highest, over all predicted dates.

    Parameters
    ----------
    candidate : name of the candidate; `RANDOM` for the random ranking.
    capacity : accounts of the whole portfolio that are looked after per date.
    caught, caught_arr : share of the rows with the outcome that are covered, and of their ARR. Higher is better; the
        share of `RANDOM` is guessing.
    lift : covered outcomes over those covered by a random ranking. 1 is guessing, 3 good.
    arr_lead : the share of the ARR that the model covers minus that of this candidate, on the same resamples. Above 0,
        the model covers more; NaN without a model to compare with.
    """

    candidate: str
    capacity: int
    caught: MetricEstimate
    caught_arr: MetricEstimate
    lift: MetricEstimate
    arr_lead: MetricEstimate

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return dict(json_safe(asdict(self)))


@dataclass(frozen=True)
class CapacityValue(CapacityCapture):
    """Value of the covered outcomes to a team, on the average predicted date.

    Parameters
    ----------
    saves, saved_arr : accounts and ARR saved (for expansion, won) if a share ``save_rate`` of the covered outcomes is.
    cost : cost of looking after ``capacity`` accounts, currency.
    """

    saves: MetricEstimate
    saved_arr: MetricEstimate
    cost: float


def capacity_capture(
    tested: ScoredTestRows, capacity: int, seed: int = 0, within: Bools | None = None, subject: str | None = None
) -> tuple[CapacityCapture, ...]:
    """Compute the share of outcomes that a team covers with each candidate's ranking, and with a random one.

    Parameters
    ----------
    tested : scored test rows.
    capacity : accounts that the team can look after per date.
    seed : seed of the intervals.
    within : rows whose outcomes are counted, such as a segment, shape (n,); None for all. The ranking is always that of
        the whole portfolio, because there is one team.
    subject : the model with which the other candidates are compared; None for no comparison.

    Returns
    -------
    tuple of CapacityCapture
    """
    inside = np.ones(len(tested.y), dtype=bool) if within is None else within
    bootstrap = AccountBootstrap(tested.accounts[inside], RESAMPLES, seed)
    y, arr = tested.y[inside], tested.arr[inside]
    chances = {name: chance[inside] for name, chance in _chances(tested, capacity).items()}
    return tuple(
        CapacityCapture(
            name,
            capacity,
            _share(bootstrap, chance * y, y),
            _share(bootstrap, chance * y * arr, y * arr),
            _share(bootstrap, chance * y, chances[RANDOM] * y),
            UNDEFINED if subject is None else _share(bootstrap, (chances[subject] - chance) * y * arr, y * arr),
        )
        for name, chance in chances.items()
    )


def capacity_value(
    tested: ScoredTestRows, capacity: int, save_rate: float, cost: float, seed: int = 0, subject: str | None = None
) -> tuple[CapacityValue, ...]:
    """Compute the value of each candidate's ranking to a team, and that of a random ranking.

    Parameters
    ----------
    tested : scored test rows.
    capacity : accounts that the team can look after per date.
    save_rate : share of the accounts reached in time that are saved (or won); an assumption until measured on a holdout
        group.
    cost : cost of looking after one account, currency.
    seed : seed of the intervals.
    subject : the model with which the other candidates are compared; None for no comparison.

    Returns
    -------
    tuple of CapacityValue
    """
    bootstrap = AccountBootstrap(tested.accounts, RESAMPLES, seed)
    ones = np.ones(len(tested.y))
    saves = save_rate * len(tested.y) / tested.as_of.nunique() * tested.y
    chances = _chances(tested, capacity)
    return tuple(
        CapacityValue(
            **vars(one),
            saves=_share(bootstrap, chances[one.candidate] * saves, ones),
            saved_arr=_share(bootstrap, chances[one.candidate] * saves * tested.arr, ones),
            cost=cost * capacity,
        )
        for one in capacity_capture(tested, capacity, seed, subject=subject)
    )


def _chances(tested: ScoredTestRows, capacity: int) -> dict[str, Floats]:
    """Return the probability of each row to be among the highest of its date, by candidate."""
    dates = [np.flatnonzero((tested.as_of == date).to_numpy()) for date in np.sort(tested.as_of.unique())]
    return {
        name: np.sum([_picked(p, rows, capacity) for rows in dates], axis=0)
        for name, p in {**tested.p, RANDOM: np.ones(len(tested.y))}.items()
    }


def _picked(p: Floats, rows: Ints, capacity: int) -> Floats:
    """Return the probability of each row to be among the highest of its date; ties share the remaining capacity."""
    chance, here = np.zeros(len(p)), p[rows]
    if capacity >= len(rows):
        chance[rows] = 1.0
        return chance
    limit = np.sort(here)[::-1][capacity - 1]
    above, level = here > limit, here == limit
    chance[rows[above]] = 1.0
    chance[rows[level]] = (capacity - above.sum()) / level.sum()
    return chance


def _share(bootstrap: AccountBootstrap, part: Floats, whole: Floats) -> MetricEstimate:
    """Return the sum of one over the sum of the other, both on the same resamples."""
    sums = [np.bincount(bootstrap.codes, values, bootstrap.accounts) for values in (part, whole)]
    if not sums[1].sum():
        return UNDEFINED
    resampled = [bootstrap.counts @ values for values in sums]
    positive: Bools = resampled[1] > 0
    shares = np.where(positive, resampled[0] / np.where(positive, resampled[1], 1.0), np.nan)
    return (float(sums[0].sum() / sums[1].sum()), *interval(shares))
