"""Conditions on features, true, false or unknown, as the files of rules write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from models.peer_groups.frame_columns import number_column
from models.peer_groups.rule_files import Part

TRUE, FALSE, UNKNOWN = np.int8(1), np.int8(0), np.int8(-1)
States = npt.NDArray[np.int8]
"""Of each account TRUE, FALSE or UNKNOWN, shape (n,)."""
Number = Annotated[float, Field(allow_inf_nan=False)]

PercentileOf = Callable[[str], npt.NDArray[np.float64]]
"""The percentile of each account's value of a feature among comparable accounts, 0 to 100, NaN unknown, shape (n,)."""


class Condition(Part):
    """One feature against one bound: ``at_least``, ``at_most``, ``above``, ``below``, or ``percentile_below`` (its
    place among comparable accounts, 0 to 100)."""

    feature: str
    at_least: Number | None = None
    at_most: Number | None = None
    above: Number | None = None
    below: Number | None = None
    percentile_below: Annotated[float, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        bounds = [self.at_least, self.at_most, self.above, self.below, self.percentile_below]
        if sum(bound is not None for bound in bounds) != 1:
            raise ValueError("one bound is needed: at_least, at_most, above, below or percentile_below")
        return self

    def states(self, frame: pd.DataFrame, percentile: PercentileOf | None = None) -> States:
        """Where it holds; unknown where the feature is."""
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


class Conditions(Part):
    """Conditions of which ``all`` have to hold, and, if there are any of these, one of ``any``."""

    all: Annotated[tuple[Condition, ...], Field(strict=False)] = ()
    any: Annotated[tuple[Condition, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.all and not self.any:
            raise ValueError("at least one condition is needed, under all or any")
        return self

    def states(self, frame: pd.DataFrame, percentile: PercentileOf | None = None) -> States:
        """Where they hold. What cannot be told without an unknown is unknown (Kleene's logic)."""
        found = [condition.states(frame, percentile) for condition in self.all]
        if self.any:
            found.append(either([condition.states(frame, percentile) for condition in self.any]))
        return both(found)

    def features(self, key: str) -> Iterator[tuple[str, str]]:
        """The key and the feature of each condition."""
        for name, conditions in (("all", self.all), ("any", self.any)):
            for i, condition in enumerate(conditions):
                yield f"{key}.{name}.{i}.feature", condition.feature

    def evidence(self) -> tuple[str, ...]:
        """The features that they look at, in order, each once."""
        return tuple(dict.fromkeys(feature for _, feature in self.features("")))


def both(states: list[States]) -> States:
    """True where all are, false where any is false, else unknown."""
    table = np.stack(states)
    return np.where((table == FALSE).any(axis=0), FALSE, np.where((table == TRUE).all(axis=0), TRUE, UNKNOWN))


def either(states: list[States]) -> States:
    """True where any is, false where all are false, else unknown."""
    table = np.stack(states)
    return np.where((table == TRUE).any(axis=0), TRUE, np.where((table == FALSE).all(axis=0), FALSE, UNKNOWN))
