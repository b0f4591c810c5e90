"""What may happen to a contract in a week, how likely it is, and what it changes.

There is at most one event per account and week. Renewal decides most: whoever is about to leave mostly waits for the
end of the term. Between renewals a contract is ended early now and then, lost to a payment that stays failed, or grows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from training.simulation.account_traits import AccountTraits
from training.simulation.calendar import Bools, Floats, Ints
from training.simulation.churn_propensity import ChurnPropensity
from training.simulation.latent_state import LatentState
from training.simulation.market_segments import PRICE, SELF_SERVE
from training.simulation.random_streams import sigmoid


class ContractEvent(IntEnum):
    """Events of a contract. The first two end it for good; the next three are expansions."""

    CANCEL = 0
    NONPAYMENT = 1
    SEATS = 2
    TIER = 3
    CROSS_SELL = 4
    FEWER_SEATS = 5
    LOWER_TIER = 6
    DROP = 7
    UNSIGNED = 8
    LAPSE = 9
    RENEW = 10
    TAKE_UP = 11
    NOTHING = 12


GRACE_WEEKS = 6
"""Weeks of failed payment before a contract is ended for it."""
LAPSE_DAYS = 25
"""A lapsed contract is taken up again within so many days: inside the 30 days of grace, so it is never churn."""


@dataclass(frozen=True)
class ContractWeek:
    """The contract events open to each account in a week.

    ``odds`` (12, n): the probability of each event but NOTHING, summing to at most 1. ``day``: the day on which it
    would happen. ``due``: the term ends this week. ``more_seats``, ``fewer_seats`` (seats after), ``add_on`` (index; 0
    or 1) and ``add_on_arr``: what it would amount to. ``gap``: days for which a contract would lapse.
    """

    odds: Floats
    day: Ints
    due: Bools
    more_seats: Floats
    fewer_seats: Floats
    add_on: Ints
    add_on_arr: Floats
    gap: Ints

    @property
    def churn(self) -> Floats:
        """The probability that the account churns this week."""
        return np.asarray(self.odds[ContractEvent.CANCEL] + self.odds[ContractEvent.NONPAYMENT], dtype=np.float64)


def contract_odds(
    world: AccountTraits, state: LatentState, felt: ChurnPropensity, day: int, rng: np.random.Generator
) -> ContractWeek:
    """Probabilities and amounts of the contract events in the week from ``day``."""
    n = len(state)
    renewal = world.renewal_day(state.terms)
    open_ = state.running & ~state.left & (world.created < day)
    due = open_ & ~state.unsigned & (renewal <= day + 6)
    waiting = open_ & state.unsigned
    yearly = world.term > 1
    odds = np.zeros((len(ContractEvent) - 1, n))

    leave_now = sigmoid(-8.4 + 0.9 * felt.total + 0.6 * (renewal - day < 60)) * yearly
    leave_due = sigmoid(world.renewal_base + np.where(yearly, 0.0, -2.1) + 1.1 * felt.total + 0.5 * ~state.champion)
    leave_waiting = np.minimum(0.6, 0.10 * np.exp(0.5 * felt.total))
    leave = np.where(due, leave_due, np.where(waiting, leave_waiting, leave_now)) * open_
    broke = np.where(open_ & (state.failing >= GRACE_WEEKS), 0.35, 0.0)
    _set_expansion_odds(odds, world, state, day, due)
    _set_contraction_odds(odds, world, state, felt, due & yearly)
    odds[ContractEvent.UNSIGNED] = sigmoid(-2.3 + 0.5 * felt.total) * (due & yearly)
    odds[ContractEvent.LAPSE] = 0.02 * (due & yearly)
    total = odds.sum(axis=0)
    odds *= (open_ & ~waiting) / np.maximum(total, 1.0)
    odds[ContractEvent.RENEW] += due * np.maximum(1.0 - total, 0.0)
    odds[ContractEvent.RENEW] += 0.3 * waiting
    odds *= (1.0 - leave) * (1.0 - broke)
    odds[ContractEvent.CANCEL] = leave * (1.0 - broke)
    odds[ContractEvent.NONPAYMENT] = broke
    taken_up = (state.back_on > 0) & (state.back_on <= day + 6)
    odds[ContractEvent.TAKE_UP] = taken_up
    when = np.where(due, renewal, day + rng.integers(0, 7, n))
    return ContractWeek(
        odds=odds,
        day=np.where(taken_up, state.back_on, when),
        due=due,
        more_seats=np.maximum(state.seats + 1, np.ceil(state.seats * (1.06 + 0.2 * rng.exponential(1.0, n)))),
        fewer_seats=np.maximum(1.0, np.floor(state.seats * rng.uniform(0.55, 0.92, n))),
        add_on=(state.add_ons[:, 0] > 0).astype(np.int64),
        add_on_arr=np.round(state.seats * state.price * rng.uniform(0.1, 0.35, n), 2),
        gap=rng.integers(5, LAPSE_DAYS + 1, n),
    )


def _set_expansion_odds(odds: Floats, world: AccountTraits, state: LatentState, day: int, due: Bools) -> None:
    """Chances to expand: room is short, there is appetite, and the account is content. The unhappy hardly ever do."""
    lean = (
        1.2 * state.appetite
        + 0.45 * state.value
        + 0.3 * state.sponsor
        - 1.5 * (state.value < -0.8)
        - 1.0 * (state.failing > 0)
        - 0.8 * (day - world.created < 60)
    )
    # A monthly term ends too often for its end to be an occasion.
    occasion = np.where(due & (world.term > 1), 1.6, 0.0)
    seats = sigmoid(-6.7 + lean + 1.1 * (state.share_log_odds(world) - 0.5) + occasion)
    tier = sigmoid(-8.6 + lean + 0.45 * (state.breadth(world) - 6.0) + occasion)
    cross = sigmoid(-8.0 + lean + 0.5 * state.progress + 0.3 * state.sponsor + occasion)
    odds[ContractEvent.SEATS] = seats
    odds[ContractEvent.TIER] = tier * (state.plan < len(PRICE) - 1)
    odds[ContractEvent.CROSS_SELL] = cross * state.may_add * (world.segment > SELF_SERVE)


def _set_contraction_odds(
    odds: Floats, world: AccountTraits, state: LatentState, felt: ChurnPropensity, due: Bools
) -> None:
    """Chances to renew for less: seats that stand empty, money that is short."""
    idle = -0.8 * (state.share_log_odds(world) - 0.5)
    odds[ContractEvent.FEWER_SEATS] = sigmoid(-3.3 + idle + 0.4 * state.strain) * (due & (state.seats > 1))
    odds[ContractEvent.LOWER_TIER] = sigmoid(-5.0 + 0.4 * felt.total + 0.4 * state.strain) * (due & (state.plan > 0))
    odds[ContractEvent.DROP] = sigmoid(-2.6 + 0.5 * state.strain - 0.5 * state.value) * (due & (state.add_on_arr > 0))


def draw_event(week: ContractWeek, coin: Floats) -> Ints:
    """The event of each account (a ``ContractEvent``), from one uniform number each. The low end is churn."""
    kind = np.zeros(len(coin), dtype=np.int64)
    below = np.zeros(len(coin))
    for event in range(len(ContractEvent) - 1):
        below = below + week.odds[event]
        kind += coin >= below
    return kind


def apply_event(world: AccountTraits, state: LatentState, week: ContractWeek, kind: Ints) -> LatentState:
    """The state after the contract events of the week."""
    gone = (kind == ContractEvent.CANCEL) | (kind == ContractEvent.NONPAYMENT)
    lapsed, taken_up = kind == ContractEvent.LAPSE, kind == ContractEvent.TAKE_UP
    unsigned = (state.unsigned | (kind == ContractEvent.UNSIGNED)) & (kind != ContractEvent.RENEW) & ~gone
    signed = (kind == ContractEvent.RENEW) | (week.due & ~gone & ~unsigned)
    plan = state.plan + (kind == ContractEvent.TIER) - (kind == ContractEvent.LOWER_TIER)
    price = state.price * np.where(signed, 1.0 + world.uplift, 1.0) * (PRICE[plan] / PRICE[state.plan])
    seats = np.where(kind == ContractEvent.SEATS, week.more_seats, state.seats)
    seats = np.where(kind == ContractEvent.FEWER_SEATS, week.fewer_seats, seats)
    rows = np.arange(len(kind))
    add_ons = state.add_ons * np.where(signed, 1.0 + world.uplift, 1.0)[:, None]
    bought = kind == ContractEvent.CROSS_SELL
    add_ons[rows[bought], week.add_on[bought]] = week.add_on_arr[bought]
    dropped = kind == ContractEvent.DROP
    add_ons[rows[dropped], np.argmax(state.add_ons[dropped] > 0, axis=1)] = 0.0
    # New seats stand empty at first, and seats given up were the idle ones.
    fill = -0.4 * (kind == ContractEvent.SEATS) + 0.4 * (kind == ContractEvent.FEWER_SEATS)
    return replace(
        state,
        adoption=state.adoption + fill,
        running=(state.running & ~gone & ~lapsed) | taken_up,
        left=state.left | gone,
        unsigned=unsigned,
        back_on=np.where(lapsed, week.day + week.gap, np.where(taken_up, 0, state.back_on)),
        terms=state.terms + signed,
        seats=seats,
        price=price,
        plan=plan,
        add_ons=add_ons,
        failing=np.where(lapsed, 0, state.failing),
    )
