"""What may happen to a contract in a week, how likely it is, and what it changes.

There is at most one event per account and week. Renewal decides most: whoever is about to leave mostly waits for the
end of the term. Between renewals a contract is ended early now and then, lost to a payment that stays failed, or grows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from training.simulation.account_traits import World
from training.simulation.calendar import Bools, Floats, Ints
from training.simulation.churn_propensity import Pressure
from training.simulation.latent_state import State
from training.simulation.market_segments import PRICE, SELF_SERVE
from training.simulation.random_streams import sigmoid


class Event(IntEnum):
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
class Week:
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
        return np.asarray(self.odds[Event.CANCEL] + self.odds[Event.NONPAYMENT], dtype=np.float64)


def week_ahead(world: World, state: State, felt: Pressure, day: int, rng: np.random.Generator) -> Week:
    """Probabilities and amounts of the contract events in the week from ``day``."""
    n = len(state)
    renewal = world.renewal_day(state.terms)
    open_ = state.running & ~state.left & (world.created < day)
    due = open_ & ~state.unsigned & (renewal <= day + 6)
    waiting = open_ & state.unsigned
    yearly = world.term > 1
    odds = np.zeros((len(Event) - 1, n))

    leave_now = sigmoid(-8.4 + 0.9 * felt.total + 0.6 * (renewal - day < 60)) * yearly
    leave_due = sigmoid(world.renewal_base + np.where(yearly, 0.0, -2.1) + 1.1 * felt.total + 0.5 * ~state.champion)
    leave_waiting = np.minimum(0.6, 0.10 * np.exp(0.5 * felt.total))
    leave = np.where(due, leave_due, np.where(waiting, leave_waiting, leave_now)) * open_
    broke = np.where(open_ & (state.failing >= GRACE_WEEKS), 0.35, 0.0)
    _growth(odds, world, state, day, due)
    _shrinking(odds, world, state, felt, due & yearly)
    odds[Event.UNSIGNED] = sigmoid(-2.3 + 0.5 * felt.total) * (due & yearly)
    odds[Event.LAPSE] = 0.02 * (due & yearly)
    total = odds.sum(axis=0)
    odds *= (open_ & ~waiting) / np.maximum(total, 1.0)
    odds[Event.RENEW] += due * np.maximum(1.0 - total, 0.0)
    odds[Event.RENEW] += 0.3 * waiting
    odds *= (1.0 - leave) * (1.0 - broke)
    odds[Event.CANCEL] = leave * (1.0 - broke)
    odds[Event.NONPAYMENT] = broke
    taken_up = (state.back_on > 0) & (state.back_on <= day + 6)
    odds[Event.TAKE_UP] = taken_up
    when = np.where(due, renewal, day + rng.integers(0, 7, n))
    return Week(
        odds=odds,
        day=np.where(taken_up, state.back_on, when),
        due=due,
        more_seats=np.maximum(state.seats + 1, np.ceil(state.seats * (1.06 + 0.2 * rng.exponential(1.0, n)))),
        fewer_seats=np.maximum(1.0, np.floor(state.seats * rng.uniform(0.55, 0.92, n))),
        add_on=(state.add_ons[:, 0] > 0).astype(np.int64),
        add_on_arr=np.round(state.seats * state.price * rng.uniform(0.1, 0.35, n), 2),
        gap=rng.integers(5, LAPSE_DAYS + 1, n),
    )


def _growth(odds: Floats, world: World, state: State, day: int, due: Bools) -> None:
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
    odds[Event.SEATS] = seats
    odds[Event.TIER] = tier * (state.plan < len(PRICE) - 1)
    odds[Event.CROSS_SELL] = cross * state.may_add * (world.segment > SELF_SERVE)


def _shrinking(odds: Floats, world: World, state: State, felt: Pressure, due: Bools) -> None:
    """Chances to renew for less: seats that stand empty, money that is short."""
    idle = -0.8 * (state.share_log_odds(world) - 0.5)
    odds[Event.FEWER_SEATS] = sigmoid(-3.3 + idle + 0.4 * state.strain) * (due & (state.seats > 1))
    odds[Event.LOWER_TIER] = sigmoid(-5.0 + 0.4 * felt.total + 0.4 * state.strain) * (due & (state.plan > 0))
    odds[Event.DROP] = sigmoid(-2.6 + 0.5 * state.strain - 0.5 * state.value) * (due & (state.add_on_arr > 0))


def draw_event(week: Week, coin: Floats) -> Ints:
    """The event of each account (an ``Event``), by one uniform number each. The low end of the coin is churn."""
    kind = np.zeros(len(coin), dtype=np.int64)
    below = np.zeros(len(coin))
    for event in range(len(Event) - 1):
        below = below + week.odds[event]
        kind += coin >= below
    return kind


def apply_event(world: World, state: State, week: Week, kind: Ints) -> State:
    """The state after the contract events of the week."""
    gone = (kind == Event.CANCEL) | (kind == Event.NONPAYMENT)
    lapsed, taken_up = kind == Event.LAPSE, kind == Event.TAKE_UP
    unsigned = (state.unsigned | (kind == Event.UNSIGNED)) & (kind != Event.RENEW) & ~gone
    signed = (kind == Event.RENEW) | (week.due & ~gone & ~unsigned)
    plan = state.plan + (kind == Event.TIER) - (kind == Event.LOWER_TIER)
    price = state.price * np.where(signed, 1.0 + world.uplift, 1.0) * (PRICE[plan] / PRICE[state.plan])
    seats = np.where(kind == Event.SEATS, week.more_seats, state.seats)
    seats = np.where(kind == Event.FEWER_SEATS, week.fewer_seats, seats)
    rows = np.arange(len(kind))
    add_ons = state.add_ons * np.where(signed, 1.0 + world.uplift, 1.0)[:, None]
    bought = kind == Event.CROSS_SELL
    add_ons[rows[bought], week.add_on[bought]] = week.add_on_arr[bought]
    dropped = kind == Event.DROP
    add_ons[rows[dropped], np.argmax(state.add_ons[dropped] > 0, axis=1)] = 0.0
    # New seats stand empty at first, and seats given up were the idle ones.
    fill = -0.4 * (kind == Event.SEATS) + 0.4 * (kind == Event.FEWER_SEATS)
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
