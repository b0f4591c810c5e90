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

VISIBLE_SPREAD = 1.55
"""Standard deviation between accounts of the parts that signals show."""


@dataclass(frozen=True)
class ChurnPropensity:
    """Log-odds of churn relative to an average account.

    Parameters
    ----------
    total : the log-odds.
    visible : the sum of the parts that signals show.
    worst : index of the largest of these parts.
    """

    total: Floats
    visible: Floats
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
    moved = min(max(traits.market.drift * traits.market.years_before_end(day), 0.0), 0.9)
    fading, growing = 1.0 + moved, 1.0 - moved
    parts = (
        -0.7 * state.adoption * state.ramp(traits, day) * fading,
        -0.65 * state.rapport * fading,
        (0.5 * (state.trouble - 0.35) + 0.35 * state.trouble * alone) * fading,
        (-0.45 * state.value - 0.4 * state.progress) * fading,
        (1.15 * alone + np.where(big, 0.9, 0.5) * ~state.sponsor - 0.25) * growing,
        (1.0 * state.rival + 0.5 * state.rival * short - 0.1) * growing,
        0.65 * state.strain * growing,
    )
    visible = parts[0]
    worst = np.zeros(len(visible), dtype=np.int64)
    most = parts[0]
    for index, part in enumerate(parts[1:], start=1):
        visible = visible + part
        worst = np.where(part > most, index, worst)
        most = np.maximum(most, part)
    total = with_noise(visible, state.unobserved[:, 0], VISIBLE_SPREAD, traits.market.noise)
    return ChurnPropensity(total, visible, worst)


def with_noise(visible: Floats, unobserved: Floats, spread: float, noise: float) -> Floats:
    """Replace a share of the variance of log-odds around 0 by a part that no signal shows.

    Parameters
    ----------
    visible : the log-odds, around 0.
    unobserved : the part, in standard deviations.
    spread : the standard deviation of ``visible``.
    noise : the share, 0 to 1.
    """
    return np.asarray(np.sqrt(1.0 - noise) * visible + np.sqrt(noise) * spread * unobserved, dtype=np.float64)
