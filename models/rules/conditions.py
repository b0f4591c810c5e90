"""Conditions on features in rule files, which are true, false or unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from models.peer_groups.frame_columns import number_column
from models.peer_groups.rule_files import RulePart

TRUE, FALSE, UNKNOWN = np.int8(1), np.int8(0), np.int8(-1)
States = npt.NDArray[np.int8]
"""TRUE, FALSE or UNKNOWN for each account, shape (n,)."""
BoundValue = Annotated[float, Field(allow_inf_nan=False)]

PercentileOf = Callable[[str], npt.NDArray[np.float64]]
"""Returns the percentile of each account's value among comparable accounts, 0 to 100, NaN if unknown, shape (n,)."""


class FeatureCondition(RulePart):
    """A bound on one feature: ``at_least``, ``at_most``, ``above``, ``below``, or ``percentile_below`` (0 to 100).

    The percentile is that among comparable accounts.
    """

    feature: str
    at_least: BoundValue | None = None
    at_most: BoundValue | None = None
    above: BoundValue | None = None
    below: BoundValue | None = None
    percentile_below: Annotated[float, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        bounds = [self.at_least, self.at_most, self.above, self.below, self.percentile_below]
        if sum(bound is not None for bound in bounds) != 1:
            raise ValueError("exactly one bound is needed: at_least, at_most, above, below or percentile_below")
        return self

    def states(self, frame: pd.DataFrame, percentile: PercentileOf | None = None) -> States:
        """Return where the condition holds; unknown where the feature is unknown."""
        if self.percentile_below is not None:
            x = percentile(self.feature) if percentile is not None else np.full(len(frame), np.nan)
            holds = x < self.percentile_below
        else:
            x = number_column(frame, self.feature)
            if self.at_least is not None:
                holds = x >= self.at_least
            elif self.at_most is not None:
                holds = x <= self.at_most
            elif self.above is not None:
                holds = x > self.above
            else:
                holds = x < np.float64(self.below or 0.0)
        return np.where(np.isnan(x), UNKNOWN, holds.astype(np.int8))


class ConditionGroup(RulePart):
    """Conditions of which ``all`` must hold, and at least one of ``any`` if there are any."""

    all: Annotated[tuple[FeatureCondition, ...], Field(strict=False)] = ()
    any: Annotated[tuple[FeatureCondition, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.all and not self.any:
            raise ValueError("at least one condition is needed, under all or any")
        return self

    def states(self, frame: pd.DataFrame, percentile: PercentileOf | None = None) -> States:
        """Return where the conditions hold; unknown if an unknown condition decides (Kleene's logic)."""
        states = [condition.states(frame, percentile) for condition in self.all]
        if self.any:
            states.append(any_true([condition.states(frame, percentile) for condition in self.any]))
        return all_true(states)

    def features(self, key: str) -> Iterator[tuple[str, str]]:
        """Yield the key and the feature of each condition."""
        for name, conditions in (("all", self.all), ("any", self.any)):
            for i, condition in enumerate(conditions):
                yield f"{key}.{name}.{i}.feature", condition.feature

    def evidence(self) -> tuple[str, ...]:
        """Return the features of the conditions in order, without duplicates."""
        return tuple(dict.fromkeys(feature for _, feature in self.features("")))


def all_true(states: list[States]) -> States:
    """Return true where all are true, false where any is false, else unknown."""
    table = np.stack(states)
    return np.where((table == FALSE).any(axis=0), FALSE, np.where((table == TRUE).all(axis=0), TRUE, UNKNOWN))


def any_true(states: list[States]) -> States:
    """Return true where any is true, false where all are false, else unknown."""
    table = np.stack(states)
    return np.where((table == TRUE).any(axis=0), TRUE, np.where((table == FALSE).all(axis=0), FALSE, UNKNOWN))
