"""Plays: what to do about a cause, who does it, and by when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.rules.reading import Part, Rules

Severity = Literal["immediate", "high", "medium", "early"]
#: The most pressing first.
SEVERITIES: tuple[Severity, ...] = ("immediate", "high", "medium", "early")
Tier = Literal["high", "medium", "low"]
Cause = Literal[
    "low_engagement",
    "low_adoption",
    "executive_change",
    "competitor_evaluation",
    "technical_issues",
    "value_in_doubt",
    "price_concerns",
]
Days = Annotated[int, Field(ge=0, le=3650)]


class _TierRule(Part):
    severity: Tier
    who: str
    within_days: Days
    before_renewal_days: Days


class _PlayRule(Part):
    cause: Cause
    low: str
    medium: str
    high: str


class PlaysFile(Rules):
    """All that ``plays.toml`` says. ``cause_of`` tells, for a dimension of a health score, what its weakness points to;
    a dimension that it lacks points to no play."""

    severity_of: dict[Severity, Tier]
    cause_of: dict[str, Cause]
    severity_of_band: dict[str, Severity]
    tiers: Annotated[tuple[_TierRule, ...], Field(strict=False)]
    plays: Annotated[tuple[_PlayRule, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if missing := [s for s in SEVERITIES if s not in self.severity_of]:
            raise ValueError(f"severity_of lacks {', '.join(missing)}")
        if sorted(t.severity for t in self.tiers) != ["high", "low", "medium"]:
            raise ValueError("tiers needs high, medium and low, each once")
        causes = [p.cause for p in self.plays]
        if sorted(causes) != sorted(Cause.__args__):  # type: ignore[attr-defined]
            raise ValueError("plays needs every cause once")
        return self


@dataclass(frozen=True)
class Play:
    """What to do, who does it (automated, csm or executives), and the last day for it (UTC)."""

    cause: Cause
    severity: Tier
    act: str
    who: str
    due: date

    def as_dict(self) -> dict[str, str]:
        """Plain data for JSON. It is named after what calls for it, as an intervention names the play that was run."""
        told = {"name": self.cause, "severity": self.severity, "act": self.act, "who": self.who}
        return told | {"due": self.due.isoformat()}


def play_for(
    cause: Cause, severity: Severity, as_of: datetime, days_to_renewal: float | None, rules: PlaysFile
) -> Play:
    """The play for a cause.

    Parameters
    ----------
    as_of : the day on which it is called for, UTC.
    days_to_renewal : from ``as_of``; None unknown, below 0 a date that has passed.
    """
    tier = next(t for t in rules.tiers if t.severity == rules.severity_of[severity])
    words = next(p for p in rules.plays if p.cause == cause)
    days = tier.within_days
    if days_to_renewal is not None and days_to_renewal >= 0:
        days = max(min(days, int(days_to_renewal) - tier.before_renewal_days), 0)
    act = {"high": words.high, "medium": words.medium, "low": words.low}[tier.severity]
    return Play(cause, tier.severity, act, tier.who, (as_of + timedelta(days=days)).date())
