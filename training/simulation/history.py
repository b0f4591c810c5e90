"""The simulated history: the weekly step is run once, and all states are stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from features.utils.arrays import Ints
from training.simulation.account_traits import AccountTraits, draw_account_traits
from training.simulation.contract_events import ContractEvent, apply_event, contract_odds, draw_event
from training.simulation.latent_dynamics import WeekFacts, simulate_week
from training.simulation.latent_state import LatentState, initial_state
from training.simulation.market_segments import CONTRACT_HOUR
from training.simulation.presets import MIXED_B2B, PRESETS, Market
from training.simulation.random_streams import random_stream
from training.simulation.subscription_periods import SubscriptionLedger, SubscriptionRows

NOT_LEFT = 1 << 40
"""Day or hour of leaving for accounts that have not left."""


@dataclass(frozen=True)
class SimulatedHistory:
    """History of a portfolio from day ``start`` to day ``end`` (excluded).

    Parameters
    ----------
    traits : traits of the accounts.
    seed : of the random numbers.
    start, end : first day, and day after the last.
    during : state in each week, before its contract events.
    after : state at the end of each week.
    week_facts : other events of each week.
    kinds : contract event of each account in each week.
    left_on : day on which each account left; ``NOT_LEFT`` if it has not.
    subscriptions : rows of the subscriptions table.
    """

    traits: AccountTraits
    seed: int
    start: int
    end: int
    during: list[LatentState]
    after: list[LatentState]
    week_facts: list[WeekFacts]
    kinds: list[Ints]
    left_on: Ints
    subscriptions: SubscriptionRows

    @property
    def weeks(self) -> int:
        """Number of weeks."""
        return len(self.during)

    def grid(self, of: Callable[[LatentState], np.ndarray]) -> np.ndarray:
        """Return a column of the state in each week, shape (weeks, accounts)."""
        return np.stack([np.asarray(of(state)) for state in self.during])

    def facts(self, name: str) -> np.ndarray:
        """Return a column of the weekly facts, shape (weeks, accounts)."""
        return np.stack([getattr(week_facts, name) for week_facts in self.week_facts])

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the random numbers for one purpose."""
        return random_stream(self.seed, purpose)

    @property
    def born_week(self) -> Ints:
        """Week in which each account became a customer; 0 for older accounts."""
        return np.maximum((self.traits.created - self.start) // 7, 0)

    @property
    def first_hour(self) -> Ints:
        """Hour since 1970 at which the first contract of each account started."""
        return np.asarray(self.traits.created * 24 + CONTRACT_HOUR[self.traits.region], dtype=np.int64)

    @property
    def last_hour(self) -> Ints:
        """Hour since 1970 at which each account left."""
        return np.asarray(self.left_on * 24 + CONTRACT_HOUR[self.traits.region], dtype=np.int64)

    @property
    def weekly_churn(self) -> float:
        """Average weekly churn rate over the whole history."""
        running = sum(int(state.running.sum()) for state in self.during)
        lost = sum(int((kind <= ContractEvent.NONPAYMENT).sum()) for kind in self.kinds)
        return lost / running

    @property
    def monthly_churn(self) -> float:
        """Average monthly churn rate over the whole history."""
        return self.weekly_churn * (365.25 / 12 / 7)

    @property
    def annual_churn(self) -> float:
        """Share of the accounts that leave within a year at the average rate of the whole history."""
        return float(1.0 - (1.0 - self.weekly_churn) ** (365.25 / 7))

    @property
    def involuntary_share(self) -> float:
        """Share of churned accounts lost to a failed payment (NaN if none churned)."""
        kinds = np.concatenate(self.kinds)
        lost = kinds[kinds <= ContractEvent.NONPAYMENT]
        return float(np.mean(lost == ContractEvent.NONPAYMENT)) if len(lost) else float("nan")


def simulate_history(
    accounts: int, weeks: int, seed: int, end: int, market: Market = PRESETS[MIXED_B2B]
) -> SimulatedHistory:
    """Simulate a portfolio for ``weeks`` weeks up to day ``end``.

    Parameters
    ----------
    accounts, weeks : number of accounts and weeks.
    seed : of the random numbers.
    end : day after the last.
    market : settings of the market; its ``end`` is set.
    """
    start = end - 7 * weeks
    traits = draw_account_traits(accounts, weeks, start, replace(market, end=end), random_stream(seed, "world"))
    state = initial_state(traits, start, random_stream(seed, "first state"))
    rng = random_stream(seed, "life")
    ledger = SubscriptionLedger(traits, state)
    left_on = np.full(accounts, NOT_LEFT, dtype=np.int64)
    during, after, week_facts, kinds = [], [], [], []
    for day in range(start, end, 7):
        arriving = (traits.created >= day) & (traits.created < day + 7)
        state = replace(state, running=state.running | arriving)
        ledger.open(state, traits.created, arriving)
        state, facts, propensity = simulate_week(traits, state, day, rng)
        week = contract_odds(traits, state, propensity, day, rng)
        kind = draw_event(week, rng.random(accounts))
        during.append(state)
        week_facts.append(facts)
        kinds.append(kind)
        state_after = apply_event(traits, state, week, kind)
        ledger.record(state, state_after, week, kind)
        left_on = np.where(state_after.left & ~state.left, week.day, left_on)
        state = state_after
        after.append(state)
    return SimulatedHistory(traits, seed, start, end, during, after, week_facts, kinds, left_on, ledger.close(state))
