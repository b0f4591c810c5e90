"""Contract events of a week: their probabilities and their effects.

There is at most one event per account and week. Most accounts that leave do so at the end of a term. Between renewals,
a contract may be canceled early, end because of a failed payment, or expand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.account_traits import AccountTraits
from training.simulation.calendar import month_and_day
from training.simulation.churn_propensity import ChurnPropensity, with_noise
from training.simulation.latent_state import LatentState
from training.simulation.market_segments import PRICE, SELF_SERVE
from training.simulation.presets import Market, Pricing
from training.simulation.random_streams import log_odds, sigmoid


class ContractEvent(IntEnum):
    """Events of a contract. The first two end it permanently; the next three are expansions."""

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
    RESUME = 11
    NOTHING = 12


GRACE_WEEKS = 6
"""Weeks of failed payment before a contract may end for nonpayment."""
PROTECTION_WEEKS = 13
"""Weeks from its start in which a play with a given effect prevents churn."""
LAPSE_DAYS = 25
"""Maximum days until a lapsed contract resumes: within the 30 days of grace, so a lapse is never churn."""
SEASON = np.array([0.4, -0.1, 0.1, -0.2, -0.2, 0.1, -0.2, -0.2, 0.1, -0.1, -0.1, 0.5])
"""Log-odds of leaving by month from January: high at the end of the year and of the quarters."""
TENURE_EFFECT, TENURE_OFFSET_YEARS = -0.5, 0.15
"""The log-odds of leaving fall with the logarithm of the tenure in years plus an offset, and are 0 after a year."""
EXPANSIONS = (ContractEvent.SEATS, ContractEvent.TIER, ContractEvent.CROSS_SELL)
SATISFIED_APPETITE = 0.8
"""Decrease of the appetite to grow after an expansion."""
CONSTANT_EXPANSION = 0.008
"""Weekly probability of an expansion where no signal has an effect."""
EXPANSION_SPREAD = 1.8
"""Standard deviation between accounts of the log-odds of expansion."""
BILL_SPEED = 0.3
"""Share of the way (on the log scale) that a bill by usage moves to the usage of the month."""
MONTH_IN_WEEKS = 365.25 / 12 / 7


@dataclass(frozen=True)
class ContractWeek:
    """Possible contract events of each account in a week.

    Parameters
    ----------
    odds : probability of each event except NOTHING, with a sum of at most 1, shape (12, n).
    day : the day on which an event would happen.
    due : whether the term ends this week.
    more_seats, fewer_seats : number of seats after an increase or decrease.
    add_on, add_on_arr : index (0 or 1) and ARR of an add-on that would be bought.
    gap : days for which a contract would lapse.
    units : units in the next term, if the account pays for usage; otherwise the number of seats.
    """

    odds: Floats
    day: Ints
    due: Bools
    more_seats: Floats
    fewer_seats: Floats
    add_on: Ints
    add_on_arr: Floats
    gap: Ints
    units: Floats

    @property
    def churn(self) -> Floats:
        """Probability that the account churns this week."""
        return np.asarray(self.odds[ContractEvent.CANCEL] + self.odds[ContractEvent.NONPAYMENT], dtype=np.float64)


def contract_odds(
    traits: AccountTraits, state: LatentState, propensity: ChurnPropensity, day: int, rng: np.random.Generator
) -> ContractWeek:
    """Compute probabilities and amounts of the contract events in the week from ``day``.

    Parameters
    ----------
    traits, state : traits and current state of the accounts.
    propensity : their propensity to churn.
    day : first day of the week.
    rng : random numbers.
    """
    n, market = len(state), traits.market
    renewal = traits.renewal_day(state.terms)
    active = state.running & ~state.left & (traits.created < day)
    if market.pricing is Pricing.ORDERS:
        # Without contracts, every week is as good as another to leave.
        renewal = np.full(n, day + 10_000)
    due = active & ~state.unsigned & (renewal <= day + 6)
    waiting = active & state.unsigned
    yearly = traits.term > 1
    odds = np.zeros((len(ContractEvent) - 1, n))

    leave = _leave_odds(traits, state, propensity, day, due, waiting, renewal) * active
    leave *= 1.0 - state.protection * (state.since_play < PROTECTION_WEEKS)
    broke = np.where(active & (state.failing >= GRACE_WEEKS), 0.35 * market.signal, 0.0)
    if market.pricing is Pricing.ORDERS:
        broke = np.zeros(n)
    else:
        _set_expansion_odds(odds, traits, state, day, due)
        _set_contraction_odds(odds, traits, state, propensity, due & yearly)
        odds[ContractEvent.UNSIGNED] = market.signal * sigmoid(-2.3 + 0.5 * propensity.total) * (due & yearly)
        odds[ContractEvent.LAPSE] = market.signal * 0.02 * (due & yearly)
    total = odds.sum(axis=0)
    odds *= (active & ~waiting) / np.maximum(total, 1.0)
    odds[ContractEvent.RENEW] += due * np.maximum(1.0 - total, 0.0)
    odds[ContractEvent.RENEW] += 0.3 * waiting
    odds *= (1.0 - leave) * (1.0 - broke)
    odds[ContractEvent.CANCEL] = leave * (1.0 - broke)
    odds[ContractEvent.NONPAYMENT] = broke
    resumed = (state.resume_day > 0) & (state.resume_day <= day + 6)
    odds[ContractEvent.RESUME] = resumed
    when = np.where(due, renewal, day + rng.integers(0, 7, n))
    return ContractWeek(
        odds=odds,
        day=np.where(resumed, state.resume_day, when),
        due=due,
        more_seats=np.ceil(state.seats + (0.06 + 0.16 * rng.exponential(1.0, n)) * state.arr / state.price),
        fewer_seats=np.maximum(1.0, np.floor(state.seats * rng.uniform(0.55, 0.92, n))),
        add_on=(state.add_ons[:, 0] > 0).astype(np.int64),
        add_on_arr=np.round(state.seats * state.price * rng.uniform(0.1, 0.35, n), 2),
        gap=rng.integers(5, LAPSE_DAYS + 1, n),
        units=_metered_units(traits, state, day, rng),
    )


def _leave_odds(
    traits: AccountTraits,
    state: LatentState,
    propensity: ChurnPropensity,
    day: int,
    due: Bools,
    waiting: Bools,
    renewal: Ints,
) -> Floats:
    """Probability that an account leaves by choice this week, if its contract is active."""
    market = traits.market
    month = int(month_and_day(np.array([day]))[0][0]) % 12
    years = np.maximum(day - traits.created, 0) / 365.25 + TENURE_OFFSET_YEARS
    other = SEASON[month] + market.level - market.trend * market.years_before_end(day)
    total = 1.1 * propensity.total + TENURE_EFFECT * np.log(years / (1.0 + TENURE_OFFSET_YEARS)) + other
    if market.pricing is Pricing.ORDERS:
        return np.asarray(market.signal * sigmoid(traits.monthly_base - np.log(MONTH_IN_WEEKS) + total))
    yearly = traits.term > 1
    now = sigmoid(traits.renewal_base - 5.0 + total + 0.6 * (renewal - day < 60)) * yearly
    at_due = sigmoid(np.where(yearly, traits.renewal_base, traits.monthly_base) + total)
    later = np.minimum(0.6, 0.10 * np.exp(0.5 * propensity.total + SEASON[month]))
    leave = np.where(due, at_due, np.where(waiting, later, now))
    return _weaken(leave, 1.0 - (1.0 - market.annual_churn) ** (7 / 365.25), market)


def _weaken(odds: Floats, constant: float, market: Market) -> Floats:
    """Bring probabilities closer to a constant on the scale of log-odds, if signals have less than full effect."""
    if market.signal == 1.0:
        return odds
    total = market.signal * log_odds(odds) + (1.0 - market.signal) * log_odds(np.array([constant]))
    return sigmoid(total)


def _metered_units(traits: AccountTraits, state: LatentState, day: int, rng: np.random.Generator) -> Floats:
    """Units for which an account that pays for usage is billed in its next term; otherwise its seats."""
    noise = rng.standard_normal(len(state))
    if traits.market.pricing is not Pricing.USAGE:
        return state.seats
    years = traits.growth * np.maximum(day - np.maximum(traits.created, traits.first_day), 0) / 365.25
    use = 0.35 * state.adoption * state.ramp(traits, day) + 0.3 * (state.appetite - traits.ambition)
    goal = traits.first_seats * np.exp(years + use + 0.06 * noise)
    # Customers commit to part of their usage, so that the bill follows it within a few months.
    units = np.maximum(1.0, np.round(state.seats * (goal / state.seats) ** BILL_SPEED))
    return np.where(traits.market.signal > 0, units, state.seats)


def _set_expansion_odds(odds: Floats, traits: AccountTraits, state: LatentState, day: int, due: Bools) -> None:
    """Set the odds of expansions: high with high usage, appetite to grow and perceived value."""
    market = traits.market
    lean = (
        1.2 * state.appetite
        + 0.45 * state.value
        + 0.3 * (state.sponsor - 0.87)
        - 1.5 * ((state.value < -0.8) - 0.2)
        - 1.0 * (state.failing > 0)
        - 0.8 * (day - traits.created < 60)
    )

    def odds_of(base: float, more: Floats) -> Floats:
        total = with_noise(lean + more, state.unobserved[:, 1], EXPANSION_SPREAD, market.noise)
        # The end of a monthly term is no special occasion to expand.
        return sigmoid(base + total + traits.expansion + np.where(due & (traits.term > 1), 1.6, 0.0))

    seats = odds_of(-6.7, 1.1 * (state.share_log_odds(traits) - 0.5))
    tier = odds_of(-8.6, 0.45 * (state.breadth(traits) - 6.0))
    cross = odds_of(-7.7, 0.5 * state.progress + 0.3 * (state.sponsor - 0.87))
    # Units of usage change by themselves at the end of each term.
    odds[ContractEvent.SEATS] = _weaken(seats, CONSTANT_EXPANSION, market) * (
        (market.pricing is Pricing.SEATS) | (market.signal == 0)
    )
    odds[ContractEvent.TIER] = market.signal * tier * (state.plan < len(PRICE) - 1)
    odds[ContractEvent.CROSS_SELL] = market.signal * cross * state.may_add * (traits.segment > SELF_SERVE)


def _set_contraction_odds(
    odds: Floats, traits: AccountTraits, state: LatentState, propensity: ChurnPropensity, due: Bools
) -> None:
    """Set the odds of contractions at renewal: high with unused seats and budget stress."""
    idle = -0.8 * (state.share_log_odds(traits) - 0.5)
    signal = traits.market.signal
    seat_based = traits.market.pricing is Pricing.SEATS
    odds[ContractEvent.FEWER_SEATS] = (
        signal * seat_based * sigmoid(-3.3 + idle + 0.4 * state.strain) * (due & (state.seats > 1))
    )
    odds[ContractEvent.LOWER_TIER] = (
        signal * sigmoid(-5.0 + 0.4 * propensity.total + 0.4 * state.strain) * (due & (state.plan > 0))
    )
    odds[ContractEvent.DROP] = (
        signal * sigmoid(-2.6 + 0.5 * state.strain - 0.5 * state.value) * (due & (state.add_on_arr > 0))
    )


def draw_event(week: ContractWeek, uniform: Floats) -> Ints:
    """Draw the event of each account (a ``ContractEvent``) from one uniform number each. Low numbers mean churn.

    Parameters
    ----------
    week : probabilities of the events.
    uniform : uniform random numbers, shape (n,).
    """
    kind = np.zeros(len(uniform), dtype=np.int64)
    below = np.zeros(len(uniform))
    for event in range(len(ContractEvent) - 1):
        below = below + week.odds[event]
        kind += uniform >= below
    return kind


def apply_event(traits: AccountTraits, state: LatentState, week: ContractWeek, kind: Ints) -> LatentState:
    """Return the state after the contract events of the week.

    Parameters
    ----------
    traits, state : traits and current state of the accounts.
    week : amounts and days of the events.
    kind : the event of each account, shape (n,).
    """
    gone = (kind == ContractEvent.CANCEL) | (kind == ContractEvent.NONPAYMENT)
    lapsed, resumed = kind == ContractEvent.LAPSE, kind == ContractEvent.RESUME
    unsigned = (state.unsigned | (kind == ContractEvent.UNSIGNED)) & (kind != ContractEvent.RENEW) & ~gone
    signed = (kind == ContractEvent.RENEW) | (week.due & ~gone & ~unsigned)
    plan = state.plan + (kind == ContractEvent.TIER) - (kind == ContractEvent.LOWER_TIER)
    price = state.price * np.where(signed, 1.0 + traits.uplift, 1.0) * (PRICE[plan] / PRICE[state.plan])
    seats = np.where(signed, week.units, state.seats)
    seats = np.where(kind == ContractEvent.SEATS, week.more_seats, seats)
    seats = np.where(kind == ContractEvent.FEWER_SEATS, week.fewer_seats, seats)
    rows = np.arange(len(kind))
    add_ons = state.add_ons * np.where(signed, 1.0 + traits.uplift, 1.0)[:, None]
    bought = kind == ContractEvent.CROSS_SELL
    add_ons[rows[bought], week.add_on[bought]] = week.add_on_arr[bought]
    dropped = kind == ContractEvent.DROP
    add_ons[rows[dropped], np.argmax(state.add_ons[dropped] > 0, axis=1)] = 0.0
    # New seats are unused at first, and seats that are given up were unused.
    fill = -0.4 * (kind == ContractEvent.SEATS) + 0.4 * (kind == ContractEvent.FEWER_SEATS)
    return replace(
        state,
        adoption=state.adoption + fill,
        appetite=state.appetite - SATISFIED_APPETITE * np.isin(kind, EXPANSIONS),
        running=(state.running & ~gone & ~lapsed) | resumed,
        left=state.left | gone,
        unsigned=unsigned,
        resume_day=np.where(lapsed, week.day + week.gap, np.where(resumed, 0, state.resume_day)),
        terms=state.terms + signed,
        seats=seats,
        price=price,
        plan=plan,
        add_ons=add_ons,
        failing=np.where(lapsed, 0, state.failing),
    )
