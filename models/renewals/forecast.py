"""The renewal forecast: lost, contracted and expanded ARR among the due ARR, with 80% intervals.

It is a pure function of probabilities, ARR and historical rates. Expected values are exact sums, so that groups add up
to the whole. Intervals come from simulating the period many times: each simulation draws the common bias of the churn
and expansion levels (`models.renewals.forecast_bias`), the contraction rate from its Beta distribution, and the sizes
of changes from a resample of those in the portfolio's history; then every account leaves, grows, shrinks or does not
change.

An account that leaves loses its whole ARR. One that stays grows with its probability of growing given that it stays,
and otherwise shrinks at the rate of its segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.utils.arrays import Bools, Floats, Texts
from models.renewals.forecast_bias import BiasDistribution, ProbabilityShift
from models.renewals.historical_rates import HistoricalRates

#: Number of simulations; the 10th and 90th percentiles then vary by about a fortieth of the interval's width.
SIMULATIONS = 4_000
#: Accounts times simulations per batch, few enough for the processor's cache.
_BATCH_CELLS = 250_000
INTERVAL = (0.1, 0.9)


@dataclass(frozen=True)
class DueRenewals:
    """n due accounts with complete inputs, every array of shape (n,).

    ``arr`` is the annual amount, 0 or more; ``leaves`` the probability of having left by the renewal and its grace
    period, ``grows`` that of having grown by then; ``leaves_spread`` and ``grows_spread`` are the standard deviations
    of their intervals in log-odds (`models.renewals.forecast_bias.log_odds_spread`); ``segment`` has names or None.
    ``shrinks`` is the probability of having shrunk given that the account stays and does not grow. Where ``grows`` or
    ``shrinks`` is None or NaN, the historical rate of the segment is used.
    """

    arr: Floats
    leaves: Floats
    leaves_spread: Floats
    grows: Floats | None
    grows_spread: Floats
    segment: Texts
    shrinks: Floats | None = None


@dataclass(frozen=True)
class ForecastValue:
    """An expected value and its 80% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupForecast:
    """The forecast for some accounts. Amounts are annual, in the source's currency.

    ``accounts`` and ``arr`` are due. ``renewed_accounts`` stay; ``renewed_arr`` is their current ARR, ``lost_arr`` that
    of the others; ``contracted_arr`` and ``expanded_arr`` are the decreases and increases of those that stay. ``grr``
    is (renewed - contracted) / due, and ``nrr`` is (renewed - contracted + expanded) / due; None if nothing is due.
    """

    accounts: int
    arr: float
    renewed_accounts: ForecastValue
    renewed_arr: ForecastValue
    lost_arr: ForecastValue
    contracted_arr: ForecastValue
    expanded_arr: ForecastValue
    grr: ForecastValue | None
    nrr: ForecastValue | None


def forecast_due_renewals(
    due: DueRenewals,
    habits: HistoricalRates,
    leaving: BiasDistribution,
    growing: BiasDistribution,
    groups: Mapping[str, Texts],
    seed: int = 0,
) -> dict[tuple[str, str | None], GroupForecast]:
    """Forecast all accounts, and each group of accounts.

    Parameters
    ----------
    due : the due accounts.
    habits : the historical rates.
    leaving, growing : the distributions of the bias of each model's level.
    groups : groupings by name, such as "segment"; each gives the group of every account, shape (n,).
    seed : the same seed gives the same intervals.

    Returns
    -------
    The forecasts by (grouping, group); ("all", None) is for all accounts.
    """
    change = _Change.of(due, habits)
    keys, members = _members(groups, len(due.arr))
    simulated = _simulate(due, habits, leaving, growing, change, members, seed)
    p, arr = due.leaves, due.arr
    expected = np.stack([1 - p, arr * p, arr * (1 - p) * change.contracted, arr * (1 - p) * change.expanded], axis=1)
    sums = members @ expected
    totals = members @ arr
    return {
        key: _summarize(int(members[row].sum()), float(totals[row]), sums[row], simulated[:, row])
        for row, key in enumerate(keys)
    }


def outcome_probabilities(due: DueRenewals, habits: HistoricalRates) -> Floats:
    """Return the probabilities of the four outcomes of each account: lost, contracted, kept and expanded.

    Parameters
    ----------
    due : n due accounts.
    habits : the historical rates.

    Returns
    -------
    array of shape (n, 4)
        Each row adds up to 1.
    """
    change, stays = _Change.of(due, habits), 1 - due.leaves
    kept = np.maximum(1 - change.grows - change.shrinks, 0.0)
    return np.column_stack([due.leaves, stays * change.shrinks, stays * kept, stays * change.grows])


@dataclass(frozen=True)
class _Change:
    """Changes of accounts that stay, (n,) each.

    They are the probabilities of growing (before a common shift) and shrinking, whether the latter comes from a model,
    the expected contracted and expanded shares of the ARR, and the sizes by segment.
    """

    grows: Floats
    shrinks: Floats
    modeled: Bools
    contracted: Floats
    expanded: Floats
    sizes: Mapping[str | None, tuple[Floats, Floats, Floats]]

    @classmethod
    def of(cls, due: DueRenewals, habits: HistoricalRates) -> _Change:
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
            grow = np.where(np.isnan(due.grows), grow, growth_if_staying(due.grows, due.leaves))
        modeled = np.zeros(n, dtype=np.bool_) if due.shrinks is None else ~np.isnan(due.shrinks)
        if due.shrinks is not None:
            shrink = np.where(modeled, due.shrinks * (1 - grow), shrink)
        shrink = np.minimum(shrink, 1 - grow)
        stays = 1 - grow - shrink
        contracted = shrink * means[1] + stays * means[3]
        return cls(grow, shrink, modeled, contracted, grow * means[0] + stays * means[2], sizes)


