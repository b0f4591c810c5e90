"""The full hidden state of every account at one instant: all that its future depends on, besides its lasting traits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulation.account_traits import AccountTraits
from training.simulation.calendar import Bools, Floats, Ints
from training.simulation.columns import Columns
from training.simulation.market_segments import SELF_SERVE
from training.simulation.random_streams import sigmoid

NEVER = 10_000
"""Weeks since something that never happened."""
FEATURE_COUNT = 12
"""Features that the product has."""


@dataclass(frozen=True)
class LatentState(Columns):
    """One entry per account. Moods are in standard deviations, around zero.

    ``value`` (how much the product is felt to be worth), ``progress`` (towards its goals), ``adoption`` (use against
    its own usual use), ``rapport`` (with us), ``strain`` (on its budget), ``appetite`` (to grow), ``trouble`` (with the
    product; at least 0), ``rival`` (a competitor is being looked at), ``champion`` and ``sponsor`` (one is there).
    ``failing``: weeks since a payment failed that was not made good (0: none). ``since_play``: weeks since the last
    intervention. ``running``: a contract is in force. ``left``: gone for good. ``unsigned``: past its renewal date and
    still running. ``back_on``: the day on which a lapsed contract is taken up again (0: not lapsed). ``terms``: terms
    signed. ``seats``, ``price`` (of a seat a year), ``plan`` (index), ``add_ons`` (ARR of each, (n, 2); 0: not bought).
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
    running: Bools
    left: Bools
    unsigned: Bools
    back_on: Ints
    terms: Ints
    seats: Floats
    price: Floats
    plan: Ints
    add_ons: Floats

    @property
    def arr(self) -> Floats:
        """ARR in currency a year, over all products."""
        return np.asarray(self.seats * self.price + self.add_on_arr, dtype=np.float64)

    @property
    def add_on_arr(self) -> Floats:
        """ARR of the add-ons together."""
        return np.asarray(self.add_ons[:, 0] + self.add_ons[:, 1], dtype=np.float64)

    @property
    def may_add(self) -> Bools:
        """Whether there is an add-on that it has not bought."""
        return np.asarray((self.add_ons[:, 0] == 0) | (self.add_ons[:, 1] == 0), dtype=bool)

    def ramp(self, world: AccountTraits, day: int) -> Floats:
        """How far onboarding has come, 0 to 1."""
        return np.asarray(1.0 - np.exp(-np.maximum(day - world.created, 0) / world.ramp_days), dtype=np.float64)

    def share_log_odds(self, world: AccountTraits) -> Floats:
        """Log-odds that a seat is in use, once onboarded."""
        return np.asarray(world.usual_share + 0.6 * self.adoption, dtype=np.float64)

    def active_users(self, world: AccountTraits, day: int, habit: Floats | float = 0.0) -> Floats:
        """Users in an ordinary week, a real number; ``habit`` is added to the log-odds that a seat is in use."""
        share = sigmoid(self.share_log_odds(world) + habit)
        return np.asarray(self.seats * share * self.ramp(world, day) * self.running, dtype=np.float64)

    def breadth(self, world: AccountTraits) -> Floats:
        """Features in use, 1 to ``FEATURE_COUNT``, as a real number."""
        lean = world.usual_breadth + 0.4 * self.adoption + 0.2 * self.value + 0.5 * self.appetite
        return np.asarray(1.0 + (FEATURE_COUNT - 1) * sigmoid(lean), dtype=np.float64)


def initial_state(world: AccountTraits, start: int, rng: np.random.Generator) -> LatentState:
    """The state in which accounts begin: moods about their long run, contracts of the older ones in force."""
    n = len(world)

    def mood(mean: Floats, spread: float) -> Floats:
        return np.asarray(mean + spread * rng.standard_normal(n), dtype=np.float64)

    champion = rng.random(n) < 0.87
    progress = mood(0.5 * world.fit, 0.8)
    value = mood(0.5 * world.fit + 0.4 * progress, 0.7)
    return LatentState(
        value=value,
        progress=progress,
        adoption=mood(0.4 * value, 0.85),
        rapport=mood(0.3 * world.fit + 0.4 * (champion - 0.87), 0.8),
        strain=mood(world.thrift, 0.8),
        appetite=mood(world.ambition, 0.8),
        trouble=rng.exponential(0.3, n) * np.exp(world.fragility),
        rival=rng.random(n) < 0.08,
        champion=champion,
        sponsor=rng.random(n) < np.where(world.segment == SELF_SERVE, 0.6, 0.87),
        failing=np.zeros(n, dtype=np.int64),
        since_play=np.full(n, NEVER, dtype=np.int64),
        running=world.created < start,
        left=np.zeros(n, dtype=bool),
        unsigned=np.zeros(n, dtype=bool),
        back_on=np.zeros(n, dtype=np.int64),
        terms=world.first_terms,
        seats=world.first_seats,
        price=world.first_price,
        plan=world.first_plan,
        add_ons=world.first_add_ons,
    )
