"""Orders of customers without a contract: their weekly rate, and the true probabilities of the next 90 days.

An account orders at random moments until it leaves, and the data do not say when ("buy till you die"; Schmittlein,
Morrison and Colombo, Management Science 33, 1987). Churn is the absence of orders, as defined in
docs/reference/signals.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Floats, Ints
from training.simulation.account_traits import AccountTraits
from training.simulation.calendar import month_and_day
from training.simulation.contract_events import apply_event, contract_odds, draw_event
from training.simulation.history import SimulatedHistory
from training.simulation.latent_dynamics import simulate_week
from training.simulation.latent_state import LatentState
from training.simulation.true_probabilities import FUTURES, HORIZON_DAYS, TrueProbabilities

EXPANSION_FACTOR = 1.25
AMOUNT_SPREAD = 0.5
"""Standard deviation of the log of an order's amount."""
SEASON = np.array([-0.25, -0.1, 0.0, 0.0, 0.05, 0.0, -0.1, -0.15, 0.1, 0.2, 0.3, 0.0])
"""Log of the orders by month from January, relative to the usual rate."""


@dataclass(frozen=True)
class Orders:
    """Orders of a history: account index, day and amount of each, ordered by day."""

    account: Ints
    day: Ints
    amount: Floats


def orders_per_week(traits: AccountTraits, state: LatentState, day: int) -> Floats:
    """Return the expected orders in the week from ``day``.

    Parameters
    ----------
    traits, state : traits of the accounts, and their state after the events of the week.
    day : first day of the week.
    """
    signal = traits.market.signal
    season = SEASON[int(month_and_day(np.array([day]))[0][0]) % 12]
    own = traits.order_rate + 0.5 * state.adoption * state.ramp(traits, day) + 0.35 * state.appetite + season
    rate = np.exp(signal * own + (1.0 - signal) * _constant_rate(traits.market.annual_churn))
    return np.asarray(rate * (state.running & (traits.created < day)), dtype=np.float64)


def draw_orders(history: SimulatedHistory) -> Orders:
    """Draw the orders of all accounts. The same history gives the same orders.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("orders")
    first = np.arange(history.start, history.end, 7)
    rates = np.stack(
        [orders_per_week(history.traits, state, int(day)) for state, day in zip(history.after, first, strict=True)]
    )
    count = rng.poisson(rates)
    week, account = np.nonzero(count)
    times = count[week, account]
    week, account = np.repeat(week, times), np.repeat(account, times)
    day = first[week] + rng.integers(0, 7, len(week))
    amount = _amounts(history.traits.order_size[account], rng)
    order = np.lexsort((account, day))
    return Orders(account[order].astype(np.int64), day[order], amount[order])


def true_order_probabilities(
    history: SimulatedHistory,
    orders: Orders,
    weeks_back: int,
    rng: np.random.Generator,
    futures: int = FUTURES,
    progress: Callable[[float], None] = lambda share: None,
) -> TrueProbabilities:
    """Estimate the true probabilities of the accounts that are active on a date: that ordered in the 90 days before it.

    Churn is no order in ``[as_of, as_of + 90 days)``: certain for an account that has left already, and averaged over
    the moments of leaving and of ordering for the others. Expansion is an amount of at least 1.25 times that of the 90
    days before; its orders are drawn.

    Parameters
    ----------
    history : the simulated history.
    orders : its orders.
    weeks_back : weeks from the date to the end of the data.
    rng : random numbers.
    futures : number of simulated futures per account.
    progress : called with the share done, 0 to 1.
    """
    as_of = history.end - 7 * weeks_back
    recent = (orders.day >= as_of - HORIZON_DAYS) & (orders.day < as_of)
    before = np.bincount(orders.account[recent], orders.amount[recent], minlength=len(history.traits))
    account = np.flatnonzero(before > 0)
    traits, state = history.traits.take(account), history.after[history.weeks - weeks_back - 1].take(account)
    goal = EXPANSION_FACTOR * before[account]
    sums = np.zeros((4, len(account)))
    for done in range(futures):
        churn, amount = _simulate_quarter(traits, state, as_of, rng)
        expansion = (amount >= goal).astype(np.float64)
        for line, values in enumerate((churn, churn**2, expansion, expansion**2)):
            sums[line] += values
        progress((done + 1) / futures)
    means = sums / futures
    error = np.sqrt(np.maximum(means[[1, 3]] - means[[0, 2]] ** 2, 0.0) / futures)
    return TrueProbabilities(account, means[0], means[2], error[0], error[1])


def _simulate_quarter(
    traits: AccountTraits, state: LatentState, as_of: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """One future of each account: its probability of no order, and the amount that it orders in a draw."""
    # Probabilities that the account has not ordered yet: having left before it could, or still being a customer.
    left_silent = np.where(state.running, 0.0, 1.0)
    silent = 1.0 - left_silent
    amount = np.zeros(len(state))
    stays = state.running.copy()
    for day in range(as_of, as_of + HORIZON_DAYS, 7):
        state, _, propensity = simulate_week(traits, state, day, rng)
        week = contract_odds(traits, state, propensity, day, rng)
        churn = week.churn
        stays = stays & (rng.random(len(state)) >= churn)
        state = apply_event(traits, state, week, draw_event(week, churn + (1.0 - churn) * rng.random(len(state))))
        rate = orders_per_week(traits, state, day) * min(as_of + HORIZON_DAYS - day, 7) / 7
        left_silent = left_silent + silent * churn
        silent = silent * (1.0 - churn) * np.exp(-rate)
        count = rng.poisson(rate * stays)
        rows = np.repeat(np.arange(len(state)), count)
        amount += np.bincount(rows, _amounts(traits.order_size[rows], rng), minlength=len(state))
    return left_silent + silent, amount


def _amounts(size: Floats, rng: np.random.Generator) -> Floats:
    """Draw the amounts of orders from the log of their usual amount."""
    return np.asarray(np.round(np.exp(size + AMOUNT_SPREAD * rng.standard_normal(len(size))), 2), dtype=np.float64)


def _constant_rate(annual_churn: float) -> float:
    """Log of the orders per week of accounts that never leave, so that a share of them is silent for a quarter."""
    silent = 1.0 - (1.0 - annual_churn) ** (HORIZON_DAYS / 365.25)
    return float(np.log(-np.log(silent) * 7 / HORIZON_DAYS))
