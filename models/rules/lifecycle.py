"""Lifecycle: the stage of each account, from onboarding to advocacy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self, get_args

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from features.utils.arrays import Texts
from models.peer_groups.rule_files import Rules, read_rules
from models.rules.conditions import TRUE, ConditionGroup

StageName = Literal["onboarding", "adoption", "value", "expansion", "advocacy"]
STAGES: tuple[StageName, ...] = get_args(StageName)
"""The stages, in the order in which accounts go through them."""


class StageRule(ConditionGroup):
    """A stage.

    An account is in it if the conditions hold and, where ``health`` is given, its health is in one of these bands.
    """

    name: StageName
    says: str
    health: Annotated[tuple[Literal["green", "yellow", "red"], ...], Field(strict=False)] = ()


class LifecycleFile(Rules):
    """The content of ``lifecycle.toml``: the first stage that holds counts."""

    stages: Annotated[tuple[StageRule, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError("a stage is given twice")
        return self

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield each key that names a feature, and the feature."""
        for i, stage in enumerate(self.stages):
            yield from stage.features(f"stages.{i}")


def lifecycle_file() -> LifecycleFile:
    """Read the rules in force.

    Raises
    ------
    RulesError : the file is invalid; the message names the file and the key.
    """
    return read_rules("lifecycle", LifecycleFile)


def lifecycle_stages(frame: pd.DataFrame, bands: Texts, rules: LifecycleFile) -> Texts:
    """Return the stage of each account, None if it is unknown.

    Parameters
    ----------
    frame : the snapshot, one row per account.
    bands : the health band of each account. Shape (n,).
    rules : the rules.
    """
    stages = np.full(len(frame), None, dtype=object)
    for rule in reversed(rules.stages):
        holds = rule.states(frame) == TRUE
        if rule.health:
            holds &= np.isin(bands.astype(str), rule.health)
        stages[holds] = rule.name
    return stages
