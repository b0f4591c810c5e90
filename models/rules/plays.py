"""Plays: what to do for a cause, who does it, and by when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.peer_groups.rule_files import RulePart, Rules

Severity = Literal["immediate", "high", "medium", "early"]
#: The most urgent first.
SEVERITIES: tuple[Severity, ...] = ("immediate", "high", "medium", "early")
#: Warnings of these severities are a reason to act, whatever the scores are.
URGENT_SEVERITIES: tuple[Severity, ...] = ("immediate", "high")
Tier = Literal["high", "medium", "low"]
#: The most severe first.
TIERS: tuple[Tier, ...] = ("high", "medium", "low")
PlayKind = Literal["save", "billing", "onboarding", "renewal"]
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
    "payment_dispute",
    "use_increase",
]
#: The name of a play: its cause, or the kind for the two kinds without a cause of risk.
PlayName = Cause | Literal["onboarding", "renewal"]
EXECUTIVES, CSM, AUTOMATED = "executives", "csm", "automated"
Days = Annotated[int, Field(ge=0, le=3650)]
DaysAhead = Annotated[int, Field(ge=1, le=3650)]


class _TierRule(RulePart):
    severity: Tier
    who: str
    within_days: DaysAhead
    before_renewal_days: Days


class _PlayRule(RulePart):
    """The actions for a cause.

    ``kind`` and ``who`` are set if someone other than the tier's owner acts. A cause of kind ``note`` has no play.
    """

    cause: Cause
    low: str
    medium: str
    high: str
    kind: Literal["save", "billing", "note"] = "save"
    who: str | None = None


class ExecutivesRule(RulePart):
    """The capacity of executives: a ``share`` of the accounts per week, but ``at_least`` this many plays.

    The CSM takes the other plays within ``rest_within_days``. Executives act only for accounts of ``segments`` (None:
    of all) and for those whose segment is unknown.
    """

    share: Annotated[float, Field(ge=0, le=1)]
    at_least: Annotated[int, Field(ge=0)]
    rest_within_days: DaysAhead
    segments: Annotated[tuple[str, ...] | None, Field(strict=False)] = None

    def act_for(self, segment: str | None) -> bool:
        """Return whether executives act for accounts of a segment; None is an unknown segment."""
        return self.segments is None or segment is None or segment in self.segments

    def capacity(self, accounts: int) -> int:
        """Return the capacity for a number of accounts."""
        # A share such as 0.07 of 100 must not be rounded down to 6.
        return max(int(self.share * accounts + 1e-9), self.at_least)


class _RenewalRule(RulePart):
    """A renewal talk by ``who``; ``automated`` is the action if no person acts."""

    act: str
    who: str
    within_days: DaysAhead
    before_renewal_days: Days
    automated: str = "renewal notice by mail"


class _OnboardingRule(RulePart):
    """Who handles a missed step; ``automated`` is the action if no person acts."""

    who: str
    within_days: DaysAhead
    automated: str = "onboarding mail for the step that was missed"


class PlaysFile(Rules):
    """The content of ``plays.toml``.

    ``cause_of`` maps a dimension of a health score to a cause; ``cause_otherwise`` is the cause if no warning and no
    dimension gives one. ``severity_of_band`` and ``severity_of_risk`` are the severities of health and churn bands;
    ``milder`` is the severity if the churn band is low. ``severity_of_segment`` is the maximum severity for accounts of
    a segment, unless an immediate warning counts; ``least_severity_of_segment`` is the minimum severity.
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
            raise ValueError("milder must not contain immediate, which is never made milder")
        kinds = {p.cause: p.kind for p in self.plays}
        named = [*self.cause_of.values(), self.cause_otherwise]
        if wrong := sorted({cause for cause in named if kinds[cause] != "save"}):
            raise ValueError(f"cause_of and cause_otherwise need causes of kind save, not {', '.join(wrong)}")
        return self

    @property
    def names(self) -> tuple[PlayName, ...]:
        """The names of all plays of the playbook, in the order of the file."""
        return (*(p.cause for p in self.plays if p.kind != "note"), "onboarding", "renewal")

    def kind_of(self, cause: Cause) -> Literal["save", "billing", "note"]:
        """Return the kind of play for a cause."""
        return next(p.kind for p in self.plays if p.cause == cause)


