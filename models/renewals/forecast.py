"""The renewal forecast: what of the ARR that is due will be lost, contracted and expanded, with 80% intervals.

A pure function of probabilities, ARR and habits. The expected values are exact sums, so that groups add up to the
whole. The intervals come from playing the period out many times: the common level of churn and of expansion is drawn
(`models.renewals.forecast_bias`), the rate of contraction from its Beta distribution, the sizes of changes from a
resample of
those that the portfolio has seen; then every account leaves, grows, shrinks or stays as it is.

An account that leaves loses its whole ARR; one that stays grows with the probability to grow given that it stays, and
otherwise shrinks at its segment's rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.renewals.forecast_bias import Level, Moving
from models.renewals.historical_rates import Habits

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]

#: The period is played out so many times; the 10th and 90th percentiles then scatter by about a fortieth of the width.
PLAYED = 4_000
#: Accounts times plays held in memory at once: few enough for a processor to keep them near.
_AT_ONCE = 250_000
INTERVAL = (0.1, 0.9)


@dataclass(frozen=True)
class Due:
    """n accounts that are due and of which everything is known, every array of shape (n,).

    ``arr`` currency a year, 0 or more; ``leaves`` the probability of having left by the renewal and its grace,
    ``grows`` that of growing by then; ``leaves_spread`` and ``grows_spread`` the standard deviations of their
    intervals in log-odds (`models.renewals.forecast_bias.spread_of`); ``segment`` names or None. ``grows`` may be
    None: then
    the habits' rate of growth is taken.
    """

    arr: Floats
    leaves: Floats
    leaves_spread: Floats
    grows: Floats | None
    grows_spread: Floats
    segment: Texts


@dataclass(frozen=True)
class Expected:
    """An expected value and its 80% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What is expected of some accounts. Amounts in currency a year.

    ``accounts`` and ``arr`` are due. ``renewed_accounts`` stay; ``renewed_arr`` is what they pay now, ``lost_arr`` what
    the others do; ``contracted_arr`` and ``expanded_arr`` is by how much those that stay will pay less and more.
    ``grr`` is (renewed - contracted) / due and ``nrr`` (renewed - contracted + expanded) / due; None where nothing is
    due.
    """

    accounts: int
    arr: float
    renewed_accounts: Expected
    renewed_arr: Expected
    lost_arr: Expected
    contracted_arr: Expected
    expanded_arr: Expected
    grr: Expected | None
    nrr: Expected | None


def forecast(
    due: Due, habits: Habits, leaving: Level, growing: Level, groups: Mapping[str, Texts], seed: int = 0
) -> dict[tuple[str, str | None], Forecast]:
    """Forecast the whole, and each group of accounts.

    Parameters
    ----------
    leaving, growing : how far the level of each model may be off.
    groups : divisions by name, such as "segment"; each gives every account's group, shape (n,).
    seed : the same seed gives the same intervals.

    Returns
    -------
    By (division, group); ("all", None) is the whole.
    """
    change = _Change.of(due, habits)
    keys, members = _members(groups, len(due.arr))
    played = _played(due, habits, leaving, growing, change, members, seed)
    p, arr = due.leaves, due.arr
    expected = np.stack([1 - p, arr * p, arr * (1 - p) * change.contracted, arr * (1 - p) * change.expanded], axis=1)
    sums = members @ expected
    totals = members @ arr
    return {
        key: _told(int(members[row].sum()), float(totals[row]), sums[row], played[:, row])
        for row, key in enumerate(keys)
    }


@dataclass(frozen=True)
class _Change:
    """Of accounts that stay: the chances to grow (before a common shift) and to shrink, and by what share of the ARR
    they are expected to contract and expand, (n,) each; and the sizes, by segment."""

    grows: Floats
    shrinks: Floats
    contracted: Floats
    expanded: Floats
    sizes: Mapping[str | None, tuple[Floats, Floats, Floats]]

    @classmethod
    def of(cls, due: Due, habits: Habits) -> _Change:
        n = len(due.arr)
        sizes = {name: habits.sizes(name) for name in dict.fromkeys(due.segment.tolist())}
        shrink, grow, means = np.zeros(n), np.zeros(n), np.zeros((4, n))
        for name, (grown, shrunk, level) in sizes.items():
            rows = due.segment == name
            a, b = habits.contraction(name)
            shrink[rows] = a / (a + b)
            a, b = habits.expansion(name)
            grow[rows] = a / (a + b)
            more, less = np.maximum(level - 1, 0).mean(), np.maximum(1 - level, 0).mean()
            means[:, rows] = np.array([[grown.mean() - 1], [1 - shrunk.mean()], [more], [less]])
        if due.grows is not None:
            grow = _given_staying(due.grows, due.leaves)
        shrink = np.minimum(shrink, 1 - grow)
        stays = 1 - grow - shrink
        contracted = shrink * means[1] + stays * means[3]
        return cls(grow, shrink, contracted, grow * means[0] + stays * means[2], sizes)


def _given_staying(grows: Floats, leaves: Floats) -> Floats:
    """Whoever grows stays, so that of those who stay more grow than of all."""
    return np.minimum(grows / np.maximum(1 - leaves, 1e-9), 1.0)


def _members(groups: Mapping[str, Texts], n: int) -> tuple[list[tuple[str, str | None]], Floats]:
    keys: list[tuple[str, str | None]] = [("all", None)]
    rows = [np.ones(n)]
    for name, values in groups.items():
        for value in dict.fromkeys(values.tolist()):
            keys.append((name, value))
            rows.append((values == value).astype(np.float64) if value is not None else _nobody(values))
    return keys, np.array(rows)


def _nobody(values: Texts) -> Floats:
    return np.array([value is None for value in values], dtype=np.float64)


def _played(
    due: Due, habits: Habits, leaving: Level, growing: Level, change: _Change, members: Floats, seed: int
) -> Floats:
    """What came of each play: (plays, groups, 4), the last axis as in `forecast`."""
    rng = np.random.default_rng(seed)
    n = len(due.arr)
    leave_by, grow_by = leaving.draws(PLAYED, rng), growing.draws(PLAYED, rng)
    rates = {name: rng.beta(*habits.contraction(name), PLAYED) for name in change.sizes}
    leave = Moving.of(due.leaves, leaving.spread * due.leaves_spread)
    grow = Moving.of(change.grows, growing.spread * due.grows_spread)
    # Accounts that are in the same groups are added up first: groups are many, and each holds few.
    cells, cell = np.unique(members, axis=1, return_inverse=True)
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(cells.shape[1]))
    places = {name: np.flatnonzero(due.segment == name) for name in change.sizes}
    out = np.zeros((PLAYED, len(members), 4))
    step = max(1, _AT_ONCE // max(n, 1))
    for first in range(0, PLAYED, step):
        plays = slice(first, min(first + step, PLAYED))
        m = plays.stop - plays.start
        p = leave(leave_by[plays, None] * due.leaves_spread)
        q = grow(grow_by[plays, None] * due.grows_spread)
        c = np.zeros((m, n))
        for name, rate in rates.items():
            c[:, places[name]] = rate[plays, None]
        stays = rng.random((m, n)) >= p
        coin = rng.random((m, n))
        grows = stays & (coin < q)
        shrinks = stays & ~grows & (coin < q + c)
        ratio = np.ones((m, n))
        for name, sizes in change.sizes.items():
            rows = places[name]
            kind = np.where(grows[:, rows], 0, np.where(shrinks[:, rows], 1, 2))
            ratio[:, rows] = _drawn(sizes, kind, rng)
        change_of = np.where(stays, due.arr * (ratio - 1), 0.0)
        for place, values in enumerate(
            (stays, np.where(stays, 0.0, due.arr), np.maximum(-change_of, 0.0), np.maximum(change_of, 0.0))
        ):
            out[plays, :, place] = np.add.reduceat(values[:, order], starts, axis=1, dtype=np.float64) @ cells.T
    return out


def _drawn(sizes: Sequence[Floats], kind: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """A size of its kind for each cell (m, k). Each play draws from a resample of its own, for the sizes seen are a
    sample too (Efron 1979)."""
    found = np.empty(kind.shape)
    for which, pool in enumerate(sizes):
        if len(pool) == 1:
            found[kind == which] = pool[0]
            continue
        resample = pool[rng.integers(0, len(pool), (len(kind), len(pool)))]
        row, column = np.nonzero(kind == which)
        found[row, column] = resample[row, rng.integers(0, len(pool), len(row))]
    return found


def _told(accounts: int, arr: float, expected: Floats, played: Floats) -> Forecast:
    low, high = np.quantile(played, INTERVAL, axis=0)

    def one(place: int) -> Expected:
        return _within(float(expected[place]), float(low[place]), float(high[place]))

    lost = one(1)
    gross, net = (played[:, 1] + played[:, 2], played[:, 1] + played[:, 2] - played[:, 3])
    return Forecast(
        accounts,
        arr,
        one(0),
        Expected(arr - lost.value, arr - lost.high, arr - lost.low),
        lost,
        one(2),
        one(3),
        _kept(arr, float(expected[1] + expected[2]), gross),
        _kept(arr, float(expected[1] + expected[2] - expected[3]), net),
    )


def _kept(arr: float, gone: float, played: Floats) -> Expected | None:
    if arr <= 0:
        return None
    low, high = np.quantile(played, INTERVAL)
    return _within(1 - gone / arr, 1 - float(high) / arr, 1 - float(low) / arr)


def _within(value: float, low: float, high: float) -> Expected:
    """A rare large loss puts the mean outside the middle 80%: the interval is then of what to expect most often, and is
    stretched to the mean, so that nobody reads a value outside its own interval."""
    return Expected(value, min(low, value), max(high, value))
