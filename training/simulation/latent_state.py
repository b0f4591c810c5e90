"""Hidden state of every account at one instant. With the permanent traits it determines all future probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.account_traits import AccountTraits
from training.simulation.columns import Columns
from training.simulation.market_segments import SELF_SERVE
from training.simulation.random_streams import sigmoid

NEVER = 10_000
"""Weeks since an event that has not happened."""
FEATURE_COUNT = 12
"""Number of features of the product."""


@dataclass(frozen=True)
class LatentState(Columns):
    """State with one entry per account. Latent variables are in standard deviations, around zero.

    ``value`` (perceived value of the product), ``progress`` (towards goals), ``adoption`` (usage relative to the usual
    level), ``rapport`` (relationship with us), ``strain`` (budget stress), ``appetite`` (to grow), ``trouble`` (product
    problems, at least 0), ``rival`` (a competitor is evaluated), ``champion`` and ``sponsor`` (the role is filled).
    ``failing``: weeks since an unrecovered payment failure (0: none). ``since_play``: weeks since the last
    intervention. ``protection``: share of the churn by choice that it prevents. ``running``: a contract is active.
    ``left``: left permanently. ``unsigned``: past the renewal date without a renewal. ``resume_day``: the day on which
    a lapsed contract resumes (0: not lapsed). ``terms``: number of signed terms. ``seats``, ``price`` (of a seat per
    year), ``plan`` (index), ``add_ons`` (ARR of each, (n, 2); 0: not bought). ``unobserved``: propensities to churn and
    to expand that no signal shows, (n, 2), in standard deviations.
    """

    value: Floats
    progress: Floats
    adoption: Floats
    rapport: Floats
    strain: Floats
    appetite: Floats
    trouble: Floats
    rival: Bools
    champion: Bools
    sponsor: Bools
    failing: Ints
    since_play: Ints
    protection: Floats
    running: Bools
    left: Bools
    unsigned: Bools
    resume_day: Ints
    terms: Ints
    seats: Floats
    price: Floats
    plan: Ints
    add_ons: Floats
    unobserved: Floats

    @property
    def arr(self) -> Floats:
        """ARR over all products, in currency per year."""
        return np.asarray(self.seats * self.price + self.add_on_arr, dtype=np.float64)

    @property
    def add_on_arr(self) -> Floats:
        """Total ARR of the add-ons."""
        return np.asarray(self.add_ons[:, 0] + self.add_ons[:, 1], dtype=np.float64)

    @property
    def may_add(self) -> Bools:
        """Whether the account can buy another add-on."""
        return np.asarray((self.add_ons[:, 0] == 0) | (self.add_ons[:, 1] == 0), dtype=bool)

    def ramp(self, traits: AccountTraits, day: int) -> Floats:
        """Return the progress of onboarding, 0 to 1.

        Parameters
        ----------
        traits : traits of the accounts.
        day : the day.
        """
        return np.asarray(1.0 - np.exp(-np.maximum(day - traits.created, 0) / traits.ramp_days), dtype=np.float64)

    def share_log_odds(self, traits: AccountTraits) -> Floats:
        """Return the log-odds that a seat is used after onboarding.

        Parameters
        ----------
        traits : traits of the accounts.
        """
        return np.asarray(traits.usual_share + 0.6 * self.adoption, dtype=np.float64)

    def active_users(self, traits: AccountTraits, day: int, habit: Floats | float = 0.0) -> Floats:
        """Return the expected number of active users in a normal week.

        Parameters
        ----------
        traits : traits of the accounts.
        day : the day.
        habit : added to the log-odds that a seat is used.
        """
        share = sigmoid(self.share_log_odds(traits) + habit)
        return np.asarray(self.seats * share * self.ramp(traits, day) * self.running, dtype=np.float64)

    def breadth(self, traits: AccountTraits) -> Floats:
        """Return the expected number of features in use, 1 to ``FEATURE_COUNT``.

        Parameters
        ----------
        traits : traits of the accounts.
        """
        log_odds = traits.usual_breadth + 0.4 * self.adoption + 0.2 * self.value + 0.5 * self.appetite
        return np.asarray(1.0 + (FEATURE_COUNT - 1) * sigmoid(log_odds), dtype=np.float64)


def initial_state(traits: AccountTraits, start: int, rng: np.random.Generator) -> LatentState:
    """Draw the initial state: latent variables around their long-run mean, contracts of older accounts active.

    Parameters
    ----------
    traits : traits of the accounts.
    start : first day of the data.
    rng : random numbers.
    """
    n = len(traits)

    def normal(mean: Floats, spread: float) -> Floats:
        return np.asarray(mean + spread * rng.standard_normal(n), dtype=np.float64)

    champion = rng.random(n) < 0.87
    progress = normal(0.5 * traits.fit, 0.8)
    value = normal(0.5 * traits.fit + 0.4 * progress, 0.7)
    return LatentState(
        value=value,
        progress=progress,
        adoption=normal(0.4 * value, 0.85),
        rapport=normal(0.3 * traits.fit + 0.4 * (champion - 0.87), 0.8),
        strain=normal(traits.thrift, 0.8),
        appetite=normal(traits.ambition, 0.8),
        trouble=rng.exponential(0.3, n) * np.exp(traits.fragility),
        rival=rng.random(n) < 0.08,
        champion=champion,
        sponsor=rng.random(n) < np.where(traits.segment == SELF_SERVE, 0.6, 0.87),
        failing=np.zeros(n, dtype=np.int64),
        since_play=np.full(n, NEVER, dtype=np.int64),
        protection=np.zeros(n),
        running=traits.created < start,
        left=np.zeros(n, dtype=bool),
        unsigned=np.zeros(n, dtype=bool),
        resume_day=np.zeros(n, dtype=np.int64),
        terms=traits.first_terms,
        seats=traits.first_seats,
        price=traits.first_price,
        plan=traits.first_plan,
        add_ons=traits.first_add_ons,
        unobserved=rng.standard_normal((n, 2)),
    )
