"""Presets of simulated markets, and the settings that change them.

docs/reference/simulator.md compares each preset with published figures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from features.errors import BadRequest
from training.simulation.market_segments import SEGMENTS, MarketSegment


class Pricing(StrEnum):
    """What customers pay for: seats, units of usage, or single orders without a contract."""

    SEATS = "seats"
    USAGE = "usage"
    ORDERS = "orders"


@dataclass(frozen=True)
class Market:
    """Settings of a simulated market.

    Parameters
    ----------
    name : name of the preset.
    segments : the four segments, from self-serve to enterprise.
    annual_churn : share of the accounts that leave within a year.
    pricing : what customers pay for.
    noise : share of the variance of the propensities to churn and to expand that no signal shows, 0 to 1.
    signal : 1 for full effects of all signals, 0 for events at constant rates that no signal predicts.
    drift : change per year of the effects on churn. At the end of the data they are as in every other history of the
        preset. Earlier, usage, relationship, support and value had more effect, and people, competitors and budgets
        less, by this share per year (at most by 0.9).
    trend : increase per year of the log-odds of churn.
    held_out_share : share of plays that are held out at random.
    play_effects : for each play, the share of the churn by choice that it prevents in the quarter after it starts;
        empty if plays improve the hidden state instead.
    level : added to the log-odds of churn, to reach ``annual_churn``.
    end : day after the last day of the data.
    """

    name: str
    segments: tuple[MarketSegment, ...]
    annual_churn: float
    pricing: Pricing = Pricing.SEATS
    noise: float = 0.0
    signal: float = 1.0
    drift: float = 0.0
    trend: float = 0.0
    held_out_share: float = 0.25
    play_effects: tuple[float, ...] = ()
    level: float = 0.0
    end: int = 0

    def years_before_end(self, day: int) -> float:
        """Years from ``day`` to the end of the data; negative after it."""
        return (self.end - day) / 365.25

    def with_monthly_share(self, share: float) -> Market:
        """Return the market with this share of monthly terms in every segment.

        Parameters
        ----------
        share : 0 to 1.
        """
        segments = []
        for segment in self.segments:
            yearly = sum(segment.terms[1:])
            others = tuple(term / yearly for term in segment.terms[1:]) if yearly else (1.0, 0.0, 0.0)
            one, two, three = ((1.0 - share) * term for term in others)
            segments.append(replace(segment, terms=(share, one, two, three)))
        return replace(self, segments=tuple(segments))


def _segments(
    shares: tuple[float, float, float, float], monthly: tuple[float, float, float, float] | None = None
) -> tuple[MarketSegment, ...]:
    """The four segments with other shares of accounts and, if given, of monthly terms."""
    segments = tuple(replace(segment, share=share) for segment, share in zip(SEGMENTS, shares, strict=True))
    if monthly is None:
        return segments
    markets = (
        Market("", (segment,), 0.0).with_monthly_share(share) for segment, share in zip(segments, monthly, strict=True)
    )
    return tuple(market.segments[0] for market in markets)


MIXED_B2B = "mixed-b2b"
"""Name of the default preset."""
PRESETS = {
    market.name: market
    for market in (
        Market(MIXED_B2B, SEGMENTS, annual_churn=0.185),
        Market("enterprise-annual", _segments((0.0, 0.0, 0.4, 0.6), (0.0, 0.0, 0.0, 0.0)), annual_churn=0.085),
        Market("smb-monthly", _segments((0.6, 0.4, 0.0, 0.0), (0.9, 0.8, 0.0, 0.0)), annual_churn=0.33),
        Market(
            "usage-based",
            _segments((0.2, 0.35, 0.3, 0.15), (1.0, 0.9, 0.6, 0.3)),
            annual_churn=0.217,
            pricing=Pricing.USAGE,
        ),
        Market("orders", _segments((0.45, 0.35, 0.15, 0.05)), annual_churn=0.24, pricing=Pricing.ORDERS),
    )
}


def find_preset(name: str) -> Market:
    """Return the preset of a name.

    Raises
    ------
    BadRequest
        No preset has the name.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise BadRequest(f"{name!r} is not a preset of the simulator", f"one of {', '.join(PRESETS)}") from None
