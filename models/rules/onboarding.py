"""Onboarding: steps that should have happened by a day of the contract, and those that were missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from models.peer_groups.frame_columns import number_column
from models.peer_groups.rule_files import Rules
from models.rules.conditions import TRUE, UNKNOWN, ConditionGroup

SINCE_START = "contract.days_since_start"
TO_FIRST_VALUE = "outcomes.days_to_first_value"
WITHOUT_FIRST_VALUE = "outcomes.days_without_first_value"


StepState = Literal["done", "missed", "due", "unknown"]


class StepRule(ConditionGroup):
    """A step that counts as missed from ``day`` on if its conditions hold, and what to do then."""

    code: str
    day: Annotated[int, Field(ge=0)]
    says: str
    act: str


class OnboardingFile(Rules):
    """The content of ``onboarding.toml``."""

    until_day: Annotated[int, Field(gt=0)]
    time_to_first_value_target_days: Annotated[int, Field(gt=0)]
    steps: Annotated[tuple[StepRule, ...], Field(strict=False, min_length=1)]

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield each key that names a feature, and the feature."""
        for i, step in enumerate(self.steps):
            yield from step.features(f"steps.{i}")


@dataclass(frozen=True)
class MissedStep:
    """A missed step: the day from which it is missed, and what to do."""

    code: str
    day: int
    says: str
    act: str


@dataclass(frozen=True)
class OnboardingStatus:
    """The onboarding status of an account.

    ``day`` counts whole days since the start of the contract (None if unknown); ``under_way`` is whether the account is
    being onboarded, which is extended while the last step is missed; ``missed`` lists missed steps by day; ``unknown``
    lists steps whose state is unknown; ``days_to_first_value`` is None until there is first value, or if unknown;
    ``late`` is whether first value took, or has taken so far, longer than the target (None if unknown).
    """

    day: int | None
    under_way: bool
    missed: tuple[MissedStep, ...]
    unknown: tuple[str, ...]
    days_to_first_value: int | None
    late: bool | None


def step_states(status: OnboardingStatus, rules: OnboardingFile) -> tuple[tuple[StepRule, StepState], ...]:
    """Return each step of an account that is being onboarded, in the order of their days, with its state.

    A step is *due* before its day. From then on it is *missed*, *done*, or *unknown* where a feature is.

    Parameters
    ----------
    status : the status of the account.
    rules : the rules that it follows from.
    """
    missed = {step.code for step in status.missed}

    def state(step: StepRule) -> StepState:
        if status.day is None or step.code in status.unknown:
            return "unknown"
        if status.day < step.day:
            return "due"
        return "missed" if step.code in missed else "done"

    return tuple((step, state(step)) for step in sorted(rules.steps, key=lambda step: step.day))


def onboarding_status(frame: pd.DataFrame, rules: OnboardingFile) -> tuple[OnboardingStatus, ...]:
    """Return the onboarding status of each account, in the order of the frame (one row per account)."""
    day = np.floor(number_column(frame, SINCE_START))
    took, without = number_column(frame, TO_FIRST_VALUE), number_column(frame, WITHOUT_FIRST_VALUE)
    target = rules.time_to_first_value_target_days
    states = [step.states(frame) for step in rules.steps]
    last_day = max(step.day for step in rules.steps)
    result = []
    for row in range(len(frame)):
        due = [(step, s[row]) for step, s in zip(rules.steps, states, strict=True) if day[row] >= step.day]
        # Steps that an older account missed no longer matter.
        extended = any(step.day == last_day and state == TRUE for step, state in due) and day[row] < 2 * rules.until_day
        under_way = bool(day[row] <= rules.until_day or extended)
        spent = took[row] if not np.isnan(took[row]) else without[row]
        missed = [MissedStep(s.code, s.day, s.says, s.act) for s, state in due if state == TRUE]
        result.append(
            OnboardingStatus(
                None if np.isnan(day[row]) else int(day[row]),
                under_way,
                tuple(sorted(missed, key=lambda s: s.day)) if under_way else (),
                tuple(s.code for s, state in due if state == UNKNOWN) if under_way else (),
                None if np.isnan(took[row]) else int(took[row]),
                None if np.isnan(spent) else bool(spent > target),
            )
        )
    return tuple(result)
