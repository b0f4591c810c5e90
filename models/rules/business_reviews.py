"""Rules for business reviews: metrics with targets, agendas and deadlines; and the roadmap that customers see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.peer_groups.rule_files import RulePart, Rules, read_rules

GOAL_FEATURES = (
    "outcomes.goals_set_364d",
    "outcomes.goals_met_364d",
    "outcomes.goals_missed_364d",
    "outcomes.milestones_182d",
)
"""Features about goals, which reports show as figures."""
MetricSection = Literal["use", "value", "support"]
TargetNumber = Annotated[float, Field(allow_inf_nan=False, strict=False)]
Minutes = Annotated[int, Field(gt=0, le=600)]
Days = Annotated[int, Field(gt=0, le=366)]
WEEKLY = ("usage.active_users_7d", "usage.events_7d", *GOAL_FEATURES)
"""Features that reports show by week, or compare with the start of the quarter."""


class ReviewMetric(RulePart):
    """A metric of a review: a feature with its name for customers, and its target if there is one.

    ``better`` is the desirable direction; ``next_step`` is what to do if the target is not met.
    """

    feature: str
    label: str
    section: MetricSection
    better: Literal["higher", "lower"]
    at_least: TargetNumber | None = None
    at_most: TargetNumber | None = None
    next_step: str | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.at_least is not None and self.at_most is not None:
            raise ValueError("a metric has at most one of at_least and at_most")
        bound = {"higher": self.at_most, "lower": self.at_least}[self.better]
        if bound is not None:
            raise ValueError("a metric that is better higher has at_least, one that is better lower has at_most")
        if self.next_step is not None and self.target is None:
            raise ValueError("next_step needs a target")
        return self

    @property
    def target(self) -> float | None:
        """The target, in the unit of the feature; None without one."""
        return self.at_most if self.at_least is None else self.at_least

    def is_met(self, value: float) -> bool | None:
        """Return whether a value meets the target; None without a target."""
        if self.target is None:
            return None
        return value >= self.target if self.at_least is not None else value <= self.target


class AgendaPart(RulePart):
    """One part of an agenda, with its minutes. Minutes of parts that are left out go to the part with ``rest``."""

    title: str
    minutes: Minutes
    minutes_at_most: Minutes | None = None
    sections: Annotated[tuple[str, ...], Field(strict=False)] = ()
    rest: bool = False

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.minutes_at_most is not None and self.minutes_at_most < self.minutes:
            raise ValueError("minutes_at_most must not be below minutes")
        return self

    @property
    def longest(self) -> int:
        """The longest duration, in minutes."""
        return self.minutes if self.minutes_at_most is None else self.minutes_at_most


class Agenda(RulePart):
    """The agenda of the reviews of some segments; without ``segments``, of all others."""

    name: str
    segments: Annotated[tuple[str, ...], Field(strict=False)] = ()
    parts: Annotated[tuple[AgendaPart, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _one_rest(self) -> Self:
        if sum(part.rest for part in self.parts) != 1:
            raise ValueError("exactly one part needs rest = true")
        return self


class BusinessReviewsFile(Rules):
    """The content of ``business_reviews.toml``."""

    prepare_days: Days
    prepare_latest_days: Days
    follow_up_hours: Annotated[int, Field(gt=0, le=720)]
    action_days: Days
    metrics: Annotated[tuple[ReviewMetric, ...], Field(strict=False)]
    agendas: Annotated[tuple[Agenda, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [metric.feature for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError("a feature has two metrics")
        if sum(not agenda.segments for agenda in self.agendas) != 1:
            raise ValueError("exactly one agenda has no segments")
        return self

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield each key that names a feature, and the feature."""
        for i, metric in enumerate(self.metrics):
            yield f"metrics.{i}.feature", metric.feature

    def agenda(self, segment: str | None) -> Agenda:
        """Return the agenda of a segment."""
        own = (agenda for agenda in self.agendas if segment in agenda.segments)
        return next(own, next(agenda for agenda in self.agendas if not agenda.segments))


class RoadmapEntry(RulePart):
    """One entry of the roadmap. With ``plans`` or ``segments``, it is only for customers with one of them."""

    title: str
    text: str | None = None
    when: str | None = None
    plans: Annotated[tuple[str, ...], Field(strict=False)] = ()
    segments: Annotated[tuple[str, ...], Field(strict=False)] = ()

    def is_for(self, plan: str | None, segment: str | None) -> bool:
        """Return whether a customer sees the entry."""
        return (not self.plans or plan in self.plans) and (not self.segments or segment in self.segments)


class RoadmapFile(Rules):
    """The content of ``roadmap.toml``."""

    entries: Annotated[tuple[RoadmapEntry, ...], Field(strict=False)] = ()


def business_reviews_file() -> BusinessReviewsFile:
    """Read the rules of business reviews in force.

    Raises
    ------
    RulesError : the file is invalid; the message names the file and the key.
    """
    return read_rules("business_reviews", BusinessReviewsFile)


def report_features() -> tuple[str, ...]:
    """Return the features of the weeks before that account reports show, besides those of the account's own date."""
    return tuple(dict.fromkeys((*WEEKLY, *(metric.feature for metric in business_reviews_file().metrics))))


def roadmap_file() -> RoadmapFile:
    """Read the roadmap in force.

    Raises
    ------
    RulesError : the file is invalid; the message names the file and the key.
    """
    return read_rules("roadmap", RoadmapFile)
