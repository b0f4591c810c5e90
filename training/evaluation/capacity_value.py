"""What a ranking is worth to a team that can look after so many accounts a week."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from training.evaluation.comparison import json_safe
from training.evaluation.test_predictions import RESAMPLES, UNDEFINED, Estimate, ScoredTestRows
from training.statistics.account_bootstrap import AccountBootstrap, interval

RANDOM = "random"
"""The name of no ranking at all, to compare with."""


@dataclass(frozen=True)
class CapacityCapture:
    """The outcomes among the ``capacity`` accounts which a candidate ranks highest, over all test dates.

    Parameters
    ----------
    candidate : whose ranking; `RANDOM` for none.
    capacity : accounts of the whole portfolio that are looked after at a date.
    caught, caught_arr : the share of the rows with the outcome among them, and of those rows' ARR. Higher is better;
        what `RANDOM` catches is guessing.
    lift : how many times as many outcomes are caught as at random. 1 is guessing, 3 good.
    """

    candidate: str
    capacity: int
    caught: Estimate
    caught_arr: Estimate
    lift: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(json_safe(asdict(self)))


@dataclass(frozen=True)
class CapacityValue(CapacityCapture):
    """What a team makes of the outcomes that it sees, on the average test date.

    Parameters
    ----------
    saves, saved_arr : accounts and ARR that would be kept if a share ``save_rate`` of those were; for expansion, won.
    cost : of looking after ``capacity`` accounts, currency.
    """

    saves: Estimate
    saved_arr: Estimate
    cost: float


def capacity_capture(
    tested: ScoredTestRows, capacity: int, seed: int = 0, within: Bools | None = None
) -> tuple[CapacityCapture, ...]:
    """What a team sees by each candidate's ranking, and by none.

    Parameters
    ----------
    capacity : accounts that the team can look after at a date.
    within : the rows whose outcomes are counted, a segment's, shape (n,); None for all. The ranking is of the whole
        portfolio in any case, for there is one team.
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
        )
        for name, chance in chances.items()
    )


def capacity_value(
    tested: ScoredTestRows, capacity: int, save_rate: float, cost: float, seed: int = 0
) -> tuple[CapacityValue, ...]:
    """What each candidate's ranking is worth to a team, and what no ranking is.

    Parameters
    ----------
    capacity : accounts that the team can look after at a date.
    save_rate : the share of those reached in time that are kept (or won); an assumption until held-out accounts tell.
    cost : of looking after one account, currency.
    """
    bootstrap = AccountBootstrap(tested.accounts, RESAMPLES, seed)
    ones = np.ones(len(tested.y))
    kept = save_rate * len(tested.y) / tested.as_of.nunique() * tested.y
    chances = _chances(tested, capacity)
    return tuple(
        CapacityValue(
            **vars(one),
            saves=_share(bootstrap, chances[one.candidate] * kept, ones),
            saved_arr=_share(bootstrap, chances[one.candidate] * kept * tested.arr, ones),
            cost=cost * capacity,
        )
        for one in capacity_capture(tested, capacity, seed)
    )


def _chances(tested: ScoredTestRows, capacity: int) -> dict[str, Floats]:
    """The chance of each row to be among the highest of its date, by candidate."""
    dates = [np.flatnonzero((tested.as_of == date).to_numpy()) for date in np.sort(tested.as_of.unique())]
    return {
        name: np.sum([_picked(p, rows, capacity) for rows in dates], axis=0)
        for name, p in {**tested.p, RANDOM: np.ones(len(tested.y))}.items()
    }


def _picked(p: Floats, rows: Ints, capacity: int) -> Floats:
    """The chance of each row to be among the highest of its date; equal probabilities share what is left."""
    chance, here = np.zeros(len(p)), p[rows]
    if capacity >= len(rows):
        chance[rows] = 1.0
        return chance
    limit = np.sort(here)[::-1][capacity - 1]
    above, level = here > limit, here == limit
    chance[rows[above]] = 1.0
    chance[rows[level]] = (capacity - above.sum()) / level.sum()
    return chance


def _share(bootstrap: AccountBootstrap, part: Floats, whole: Floats) -> Estimate:
    """The sum of one over the sum of the other, both on the same resamples."""
    sums = [np.bincount(bootstrap.codes, values, bootstrap.accounts) for values in (part, whole)]
    if not sums[1].sum():
        return UNDEFINED
    resampled = [bootstrap.counts @ values for values in sums]
    known: Bools = resampled[1] > 0
    shares = np.where(known, resampled[0] / np.where(known, resampled[1], 1.0), np.nan)
    return (float(sums[0].sum() / sums[1].sum()), *interval(shares))