@dataclass(frozen=True)
class AccountPlay:
    """An action, who does it (automated, csm, billing or executives), and the last day for it (UTC).

    ``kind`` is save, billing, onboarding or renewal; ``because`` lists the codes of the reasons (see
    `models.rules.playbook`); ``overdue`` is whether it is published again after its due date and is not done;
    ``again`` is whether it was published before.
    """

    cause: PlayName
    severity: Tier
    act: str
    who: str
    due: date
    kind: PlayKind = "save"
    because: tuple[str, ...] = ()
    overdue: bool = False
    again: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. The name is the cause, as interventions name the play that was run."""
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

    def first_due(self, due: date, as_of: datetime) -> AccountPlay:
        """Return the play with the due date of its first publication."""
        return replace(self, due=due, overdue=due < as_of.date(), again=True)


def choose_play(
    cause: Cause,
    severity: Severity,
    as_of: datetime,
    days_to_renewal: float | None,
    rules: PlaysFile,
    because: tuple[str, ...] = (),
    most: Tier = "high",
    least: Tier = "low",
) -> AccountPlay:
    """Return the play for a cause of kind save or billing.

    Parameters
    ----------
    as_of : the day of publication, UTC. The play is due the next day at the earliest.
    days_to_renewal : days from ``as_of``; None if unknown, negative if the date has passed.
    because : the codes of the reasons.
    most, least : the maximum and minimum severity.
    """
    reached = max(min(rules.severity_of[severity], least, key=TIERS.index), most, key=TIERS.index)
    tier = next(t for t in rules.tiers if t.severity == reached)
    words = next(p for p in rules.plays if p.cause == cause)
    due = due_date(tier.within_days, tier.before_renewal_days, as_of, days_to_renewal)
    act = {"high": words.high, "medium": words.medium, "low": words.low}[tier.severity]
    kind: PlayKind = "billing" if words.kind == "billing" else "save"
    # The mildest step is automated, whoever would take the others.
    who = tier.who if tier.severity == "low" else words.who or tier.who
    return AccountPlay(cause, tier.severity, act, who, due, kind, because)


def reassign_to_csm(play: AccountPlay, as_of: datetime, days_to_renewal: float | None, rules: PlaysFile) -> AccountPlay:
    """Reassign a play that exceeds the capacity of executives to the CSM, with the CSM's action.

    Parameters
    ----------
    play : the play of an executive.
    as_of : the instant of the snapshot.
    days_to_renewal : None if unknown.
    rules : the rules of plays.

    Returns
    -------
    AccountPlay
    """
    tier = next(t for t in rules.tiers if t.severity == "medium")
    words = next(p for p in rules.plays if p.cause == play.cause)
    due = due_date(rules.executives.rest_within_days, tier.before_renewal_days, as_of, days_to_renewal)
    return replace(play, act=words.medium, who=tier.who, due=due)


def due_date(within_days: int, before_renewal_days: int, as_of: datetime, days_to_renewal: float | None) -> date:
    """Return the due date: ``within_days`` ahead, earlier if the renewal requires it, tomorrow at the earliest.

    Parameters
    ----------
    within_days : the days until the play is due.
    before_renewal_days : how many days before the renewal it must be done.
    as_of : the instant of the snapshot.
    days_to_renewal : None if unknown.

    Returns
    -------
    datetime.date
    """
    days = within_days
    if days_to_renewal is not None and days_to_renewal >= 0:
        days = max(min(days, int(days_to_renewal) - before_renewal_days), 1)
    return (as_of + timedelta(days=days)).date()
