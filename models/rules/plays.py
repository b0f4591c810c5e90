"""Plays: what to do about a cause, who does it, and by when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.peer_groups.rule_files import Part, Rules

Severity = Literal["immediate", "high", "medium", "early"]
#: The most pressing first.
SEVERITIES: tuple[Severity, ...] = ("immediate", "high", "medium", "early")
#: They precede a loss by themselves: one that counts is a reason to act whatever the scores say.
PRESSING: tuple[Severity, ...] = ("immediate", "high")
Tier = Literal["high", "medium", "low"]
#: The most severe first.
TIERS: tuple[Tier, ...] = ("high", "medium", "low")
Kind = Literal["save", "billing", "onboarding", "renewal"]
Cause = Literal[
    "low_engagement",
    "low_adoption",
    "executive_change",
    "thin_relationship",
    "competitor_evaluation",
    "technical_issues",
    "dissatisfaction",
    "value_in_doubt",
    "price_concerns",
    "notice_given",
    "renewal_unsigned",
    "payment_failure",
    "use_increase",
]
#: What names a play: the cause, or for the two kinds that no cause of risk calls for, the kind.
Name = Cause | Literal["onboarding", "renewal"]
EXECUTIVES, CSM, AUTOMATED = "executives", "csm", "automated"
Days = Annotated[int, Field(ge=0, le=3650)]
Ahead = Annotated[int, Field(ge=1, le=3650)]


class _TierRule(Part):
    severity: Tier
    who: str
    within_days: Ahead
    before_renewal_days: Days


class _PlayRule(Part):
    """What is done about a cause. ``kind`` and ``who`` stand where somebody else than the tier's acts; a cause of kind
    ``note`` is worth knowing and calls for no play."""

    cause: Cause
    low: str
    medium: str
    high: str
    kind: Literal["save", "billing", "note"] = "save"
    who: str | None = None


class ExecutivesRule(Part):
    """How many plays executives can take: a ``share`` of the accounts a week, however often plays are published, but
    ``at_least`` so many. The CSM takes the rest within ``rest_within_days``."""

    share: Annotated[float, Field(ge=0, le=1)]
    at_least: Annotated[int, Field(ge=0)]
    rest_within_days: Ahead

    def capacity(self, accounts: int) -> int:
        """How many of so many accounts."""
        # A share such as 0.07 of 100 must not fall just short of 7.
        return max(int(self.share * accounts + 1e-9), self.at_least)


class _RenewalRule(Part):
    """A talk by ``who``; ``automated`` is what is done instead where nobody of ours acts."""

    act: str
    who: str
    within_days: Ahead
    before_renewal_days: Days
    automated: str = "renewal notice by mail"


class _OnboardingRule(Part):
    """Who sees to a step that was missed; ``automated`` is what is done instead where nobody of ours acts."""

    who: str
    within_days: Ahead
    automated: str = "onboarding mail for the step that was missed"


class PlaysFile(Rules):
    """All that ``plays.toml`` says.

    ``cause_of`` says, for a dimension of a health score, what its weakness points to; ``cause_otherwise`` stands where
    no warning and no dimension says why. ``severity_of_band`` and ``severity_of_risk`` say how pressing a health band
    and a churn band are, ``milder`` how pressing a play is where the churn band is low. ``severity_of_segment`` is how
    severe a play for an account of a segment is at most, unless an immediate warning counts;
    ``least_severity_of_segment`` is how severe it is at least.
    """

    severity_of: dict[Severity, Tier]
    cause_of: dict[str, Cause]
    cause_otherwise: Cause
    severity_of_band: dict[Literal["green", "yellow", "red"], Severity]
    severity_of_risk: dict[Literal["low", "medium", "high"], Severity]
    milder: dict[Severity, Severity]
    severity_of_segment: dict[str, Tier] = Field(default_factory=dict)
    least_severity_of_segment: dict[str, Tier] = Field(default_factory=dict)
    executives: ExecutivesRule
    renewal: _RenewalRule
    onboarding: _OnboardingRule
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
        if "immediate" in self.milder:
            raise ValueError("milder has no place for immediate: what cannot wait is never made milder")
        kinds = {p.cause: p.kind for p in self.plays}
        named = [*self.cause_of.values(), self.cause_otherwise]
        if wrong := sorted({cause for cause in named if kinds[cause] != "save"}):
            raise ValueError(f"cause_of and cause_otherwise need causes of kind save, not {', '.join(wrong)}")
        return self

    def kind_of(self, cause: Cause) -> Literal["save", "billing", "note"]:
        """What kind of play a cause calls for."""
        return next(p.kind for p in self.plays if p.cause == cause)


@dataclass(frozen=True)
class Play:
    """What to do, who does it (automated, csm, billing or executives), and the last day for it (UTC).

    ``kind`` is save, billing, onboarding or renewal; ``because`` the codes of the reasons to act
    (`models.rules.playbook`); ``overdue`` whether it was due before the day on which it is published again, and has not
    been done since; ``again`` whether it was published before at all.
    """

    cause: Name
    severity: Tier
    act: str
    who: str
    due: date
    kind: Kind = "save"
    because: tuple[str, ...] = ()
    overdue: bool = False
    again: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON. It is named after what calls for it, as an intervention names the play that was run."""
        return {
            "name": self.cause,
            "kind": self.kind,
            "severity": self.severity,
            "act": self.act,
            "who": self.who,
            "due": self.due.isoformat(),
            "overdue": self.overdue,
            "because": list(self.because),
        }

    def first_due(self, due: date, as_of: datetime) -> Play:
        """The same play where it was published before, to be done by ``due``, and has not been done since."""
        return replace(self, due=due, overdue=due < as_of.date(), again=True)


