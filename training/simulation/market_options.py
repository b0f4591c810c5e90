"""Markets from a preset and the options of a simulation, and the level of churn that reaches a given rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any

from features.errors import BadRequest
from training.simulation.calendar import day_number
from training.simulation.history import simulate_history
from training.simulation.latent_dynamics import PLAYS
from training.simulation.presets import MIXED_B2B, Market, Pricing, find_preset

_PILOT_ACCOUNTS, _PILOT_WEEKS, _PILOT_SEED = 1_500, 78, 20
_PILOT_END = date(2026, 9, 30)
_LEVELS = (-4.0, 5.0)
"""Range of the level of churn, in log-odds."""
_STEPS = 11
ANNUAL_CHURN_RANGE = (0.01, 0.9)


@dataclass(frozen=True, kw_only=True)
class MarketOptions:
    """A preset and the settings of it that a simulation changes.

    Parameters
    ----------
    preset : name of the preset.
    noise : share of the variance of the propensities to churn and to expand that no signal shows, 0 to 1.
    signal : 1 for full effects of all signals, 0 for none.
    drift : change per year of the effects on churn, 0 to 1; see `Market`.
    trend : increase per year of the log-odds of churn, -1 to 1.
    monthly_share : share of monthly terms in every segment, 0 to 1; that of the preset if not given.
    annual_churn : share of the accounts that leave within a year, 0.01 to 0.9; that of the preset if not given.
    held_out_share : share of plays that are held out at random, 0 to 1.
    play_effects : by play, the share of the churn by choice that it prevents in the quarter after it starts, 0 to 1.
        Plays that are not named have no effect. If not given, plays improve the hidden state of accounts.
    """

    preset: str = MIXED_B2B
    noise: float = 0.0
    signal: float = 1.0
    drift: float = 0.0
    trend: float = 0.0
    monthly_share: float | None = None
    annual_churn: float | None = None
    held_out_share: float = 0.25
    play_effects: Mapping[str, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        effects = self.play_effects
        return vars(self) | {"play_effects": None if effects is None else dict(effects)}

    def market(self) -> Market:
        """Return the preset with these settings.

        Raises
        ------
        BadRequest
            The preset is unknown, an option is out of range, or it has no meaning for the preset.
        """
        market = find_preset(self.preset)
        self._require_ranges()
        given = self.play_effects
        effects = () if given is None else tuple(float(given.get(play, 0.0)) for play in PLAYS)
        market = replace(market, noise=self.noise, signal=self.signal, drift=self.drift, trend=self.trend)
        market = replace(market, held_out_share=self.held_out_share, play_effects=effects)
        if self.monthly_share is not None:
            if market.pricing is Pricing.ORDERS:
                raise BadRequest(f"the preset {self.preset!r} has no contracts", "no monthly-share with this preset")
            market = market.with_monthly_share(self.monthly_share)
        if self.annual_churn is None:
            return market
        market = replace(market, annual_churn=self.annual_churn)
        return market if self.signal == 0 else replace(market, level=_level_of(market))

    def _require_ranges(self) -> None:
        effects = self.play_effects or {}
        for name, value, low, high in (
            ("noise", self.noise, 0.0, 1.0),
            ("signal", self.signal, 0.0, 1.0),
            ("drift", self.drift, 0.0, 1.0),
            ("trend", self.trend, -1.0, 1.0),
            ("monthly-share", self.monthly_share, 0.0, 1.0),
            ("annual-churn", self.annual_churn, *ANNUAL_CHURN_RANGE),
            ("held-out-share", self.held_out_share, 0.0, 1.0),
            *((f"the effect of {play}", effect, 0.0, 1.0) for play, effect in effects.items()),
        ):
            if value is not None and not low <= value <= high:
                raise BadRequest(f"{name} is {value}", f"{low:g} to {high:g}")
        if unknown := sorted(set(effects) - set(PLAYS)):
            raise BadRequest(f"unknown play {unknown[0]!r}", f"one of {', '.join(PLAYS)}")


@lru_cache(maxsize=64)
def _level_of(market: Market) -> float:
    """Level at which the annual churn of a pilot history is closest to that of the market, by bisection."""
    low, high = _LEVELS
    for _ in range(_STEPS):
        level = (low + high) / 2
        pilot = simulate_history(
            _PILOT_ACCOUNTS, _PILOT_WEEKS, _PILOT_SEED, day_number(_PILOT_END), replace(market, level=level)
        )
        low, high = (low, level) if pilot.annual_churn > market.annual_churn else (level, high)
    return (low + high) / 2
