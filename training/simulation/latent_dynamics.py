"""One simulated week: latent states, contacts, company news, payments and plays.

Rates are per week. The same step is used for the history and for the futures behind the true probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.account_traits import AccountTraits
from training.simulation.churn_propensity import ChurnPropensity, churn_propensity
from training.simulation.latent_state import LatentState
from training.simulation.market_segments import ENTERPRISE, MID_MARKET, SELF_SERVE
from training.simulation.random_streams import mean_reverting_step, sigmoid

COMPANY_EVENTS = ("funding", "hiring", "layoffs", "acquisition", "new_department")
COMPANY_RATES = np.array([0.005, 0.008, 0.006, 0.0015, 0.004])
APPETITE_SHOCK = np.array([0.9, 0.6, -0.9, -0.3, 1.1, 0.0])
STRAIN_SHOCK = np.array([-1.5, -0.6, 1.9, 1.3, -0.4, 0.0])
PLAYS = (
    "low_adoption",
    "low_engagement",
    "technical_issues",
    "value_in_doubt",
    "executive_change",
    "competitor_evaluation",
    "price_concerns",
)
"""The play for each part of the churn propensity, in its order."""
PLAY_PAUSE_WEEKS = 26
PLAY_THRESHOLD = 1.8
"""Churn propensity, as observed by customer success, above which a play may start."""
PLAY_START_SHARE = 0.3
"""Share of these accounts whose play starts in a given week."""
UNOBSERVED_HALF_LIFE = 40
"""Half-life in weeks of the propensities that no signal shows."""


@dataclass(frozen=True)
class WeekFacts:
    """Events of a week other than contract events, one entry per account; source of the event tables."""

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
    traits: AccountTraits, state: LatentState, day: int, rng: np.random.Generator
) -> tuple[LatentState, WeekFacts, ChurnPropensity]:
    """Simulate the week from ``day`` up to its contract events.

    Parameters
    ----------
    traits, state : traits and current state of the accounts.
    day : first day of the week.
    rng : random numbers.

    Returns
    -------
    The new state, the events of the week, and the propensity to churn.
    """
    n = len(state)
    champion, champion_left, champion_joined = _seat_changes(state.champion, 0.0055, 0.035, rng)
    sponsor, sponsor_left, sponsor_joined = _seat_changes(state.sponsor, 0.005, 0.03, rng)
    promoted = state.champion & ~champion_left & (rng.random(n) < 0.002)
    company = np.searchsorted(np.cumsum(COMPANY_RATES), rng.random(n), side="right")
    acquired = company == COMPANY_EVENTS.index("acquisition")
    sponsor_left, sponsor = sponsor_left | (acquired & state.sponsor), sponsor & ~acquired

    incident = rng.random(n) < 0.035 * np.exp(traits.fragility)
    trouble = 0.86 * state.trouble + incident * rng.exponential(1.4, n)
    progress = mean_reverting_step(state.progress, 0.5 * traits.fit, 26, 0.8, rng)
    worth = 0.4 * traits.fit + 0.4 * progress - 0.45 * (trouble - 0.35) + 0.4 * (champion - 0.87)
    value = mean_reverting_step(state.value, worth, 12, 0.65, rng) - 0.3 * sponsor_left
    adoption = mean_reverting_step(state.adoption, 0.45 * value, 13, 0.85, rng)
    rapport = mean_reverting_step(state.rapport, 0.3 * traits.fit + 0.6 * (champion - 0.87), 14, 0.8, rng)
    strain = mean_reverting_step(state.strain, traits.thrift, 30, 0.8, rng) + STRAIN_SHOCK[company]
    appetite = (
        mean_reverting_step(state.appetite, traits.ambition, 20, 0.8, rng) + APPETITE_SHOCK[company] + 0.6 * promoted
    )
    uniform = rng.random(n)
    rival = np.where(state.rival, uniform > 0.07, uniform < sigmoid(-5.2 - 0.5 * value + 0.3 * strain + 3.0 * acquired))

    invoiced, invoice_day = traits.invoice_due(day)
    failing, payment_failed, recovered = _payments(traits, state, strain, invoiced, rng)
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
        unobserved=mean_reverting_step(state.unobserved, 0.0, UNOBSERVED_HALF_LIFE, 1.0, rng),
    )
    propensity = churn_propensity(traits, moved, day)
    moved, play, severity, held_out = _plays(traits, moved, propensity, rng)
    facts = WeekFacts(
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
    return moved, facts, propensity


def _seat_changes(taken: Bools, leave: float, join: float, rng: np.random.Generator) -> tuple[Bools, Bools, Bools]:
    """Simulate a role held by one person: whether it is filled after the week, and who left or joined in it."""
    uniform = rng.random(len(taken))
    left = taken & (uniform < leave)
    joined = ~taken & (uniform < join)
    return (taken | joined) & ~left, left, joined


def _payments(
    traits: AccountTraits, state: LatentState, strain: Floats, invoiced: Bools, rng: np.random.Generator
) -> tuple[Ints, Bools, Bools]:
    """Simulate payments: weeks of failed payment, whether an attempt failed this week, and whether it was recovered."""
    uniform, retry = rng.random((2, len(state)))
    base = (
        np.where(traits.billing == 1, traits.card_failure, -3.0)
        - 0.5 * ((traits.billing > 1) & (traits.segment >= MID_MARKET))
        - 0.4 * ((traits.billing > 1) & (traits.segment == ENTERPRISE))
    )
    was_failing = state.failing > 0
    recovered = was_failing & (uniform < sigmoid(-0.9 - 0.6 * strain))
    starts_failing = ~was_failing & invoiced & state.running & (uniform < sigmoid(base + 0.9 * strain))
    failing = np.where(was_failing & ~recovered, state.failing + 1, np.where(starts_failing, 1, 0))
    return failing, starts_failing | ((failing > 1) & (retry < 0.7)), recovered


def _plays(
    traits: AccountTraits, state: LatentState, propensity: ChurnPropensity, rng: np.random.Generator
) -> tuple[LatentState, Ints, Ints, Bools]:
    """Simulate interventions: the new state, the play that started (-1: none), its severity, and whether held out."""
    uniform, chance, noise = rng.random(len(state)), rng.random(len(state)), rng.standard_normal(len(state))
    observed = propensity.visible + 0.4 * noise
    due = (
        (observed > PLAY_THRESHOLD)
        & (state.since_play > PLAY_PAUSE_WEEKS)
        & (traits.segment != SELF_SERVE)
        & state.running
    )
    started = due & (uniform < PLAY_START_SHARE)
    held_out = started & (chance < traits.market.held_out_share)
    treated = started & ~held_out
    effects = traits.market.play_effects
    improved = treated & (not effects)
    prevented = treated * np.array(effects)[propensity.worst] if effects else np.zeros(len(state))
    state_after = replace(
        state,
        value=state.value + 0.4 * improved,
        rapport=state.rapport + 0.5 * improved,
        trouble=state.trouble * np.where(improved, 0.7, 1.0),
        since_play=np.where(started, 0, state.since_play),
        protection=np.where(started, prevented, state.protection),
    )
    play = np.where(started, propensity.worst, -1)
    severity = (observed > PLAY_THRESHOLD + 1).astype(np.int64) + (observed > PLAY_THRESHOLD + 2)
    return state_after, play, severity, held_out
