"""A week of the hidden life: moods drift, people come and go, a company has news, payments fail, plays are run.

Rates are per week. All of it goes on in the same way in the history and in the futures that the truth is made of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.simulation.account_traits import AccountTraits
from training.simulation.calendar import Bools, Floats, Ints
from training.simulation.churn_propensity import ChurnPropensity, churn_propensity
from training.simulation.latent_state import LatentState
from training.simulation.market_segments import ENTERPRISE, MID_MARKET, SELF_SERVE
from training.simulation.random_streams import mean_reverting_step, sigmoid

COMPANY_EVENTS = ("funding", "hiring", "layoffs", "acquisition", "new_department")
COMPANY_RATES = np.array([0.003, 0.008, 0.004, 0.0008, 0.004])
APPETITE_SHOCK = np.array([0.9, 0.6, -0.9, -0.3, 1.1, 0.0])
STRAIN_SHOCK = np.array([-0.8, -0.2, 1.2, 0.4, 0.0, 0.0])
PLAYS = (
    "low_adoption",
    "low_engagement",
    "technical_issues",
    "value_in_doubt",
    "executive_change",
    "competitor_evaluation",
    "price_concerns",
)
"""The play for each part of the pressure, in the order of ``ChurnPropensity``."""
HELD_OUT_SHARE = 0.25
PLAY_PAUSE_WEEKS = 26
PLAY_THRESHOLD = 2.0
"""Pressure, as the customer-success team sees it, from which on it acts."""


@dataclass(frozen=True)
class WeekFacts:
    """What happened in a week, one entry per account: the facts from which the tables of events are written."""

    champion_left: Bools
    champion_joined: Bools
    champion_promoted: Bools
    sponsor_left: Bools
    sponsor_joined: Bools
    company: Ints
    invoiced: Bools
    invoice_day: Ints
    payment_failed: Bools
    recovered: Bools
    play: Ints
    play_severity: Ints
    held_out: Bools


def simulate_week(
    world: AccountTraits, state: LatentState, day: int, rng: np.random.Generator
) -> tuple[LatentState, WeekFacts, ChurnPropensity]:
    """The state after the week from ``day``, before its contract events; what happened; and the pressure to leave."""
    n = len(state)
    champion, champion_left, champion_joined = _seat_changes(state.champion, 0.0055, 0.035, rng)
    sponsor, sponsor_left, sponsor_joined = _seat_changes(state.sponsor, 0.005, 0.03, rng)
    promoted = state.champion & ~champion_left & (rng.random(n) < 0.002)
    company = np.searchsorted(np.cumsum(COMPANY_RATES), rng.random(n), side="right")
    acquired = company == COMPANY_EVENTS.index("acquisition")
    sponsor_left, sponsor = sponsor_left | (acquired & state.sponsor), sponsor & ~acquired

    incident = rng.random(n) < 0.035 * np.exp(world.fragility)
    trouble = 0.86 * state.trouble + incident * rng.exponential(1.4, n)
    progress = mean_reverting_step(state.progress, 0.5 * world.fit, 26, 0.8, rng)
    worth = 0.4 * world.fit + 0.4 * progress - 0.45 * (trouble - 0.35) + 0.4 * (champion - 0.87)
    value = mean_reverting_step(state.value, worth, 12, 0.65, rng) - 0.3 * sponsor_left
    adoption = mean_reverting_step(state.adoption, 0.45 * value, 13, 0.85, rng)
    rapport = mean_reverting_step(state.rapport, 0.3 * world.fit + 0.6 * (champion - 0.87), 14, 0.8, rng)
    strain = mean_reverting_step(state.strain, world.thrift, 30, 0.8, rng) + STRAIN_SHOCK[company]
    appetite = (
        mean_reverting_step(state.appetite, world.ambition, 20, 0.8, rng) + APPETITE_SHOCK[company] + 0.6 * promoted
    )
    coin = rng.random(n)
    rival = np.where(state.rival, coin > 0.07, coin < sigmoid(-5.2 - 0.5 * value + 0.3 * strain))

    invoiced, invoice_day = world.invoice_due(day)
    failing, payment_failed, recovered = _payments(world, state, strain, invoiced, rng)
    moved = replace(
        state,
        value=value,
        progress=progress,
        adoption=adoption,
        rapport=rapport,
        strain=strain,
        appetite=appetite,
        trouble=trouble,
        rival=rival,
        champion=champion,
        sponsor=sponsor,
        failing=failing,
        since_play=state.since_play + 1,
    )
    felt = churn_propensity(world, moved, day)
    moved, play, severity, held_out = _plays(world, moved, felt, rng)
    happenings = WeekFacts(
        champion_left=champion_left,
        champion_joined=champion_joined,
        champion_promoted=promoted,
        sponsor_left=sponsor_left,
        sponsor_joined=sponsor_joined,
        company=company,
        invoiced=invoiced,
        invoice_day=invoice_day,
        payment_failed=payment_failed,
        recovered=recovered,
        play=play,
        play_severity=severity,
        held_out=held_out,
    )
    return moved, happenings, felt


def _seat_changes(taken: Bools, leave: float, join: float, rng: np.random.Generator) -> tuple[Bools, Bools, Bools]:
    """A chair that one person holds: whether it is taken after the week, was given up in it, was filled in it."""
    coin = rng.random(len(taken))
    left = taken & (coin < leave)
    joined = ~taken & (coin < join)
    return (taken | joined) & ~left, left, joined


def _payments(
    world: AccountTraits, state: LatentState, strain: Floats, invoiced: Bools, rng: np.random.Generator
) -> tuple[Ints, Bools, Bools]:
    """Weeks for which payment has been failing, whether an attempt failed this week, and whether it was made good."""
    coin, retry = rng.random((2, len(state)))
    base = (
        np.where(world.billing == 1, -4.3, -3.0)
        - 0.5 * (world.segment >= MID_MARKET)
        - 0.4 * (world.segment == ENTERPRISE)
    )
    ill = state.failing > 0
    recovered = ill & (coin < sigmoid(-0.9 - 0.6 * strain))
    begins = ~ill & invoiced & state.running & (coin < sigmoid(base + 0.9 * strain))
    failing = np.where(ill & ~recovered, state.failing + 1, np.where(begins, 1, 0))
    return failing, begins | ((failing > 1) & (retry < 0.7)), recovered


def _plays(
    world: AccountTraits, state: LatentState, felt: ChurnPropensity, rng: np.random.Generator
) -> tuple[LatentState, Ints, Ints, Bools]:
    """The state after this week's interventions; which were begun (-1: none), how severe, and which were held out."""
    coin, chance, blur = rng.random(len(state)), rng.random(len(state)), rng.standard_normal(len(state))
    seen = felt.total + 0.8 * blur
    due = (
        (seen > PLAY_THRESHOLD) & (state.since_play > PLAY_PAUSE_WEEKS) & (world.segment != SELF_SERVE) & state.running
    )
    begun = due & (coin < 0.12)
    held_out = begun & (chance < HELD_OUT_SHARE)
    treated = begun & ~held_out
    helped = replace(
        state,
        value=state.value + 0.6 * treated,
        rapport=state.rapport + 0.8 * treated,
        trouble=state.trouble * np.where(treated, 0.5, 1.0),
        since_play=np.where(begun, 0, state.since_play),
    )
    play = np.where(begun, felt.worst, -1)
    severity = (seen > PLAY_THRESHOLD + 1).astype(np.int64) + (seen > PLAY_THRESHOLD + 2)
    return helped, play, severity, held_out
