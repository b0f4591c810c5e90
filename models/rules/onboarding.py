"""Onboarding: what should have happened by which day since the contract began, and where it has not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from models.peer_groups.frame_columns import number_column
from models.peer_groups.rule_files import Rules
from models.rules.conditions import TRUE, UNKNOWN, Conditions

SINCE_START = "contract.days_since_start"
TO_FIRST_VALUE = "outcomes.days_to_first_value"
WITHOUT_FIRST_VALUE = "outcomes.days_without_first_value"


class StepRule(Conditions):
    """What is missed from a day on where its conditions hold, and what to do then."""

    code: str
    day: Annotated[int, Field(ge=0)]
    says: str
    act: str


class OnboardingFile(Rules):
    """All that ``onboarding.toml`` says."""

    until_day: Annotated[int, Field(gt=0)]
    time_to_first_value_target_days: Annotated[int, Field(gt=0)]
    steps: Annotated[tuple[StepRule, ...], Field(strict=False, min_length=1)]

    def used(self) -> Iterator[tuple[str, str]]:
        """Each key that names a feature, and the feature."""
        for i, step in enumerate(self.steps):
            yield from step.features(f"steps.{i}")


@dataclass(frozen=True)
class Step:
    """A step that was missed: since which day, and what to do."""

    code: str
    day: int
    says: str
    act: str


@dataclass(frozen=True)
class Onboarding:
    """Where an account stands.

    ``day`` counts whole days since the contract began (None unknown); ``under_way`` whether the account is being
    onboarded, which goes on beyond the usual time as long as its last step is missed; ``missed`` in the order of their
    days; ``unknown`` the steps that cannot be told; ``days_to_first_value`` None as long as there is none or it is not
    known; ``late`` whether first value took, or has taken so far, longer than the target (None unknown).
    """

    day: int | None
    under_way: bool
    missed: tuple[Step, ...]
    unknown: tuple[str, ...]
    days_to_first_value: int | None
    late: bool | None


def onboarding(frame: pd.DataFrame, rules: OnboardingFile) -> tuple[Onboarding, ...]:
    """Where each account stands, in the frame's order. One row per account."""
    day = np.floor(number_column(frame, SINCE_START))
    took, without = number_column(frame, TO_FIRST_VALUE), number_column(frame, WITHOUT_FIRST_VALUE)
    target = rules.time_to_first_value_target_days
    states = [step.states(frame) for step in rules.steps]
    last_day = max(step.day for step in rules.steps)
    found = []
    for row in range(len(frame)):
        due = [(step, s[row]) for step, s in zip(rules.steps, states, strict=True) if day[row] >= step.day]
        # What went wrong in the first days of an old account is history.
        extended = any(step.day == last_day and state == TRUE for step, state in due) and day[row] < 2 * rules.until_day
        under_way = bool(day[row] <= rules.until_day or extended)
        spent = took[row] if not np.isnan(took[row]) else without[row]
        missed = [Step(s.code, s.day, s.says, s.act) for s, state in due if state == TRUE]
        found.append(
            Onboarding(
                None if np.isnan(day[row]) else int(day[row]),
                under_way,
                tuple(sorted(missed, key=lambda s: s.day)) if under_way else (),
                tuple(s.code for s, state in due if state == UNKNOWN) if under_way else (),
                None if np.isnan(took[row]) else int(took[row]),
                None if np.isnan(spent) else bool(spent > target),
            )
        )
    return tuple(found)