def growth_if_staying(grows: Floats, leaves: Floats) -> Floats:
    """Return the probability of growing given that the account stays. Only accounts that stay can grow."""
    return np.minimum(grows / np.maximum(1 - leaves, 1e-9), 1.0)


def _members(groups: Mapping[str, Texts], n: int) -> tuple[list[tuple[str, str | None]], Floats]:
    keys: list[tuple[str, str | None]] = [("all", None)]
    rows = [np.ones(n)]
    for name, values in groups.items():
        for value in dict.fromkeys(values.tolist()):
            keys.append((name, value))
            rows.append((values == value).astype(np.float64) if value is not None else _without_group(values))
    return keys, np.array(rows)


def _without_group(values: Texts) -> Floats:
    return np.array([value is None for value in values], dtype=np.float64)


def _simulate(
    due: DueRenewals,
    habits: HistoricalRates,
    leaving: BiasDistribution,
    growing: BiasDistribution,
    change: _Change,
    members: Floats,
    seed: int,
) -> Floats:
    """Return the result of each simulation: (simulations, groups, 4), the last axis as in `forecast_due_renewals`."""
    rng = np.random.default_rng(seed)
    n = len(due.arr)
    leave_by, grow_by = leaving.draws(SIMULATIONS, rng), growing.draws(SIMULATIONS, rng)
    rates = {name: rng.beta(*habits.contraction(name), SIMULATIONS) for name in change.sizes}
    leave = ProbabilityShift.of(due.leaves, leaving.spread * due.leaves_spread)
    grow = ProbabilityShift.of(change.grows, growing.spread * due.grows_spread)
    # Accounts in the same groups are summed first, since there are many groups with few accounts each.
    cells, cell = np.unique(members, axis=1, return_inverse=True)
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(cells.shape[1]))
    places = {name: np.flatnonzero(due.segment == name) for name in change.sizes}
    out = np.zeros((SIMULATIONS, len(members), 4))
    step = max(1, _BATCH_CELLS // max(n, 1))
    for first in range(0, SIMULATIONS, step):
        batch = slice(first, min(first + step, SIMULATIONS))
        m = batch.stop - batch.start
        p = leave(leave_by[batch, None] * due.leaves_spread)
        q = grow(grow_by[batch, None] * due.grows_spread)
        c = np.zeros((m, n))
        for name, rate in rates.items():
            c[:, places[name]] = rate[batch, None]
        c[:, change.modeled] = change.shrinks[change.modeled]
        stays = rng.random((m, n)) >= p
        coin = rng.random((m, n))
        grows = stays & (coin < q)
        shrinks = stays & ~grows & (coin < q + c)
        ratio = np.ones((m, n))
        for name, sizes in change.sizes.items():
            rows = places[name]
            kind = np.where(grows[:, rows], 0, np.where(shrinks[:, rows], 1, 2))
            ratio[:, rows] = _draw_sizes(sizes, kind, rng)
        change_of = np.where(stays, due.arr * (ratio - 1), 0.0)
        for place, values in enumerate(
            (stays, np.where(stays, 0.0, due.arr), np.maximum(-change_of, 0.0), np.maximum(change_of, 0.0))
        ):
            out[batch, :, place] = np.add.reduceat(values[:, order], starts, axis=1, dtype=np.float64) @ cells.T
    return out


def _draw_sizes(sizes: Sequence[Floats], kind: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Draw a size of its kind for each cell (m, k).

    Each simulation draws from its own resample, since the observed sizes are a sample too (Efron 1979).
    """
    drawn = np.empty(kind.shape)
    for which, pool in enumerate(sizes):
        if len(pool) == 1:
            drawn[kind == which] = pool[0]
            continue
        resample = pool[rng.integers(0, len(pool), (len(kind), len(pool)))]
        row, column = np.nonzero(kind == which)
        drawn[row, column] = resample[row, rng.integers(0, len(pool), len(row))]
    return drawn


def _summarize(accounts: int, arr: float, expected: Floats, simulated: Floats) -> GroupForecast:
    low, high = np.quantile(simulated, INTERVAL, axis=0)

    def one(place: int) -> ForecastValue:
        return _within(float(expected[place]), float(low[place]), float(high[place]))

    lost = one(1)
    gross, net = (simulated[:, 1] + simulated[:, 2], simulated[:, 1] + simulated[:, 2] - simulated[:, 3])
    return GroupForecast(
        accounts,
        arr,
        one(0),
        ForecastValue(arr - lost.value, arr - lost.high, arr - lost.low),
        lost,
        one(2),
        one(3),
        _retention(arr, float(expected[1] + expected[2]), gross),
        _retention(arr, float(expected[1] + expected[2] - expected[3]), net),
    )


def _retention(arr: float, gone: float, simulated: Floats) -> ForecastValue | None:
    if arr <= 0:
        return None
    low, high = np.quantile(simulated, INTERVAL)
    return _within(1 - gone / arr, 1 - float(high) / arr, 1 - float(low) / arr)


def _within(value: float, low: float, high: float) -> ForecastValue:
    """Return the value with an interval that contains it.

    A rare large loss can put the mean outside the middle 80% of the simulations. The interval is then extended to it.
    """
    return ForecastValue(value, min(low, value), max(high, value))