def play_for(
    cause: Cause,
    severity: Severity,
    as_of: datetime,
    days_to_renewal: float | None,
    rules: PlaysFile,
    because: tuple[str, ...] = (),
    most: Tier = "high",
    least: Tier = "low",
) -> Play:
    """The play for a cause of kind save or billing.

    Parameters
    ----------
    as_of : the day on which it is called for, UTC. The play is due the day after at the earliest.
    days_to_renewal : from ``as_of``; None unknown, below 0 a date that has passed.
    because : the codes of the reasons to act.
    most, least : the play is this severe at most and at least.
    """
    reached = max(min(rules.severity_of[severity], least, key=TIERS.index), most, key=TIERS.index)
    tier = next(t for t in rules.tiers if t.severity == reached)
    words = next(p for p in rules.plays if p.cause == cause)
    due = due_within(tier.within_days, tier.before_renewal_days, as_of, days_to_renewal)
    act = {"high": words.high, "medium": words.medium, "low": words.low}[tier.severity]
    kind: Kind = "billing" if words.kind == "billing" else "save"
    return Play(cause, tier.severity, act, words.who or tier.who, due, kind, because)


def handed_to_csm(play: Play, as_of: datetime, days_to_renewal: float | None, rules: PlaysFile) -> Play:
    """A play for which the executives have no room: as pressing as before, but the CSM acts, in the CSM's way."""
    tier = next(t for t in rules.tiers if t.severity == "medium")
    words = next(p for p in rules.plays if p.cause == play.cause)
    due = due_within(rules.executives.rest_within_days, tier.before_renewal_days, as_of, days_to_renewal)
    return replace(play, act=words.medium, who=tier.who, due=due)


def due_within(within_days: int, before_renewal_days: int, as_of: datetime, days_to_renewal: float | None) -> date:
    """The last day: ``within_days`` ahead, earlier where the renewal asks for it, tomorrow at the earliest."""
    days = within_days
    if days_to_renewal is not None and days_to_renewal >= 0:
        days = max(min(days, int(days_to_renewal) - before_renewal_days), 1)
    return (as_of + timedelta(days=days)).date()
