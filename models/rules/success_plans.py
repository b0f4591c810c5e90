"""Rules for success plans of customers that are being onboarded: the first days, and the phases until day 90."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from models.peer_groups.rule_files import RulePart, Rules, read_rules
from models.rules.conditions import TRUE, UNKNOWN, FeatureCondition, all_true, any_true

Role = Literal["champion", "executive_sponsor", "decision_maker", "admin", "user"]
StepState = Literal["done", "not_done", "unknown", "no_data"]
Conditions = Annotated[tuple[FeatureCondition, ...], Field(strict=False)]
Day = Annotated[int, Field(ge=0, le=366)]


class PlanStep(RulePart):
    """A step of a plan, which is done if its conditions hold. Without conditions nothing in the data shows it."""

    title: str
    all: Conditions = ()
    any: Conditions = ()

    def state(self, values: Mapping[str, Any]) -> StepState:
        """Return the state of the step.

        Parameters
        ----------
        values : the features of an account by name; None is unknown.

        Returns
        -------
        str
            ``no_data`` if the step has no conditions, ``unknown`` if a feature that decides is unknown.
        """
        if not self.all and not self.any:
            return "no_data"
        names = {condition.feature for condition in (*self.all, *self.any)}
        frame = pd.DataFrame({name: pd.Series([values.get(name)], dtype="float64") for name in names})
        states = [condition.states(frame) for condition in self.all]
        if self.any:
            states.append(any_true([condition.states(frame) for condition in self.any]))
        state = all_true(states)[0]
        return "done" if state == TRUE else "unknown" if state == UNKNOWN else "not_done"

    def features(self, key: str) -> Iterator[tuple[str, str]]:
        """Yield the key and the feature of each condition."""
        for name, conditions in (("all", self.all), ("any", self.any)):
            for i, condition in enumerate(conditions):
                yield f"{key}.{name}.{i}.feature", condition.feature


class DayStep(PlanStep):
    """What happens from the day ``first`` to the day ``last`` of the contract, and who does it on both sides.

    ``handoff`` marks the handover from onboarding: our side also checks that health is green and a CSM is assigned.
    """

    first: Day
    last: Day
    us: str
    customer: Role
    handoff: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.last < self.first:
            raise ValueError("last must not be before first")
        return self


class PlanPhase(RulePart):
    """A phase that ends at the day ``until``, with its gates and owners."""

    until: Day
    title: str
    us: str
    customer: Role
    gates: Annotated[tuple[PlanStep, ...], Field(strict=False, min_length=1)]


class SuccessPlansFile(Rules):
    """The content of ``success_plans.toml``."""

    days: Annotated[tuple[DayStep, ...], Field(strict=False)]
    phases: Annotated[tuple[PlanPhase, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if any(one.last >= two.first for one, two in pairwise(self.days)):
            raise ValueError("the days must be in order, and must not overlap")
        if any(one.until >= two.until for one, two in pairwise(self.phases)):
            raise ValueError("the phases must be in order")
        return self

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield each key that names a feature, and the feature."""
        for i, step in enumerate(self.days):
            yield from step.features(f"days.{i}")
        for i, phase in enumerate(self.phases):
            for j, gate in enumerate(phase.gates):
                yield from gate.features(f"phases.{i}.gates.{j}")


def success_plans_file() -> SuccessPlansFile:
    """Read the rules of success plans in force.

    Raises
    ------
    RulesError : the file is invalid; the message names the file and the key.
    """
    return read_rules("success_plans", SuccessPlansFile)
