"""The pressure on an account to leave: the hidden log-odds, part by part.

Most of it is linear in the moods. Three parts are not, as in life: low use says little before onboarding is done,
trouble weighs more where no champion explains it away, and a rival weighs more when money is short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulation.account_traits import AccountTraits
from training.simulation.calendar import Bools, Floats, Ints
from training.simulation.latent_state import LatentState
from training.simulation.market_segments import MID_MARKET


@dataclass(frozen=True)
class ChurnPropensity:
    """Log-odds to leave against those of an account in average shape, and the part that weighs most (an index)."""

    total: Floats
    worst: Ints


def churn_propensity(world: AccountTraits, state: LatentState, day: int) -> ChurnPropensity:
    """The pressure at day ``day``; its parts are use, engagement, support, worth, people, rival and money."""
    alone = ~state.champion
    short: Floats = np.maximum(state.strain, 0.0)
    big: Bools = world.segment >= MID_MARKET
    parts = (
        -0.7 * state.adoption * state.ramp(world, day),
        -0.4 * state.rapport,
        0.5 * (state.trouble - 0.35) + 0.35 * state.trouble * alone,
        -0.5 * state.value - 0.5 * state.progress,
        0.8 * alone + np.where(big, 0.8, 0.4) * ~state.sponsor - 0.2,
        1.0 * state.rival + 0.5 * state.rival * short - 0.1,
        0.45 * state.strain,
    )
    total = parts[0]
    worst = np.zeros(len(total), dtype=np.int64)
    most = parts[0]
    for index, part in enumerate(parts[1:], start=1):
        total = total + part
        worst = np.where(part > most, index, worst)
        most = np.maximum(most, part)
    return ChurnPropensity(total, worst)
