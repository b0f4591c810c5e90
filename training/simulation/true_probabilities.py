"""True probabilities of the next 90 days, from many simulated futures of the full hidden state.

Churn is not drawn: each future continues as if the account stayed, and the weekly probabilities of leaving are
combined. The probability of expansion is summed over the weeks until the first expansion. Averaging probabilities
instead of outcomes (Rao-Blackwell) leaves only the noise of the latent state (Casella and Robert, Biometrika 83, 1996).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Floats, Ints
from training.simulation.account_traits import AccountTraits
from training.simulation.contract_events import ContractEvent, ContractWeek, apply_event, contract_odds, draw_event
from training.simulation.latent_dynamics import simulate_week
from training.simulation.latent_state import LatentState
from training.simulation.market_segments import PRICE

HORIZON_DAYS = 90
EXPANSION_FACTOR = 1.05
FUTURES = 400
_FUTURES_PER_BLOCK = 24_000
"""Futures simulated at a time, chosen to fit into the processor cache. Another value changes the random numbers."""


@dataclass(frozen=True)
class TrueProbabilities:
    """True probabilities of active accounts (indices), 0 to 1, with standard errors."""

    account: Ints
    churn: Floats
    expansion: Floats
    churn_error: Floats
    expansion_error: Floats


def true_probabilities(
    traits: AccountTraits,
    state: LatentState,
    as_of: int,
    rng: np.random.Generator,
    futures: int = FUTURES,
    progress: Callable[[float], None] = lambda share: None,
) -> TrueProbabilities:
    """Estimate the true probabilities in ``[as_of, as_of + 90 days)`` of the active accounts.

    Churn and expansion are defined in docs/reference/signals.md: the end of the last contract without a new one within
    30 days (a lapsed contract always resumes earlier, so it does not count), and ARR of at least 1.05 times that at
    ``as_of``.

    Parameters
    ----------
    traits, state : traits of the accounts, and their state at day ``as_of``.
    as_of : first day of the horizon.
    rng : random numbers.
    futures : number of simulated futures per account.
    progress : called with the share done, 0 to 1.
    """
    account = np.flatnonzero(state.running)
    sums = np.zeros((4, len(account)))
    per_block = max(1, _FUTURES_PER_BLOCK // max(len(account), 1))
    done = 0
    while done < futures:
        repeats = min(per_block, futures - done)
        rows = np.tile(account, repeats)
        churn, expansion = _simulate_futures(traits.take(rows), state.take(rows), as_of, rng)
        for line, values in enumerate((churn, churn**2, expansion, expansion**2)):
            sums[line] += values.reshape(repeats, len(account)).sum(axis=0)
        done += repeats
        progress(done / futures)
    means = sums / futures
    error = np.sqrt(np.maximum(means[[1, 3]] - means[[0, 2]] ** 2, 0.0) / futures)
    return TrueProbabilities(account, means[0], np.minimum(means[2], 1.0), error[0], error[1])


def _simulate_futures(
    traits: AccountTraits, state: LatentState, as_of: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """One future of each account: its churn probability, and an unbiased estimate of its expansion probability."""
    goal = EXPANSION_FACTOR * state.arr
    stays = np.ones(len(state))
    expansion = np.zeros(len(state))
    waits = np.ones(len(state), dtype=bool)
    for day in range(as_of, as_of + HORIZON_DAYS, 7):
        state, _, propensity = simulate_week(traits, state, day, rng)
        week = contract_odds(traits, state, propensity, day, rng)
        inside = week.day < as_of + HORIZON_DAYS
        expanded = _expanded_arr(traits, state, week)
        reach = [week.odds[event] * (arr >= goal) for event, arr in expanded.items()]
        expansion += stays * waits * inside * sum(reach)
        churn = week.churn
        kind = draw_event(week, churn + (1.0 - churn) * rng.random(len(state)))
        state = apply_event(traits, state, week, kind)
        stays = stays * (1.0 - churn * inside)
        # A price increase may reach the goal after an earlier, smaller expansion.
        reached = waits & inside & (state.arr >= goal)
        by_price = reached & ~np.isin(kind, list(expanded))
        expansion += stays * by_price
        waits = waits & ~reached
    return 1.0 - stays, expansion


def _expanded_arr(traits: AccountTraits, state: LatentState, week: ContractWeek) -> dict[ContractEvent, Floats]:
    """ARR after each kind of expansion, if it happened this week."""
    raised = np.where(week.due, 1.0 + traits.uplift, 1.0)
    above = PRICE[np.minimum(state.plan + 1, len(PRICE) - 1)] / PRICE[state.plan]
    # Accounts that pay for usage are billed for other units from the end of the term on.
    billed = np.where(week.due, week.units, state.seats)
    arr = state.arr + (billed - state.seats) * state.price
    more = state.arr + (week.more_seats - state.seats) * state.price
    higher = arr + billed * state.price * (above - 1.0)
    return {
        ContractEvent.SEATS: more * raised,
        ContractEvent.TIER: higher * raised,
        ContractEvent.CROSS_SELL: arr * raised + week.add_on_arr,
    }
