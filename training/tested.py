"""What the test dates say beyond the portfolio's averages: by segment, at other horizons, and for a team that can look
after so many accounts a week."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from training import metrics
from training.bootstrap import AccountBootstrap, interval
from training.judge import plain
from training.metrics import Predictions
from training.steps import Bools, Floats, Objects

RESAMPLES = 300
#: Accounts with and accounts without the outcome, below which a segment's figures would be made up.
LEAST = 10
Figure = tuple[float, float, float]
"""A value and its 95% interval, accounts resampled; NaN where it is not defined."""
UNKNOWN: Figure = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class JudgedRows:
    """The test rows, n of them.

    Parameters
    ----------
    accounts, as_of, segment : of each row.
    y, arr : the label, 0 or 1, and the ARR at as_of in currency a year, shape (n,).
    p : the probabilities of each candidate, by name, shape (n,) each.
    """

    accounts: Objects
    as_of: pd.Series[pd.Timestamp]
    segment: Objects
    y: Floats
    arr: Floats
    p: Mapping[str, Floats]


@dataclass(frozen=True)
class Part:
    """One candidate on a part of the test rows, a segment's or a horizon's.

    Parameters
    ----------
    name : of the part.
    rows, accounts, happened : rows, accounts, and accounts with the outcome.
    rate, expected : how often it happened, and the mean probability.
    ratio : happened over expected; roc_auc, brier : as in `training.metrics`. All NaN where there are too few.
    """

    name: str
    rows: int
    accounts: int
    happened: int
    rate: float
    expected: float
    ratio: Figure
    roc_auc: Figure
    brier: Figure

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(plain(asdict(self)))


@dataclass(frozen=True)
class Worked:
    """What a team sees of the outcomes that looks after the ``capacity`` accounts which a candidate ranks highest, on
    the average test date.

    Parameters
    ----------
    candidate : whose ranking; "random" for none.
    capacity : accounts.
    caught, caught_arr : the share of the accounts with the outcome among them, and of those accounts' ARR.
    saves, saved_arr : accounts and ARR that would be kept if a share ``save_rate`` of those were; for expansion, won.
    cost : of looking after them.
    """

    candidate: str
    capacity: int
    caught: Figure
    caught_arr: Figure
    saves: Figure
    saved_arr: Figure
    cost: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(plain(asdict(self)))


def part(name: str, y: Floats, p: Floats, accounts: Objects, seed: int = 0) -> Part:
    """Measure one candidate on some rows, n of them."""
    data, bootstrap = Predictions(y, p, np.zeros(len(y))), AccountBootstrap(accounts, RESAMPLES, seed)
    happened, others = len(set(accounts[y == 1])), len(set(accounts[y == 0]))
    enough = min(happened, others) >= LEAST

    figures = (figure(of, data, bootstrap) if enough else UNKNOWN for of in (ratio, metrics.roc_auc, metrics.brier))
    return Part(
        name,
        len(y),
        bootstrap.accounts,
        happened,
        float(y.mean()) if len(y) else float("nan"),
        float(p.mean()) if len(p) else float("nan"),
        *figures,
    )


def by_segment(tested: JudgedRows, candidate: str, seed: int = 0) -> tuple[Part, ...]:
    """One candidate segment by segment, in the order of their names."""
    return tuple(
        part(str(name), tested.y[rows], tested.p[candidate][rows], tested.accounts[rows], seed)
        for name in sorted(set(tested.segment))
        if (rows := tested.segment == name).any()
    )


def worked(tested: JudgedRows, capacity: int, save_rate: float, cost: float, seed: int = 0) -> tuple[Worked, ...]:
    """What each candidate's ranking is worth to a team, and what no ranking is.

    Parameters
    ----------
    capacity : accounts that the team can look after at a date.
    save_rate : the share of those reached in time that are kept (or won); an assumption until held-out accounts tell.
    cost : of looking after one account, currency.
    """
    found = []
    dates = [np.flatnonzero((tested.as_of == date).to_numpy()) for date in np.sort(tested.as_of.unique())]
    bootstrap = AccountBootstrap(tested.accounts, RESAMPLES, seed)
    ones = np.ones(len(tested.y))
    for name, p in {**tested.p, "random": ones}.items():
        picked = sum(_picked(p, rows, capacity) for rows in dates)
        columns = {
            "caught": (picked * tested.y, tested.y),
            "caught_arr": (picked * tested.y * tested.arr, tested.y * tested.arr),
            "saves": (save_rate * len(tested.y) / len(dates) * picked * tested.y, ones),
            "saved_arr": (save_rate * len(tested.y) / len(dates) * picked * tested.y * tested.arr, ones),
        }
        figures = {key: _share(bootstrap, part, whole) for key, (part, whole) in columns.items()}
        found.append(Worked(name, capacity, **figures, cost=cost * capacity))
    return tuple(found)


def _picked(p: Floats, rows: Any, capacity: int) -> Floats:
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


def _share(bootstrap: AccountBootstrap, part: Floats, whole: Floats) -> Figure:
    sums = [np.bincount(bootstrap.codes, values, bootstrap.accounts) for values in (part, whole)]
    if not sums[1].sum():
        return UNKNOWN
    resampled = [bootstrap.counts @ values for values in sums]
    known: Bools = resampled[1] > 0
    shares = np.where(known, resampled[0] / np.where(known, resampled[1], 1.0), np.nan)
    return (float(sums[0].sum() / sums[1].sum()), *interval(shares))


def figure(of: Callable[[Predictions, Floats], Floats], data: Predictions, bootstrap: AccountBootstrap) -> Figure:
    """A metric's value and its interval."""
    once = np.ones((1, len(data.y)))
    return (float(of(data, once)[0]), *interval(bootstrap.values(lambda weights: of(data, weights))))


def ratio(data: Predictions, weights: Floats) -> Floats:
    """How many times as often it happened as was predicted; 1 is right."""
    return np.asarray((weights @ data.y) / (weights @ data.p), dtype=np.float64)
