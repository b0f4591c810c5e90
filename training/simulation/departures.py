"""When accounts leave by choice, also soon after the end of the data.

What announces a departure, such as a notice, must be in the data of accounts that leave after their end, too. Those
departures are drawn from random numbers of their own: nothing else in the history depends on them.
"""

from __future__ import annotations

import numpy as np

from features.utils.arrays import Bools, Ints
from training.simulation.contract_events import ContractEvent, apply_event, contract_odds, draw_event
from training.simulation.history import NOT_LEFT, SimulatedHistory
from training.simulation.latent_dynamics import simulate_week

WEEKS_AHEAD = 13
"""Weeks after the end of the data whose departures are drawn."""


def departures(history: SimulatedHistory) -> Ints:
    """Return the day on which each account leaves by choice; `NOT_LEFT` if it does not. Shape (n,).

    Parameters
    ----------
    history : the simulated history.
    """
    by_choice: Bools = np.any(np.stack(history.kinds) == ContractEvent.CANCEL, axis=0)
    day = np.where(by_choice, history.left_on, NOT_LEFT)
    rng, state = history.rng("departures"), history.after[-1]
    for first in range(history.end, history.end + 7 * WEEKS_AHEAD, 7):
        state, _, propensity = simulate_week(history.traits, state, first, rng)
        week = contract_odds(history.traits, state, propensity, first, rng)
        kind = draw_event(week, rng.random(len(state)))
        state = apply_event(history.traits, state, week, kind)
        day = np.where(kind == ContractEvent.CANCEL, week.day, day)
    return np.asarray(day, dtype=np.int64)
