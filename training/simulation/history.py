"""The years that the tables tell of: the weekly step, run once, everything kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from training.simulation.account_traits import AccountTraits, draw_account_traits
from training.simulation.calendar import Ints
from training.simulation.contract_events import ContractEvent, apply_event, contract_odds, draw_event
from training.simulation.latent_dynamics import WeekFacts, simulate_week
from training.simulation.latent_state import LatentState, initial_state
from training.simulation.market_segments import CONTRACT_HOUR
from training.simulation.random_streams import random_stream
from training.simulation.subscription_periods import SubscriptionLedger, SubscriptionRows

NOT_LEFT = 1 << 40
"""A day, and an hour, that never comes."""


@dataclass(frozen=True)
class SimulatedHistory:
    """What happened to a portfolio in ``weeks`` weeks from day ``start`` to day ``end`` (not included).

    ``during[t]``: the state through week ``t``, before its contract events; ``after[t]``: at its end. ``happened[t]``:
    the facts of week ``t``. ``kinds[t]``: the contract event of each account. ``left_on``: the day on which an account
    left (``NOT_LEFT``: it has not).
    """

    world: AccountTraits
    seed: int
    start: int
    end: int
    during: list[LatentState]
    after: list[LatentState]
    happened: list[WeekFacts]
    kinds: list[Ints]
    left_on: Ints
    subscriptions: SubscriptionRows

    @property
    def weeks(self) -> int:
        """Weeks told of."""
        return len(self.during)

    def grid(self, of: Callable[[LatentState], np.ndarray]) -> np.ndarray:
        """A column of the state as seen in each week: shape (weeks, accounts)."""
        return np.stack([np.asarray(of(state)) for state in self.during])

    def facts(self, name: str) -> np.ndarray:
        """A column of the happenings: shape (weeks, accounts)."""
        return np.stack([getattr(happened, name) for happened in self.happened])

    def rng(self, purpose: str) -> np.random.Generator:
        """The random numbers of one purpose."""
        return random_stream(self.seed, purpose)

    @property
    def born_week(self) -> Ints:
        """The week in which each account became a customer; 0 for those that were before."""
        return np.maximum((self.world.created - self.start) // 7, 0)

    @property
    def first_hour(self) -> Ints:
        """The hour, since 1970, at which each account's first contract began."""
        return np.asarray(self.world.created * 24 + CONTRACT_HOUR[self.world.region], dtype=np.int64)

    @property
    def last_hour(self) -> Ints:
        """The hour at which it left."""
        return np.asarray(self.left_on * 24 + CONTRACT_HOUR[self.world.region], dtype=np.int64)

    @property
    def monthly_churn(self) -> float:
        """Accounts lost a month, as a share of those running, over the whole time."""
        running = sum(int(state.running.sum()) for state in self.during)
        lost = sum(int((kind <= ContractEvent.NONPAYMENT).sum()) for kind in self.kinds)
        return lost / running * (365.25 / 12 / 7)

    @property
    def involuntary_share(self) -> float:
        """Of the accounts lost, the share lost to a failed payment (NaN where none was lost)."""
        kinds = np.concatenate(self.kinds)
        lost = kinds[kinds <= ContractEvent.NONPAYMENT]
        return float(np.mean(lost == ContractEvent.NONPAYMENT)) if len(lost) else float("nan")


def simulate_history(accounts: int, weeks: int, seed: int, end: int) -> SimulatedHistory:
    """Run a portfolio through ``weeks`` weeks up to day ``end``."""
    start = end - 7 * weeks
    world = draw_account_traits(accounts, weeks, start, random_stream(seed, "world"))
    state = initial_state(world, start, random_stream(seed, "first state"))
    rng = random_stream(seed, "life")
    ledger = SubscriptionLedger(world, state)
    left_on = np.full(accounts, NOT_LEFT, dtype=np.int64)
    during, after, happened, kinds = [], [], [], []
    for day in range(start, end, 7):
        arriving = (world.created >= day) & (world.created < day + 7)
        state = replace(state, running=state.running | arriving)
        ledger.open(state, world.created, arriving)
        state, happenings, felt = simulate_week(world, state, day, rng)
        week = contract_odds(world, state, felt, day, rng)
        kind = draw_event(week, rng.random(accounts))
        during.append(state)
        happened.append(happenings)
        kinds.append(kind)
        state_after = apply_event(world, state, week, kind)
        ledger.record(state, state_after, week, kind)
        left_on = np.where(state_after.left & ~state.left, week.day, left_on)
        state = state_after
        after.append(state)
    return SimulatedHistory(world, seed, start, end, during, after, happened, kinds, left_on, ledger.close(state))
