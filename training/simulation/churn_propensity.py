"""Propensity of an account to churn: hidden log-odds, as a sum of parts.

Most parts are linear in the latent state. Three are not: low usage matters little before onboarding is complete,
product problems matter more without a champion, and a competitor matters more under budget stress.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.account_traits import AccountTraits
from training.simulation.latent_state import LatentState
from training.simulation.market_segments import MID_MARKET


@dataclass(frozen=True)
class ChurnPropensity:
    """Log-odds of churn relative to an average account, and the index of the largest part."""

    total: Floats
    worst: Ints


def churn_propensity(traits: AccountTraits, state: LatentState, day: int) -> ChurnPropensity:
    """Compute the propensity at day ``day``. Parts: usage, engagement, support, value, people, competitor and budget.

    Parameters
    ----------
    traits, state : traits and current state of the accounts.
    day : the day.
    """
    alone = ~state.champion
    short: Floats = np.maximum(state.strain, 0.0)
    big: Bools = traits.segment >= MID_MARKET
    parts = (
        -0.7 * state.adoption * state.ramp(traits, day),
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
