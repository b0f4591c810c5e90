"""Expansion by rules: signals, points, the gate for proposals, and the easiest type of expansion.

Each item of the gate is met, not met or unknown, according to the snapshot. A proposal is possible only if every item
is met (`models.rules.playbook` decides); unknown items must be clarified first. An unhappy account is never proposed
for expansion, regardless of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from features.utils.arrays import Bools, Texts
from models.health.rubric import INSUFFICIENT
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.rule_files import RulePart, Rules
from models.rules.conditions import FALSE, TRUE, ConditionGroup, States

MET, NOT_MET, UNKNOWN = "met", "not_met", "unknown"
HEALTH, ADOPTION = "health_green", "adoption_above_segment"
ExpansionType = Literal["seats", "tier", "cross-sell", "services"]


class SignalRule(ConditionGroup):
    """A sign that the account wants or needs more."""

    code: str
    says: str


class PointsRule(SignalRule):
    """A sign that earns points."""

    points: Annotated[int, Field(gt=0)]


class TypeRule(ConditionGroup):
    """A type of expansion, and the conditions that suggest it."""

    name: ExpansionType


class GateRule(RulePart):
    """The items of the gate, besides green health and adoption above the segment's average.

    Adoption is the first feature of ``adoption`` with a value.
    """

    adoption: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    items: Annotated[tuple[SignalRule, ...], Field(strict=False)]


class ExpansionFile(Rules):
    """The content of ``expansion.toml``."""

    signals: Annotated[tuple[SignalRule, ...], Field(strict=False)]
    points: Annotated[tuple[PointsRule, ...], Field(strict=False)]
    gate: GateRule
    types: Annotated[tuple[TypeRule, ...], Field(strict=False)]

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield each key that names a feature, and the feature."""
        for i, feature in enumerate(self.gate.adoption):
            yield f"gate.adoption.{i}", feature
        parts: dict[str, Sequence[ConditionGroup]] = {
            "signals": self.signals,
            "points": self.points,
            "gate.items": self.gate.items,
            "types": self.types,
        }
        for key, rules in parts.items():
            for i, rule in enumerate(rules):
                yield from rule.features(f"{key}.{i}")

    @model_validator(mode="after")
    def _codes(self) -> Self:
        for key, rules in (("signals", self.signals), ("points", self.points), ("gate.items", self.gate.items)):
            codes = [rule.code for rule in rules]
            if len(set(codes)) < len(codes) or {HEALTH, ADOPTION} & set(codes):
                raise ValueError(f"{key}: codes must be unique and must not be {HEALTH} or {ADOPTION}")
        return self


@dataclass(frozen=True)
class ExpansionReadiness:
    """The readiness of n accounts for expansion; every array has shape (n,).

    ``signals`` and ``points`` state, by code, where each one holds (TRUE, FALSE, UNKNOWN); ``score`` is the sum of
    points; ``gate`` is "met", "not_met" or "unknown" by item, in the order of reports; ``type`` is the easiest
    suggested type, None if there is none.
    """

    rules: ExpansionFile
    signals: Mapping[str, States]
    points: Mapping[str, States]
    score: npt.NDArray[np.int64]
    gate: Mapping[str, Texts]
    type: Texts

    @property
    def open(self) -> Bools:
        """Whether the gate allows a proposal: every item is met."""
        return np.asarray(np.all([states == MET for states in self.gate.values()], axis=0), dtype=bool)

    def to_find_out(self, row: int) -> tuple[str, ...]:
        """Return the unknown items of one account's gate."""
        return tuple(item for item, states in self.gate.items() if states[row] == UNKNOWN)


def assess_expansion(
    frame: pd.DataFrame, health_band: pd.Series[str], peers: Peers, segments: Texts, rules: ExpansionFile
) -> ExpansionReadiness:
    """Assess the readiness of every account.

    Parameters
    ----------
    frame : one row per account; missing features are unknown.
    health_band : green, yellow, red or insufficient_data, in the order of the frame.
    peers : the accounts for the segment's average adoption.
    segments : the segment of each account, None if unknown.
    """
    band = health_band.to_numpy(dtype=object)
    points = {rule.code: rule.states(frame) for rule in rules.points}
    score = sum(
        (rule.points * (points[rule.code] == TRUE) for rule in rules.points), np.zeros(len(frame), dtype=np.int64)
    )
    gate = {
        HEALTH: _gate_states(band == "green", band != INSUFFICIENT),
        ADOPTION: _adoption(frame, peers, segments, rules.gate.adoption),
    }
    for item in rules.gate.items:
        states = item.states(frame)
        gate[item.code] = _gate_states(states == TRUE, (states == TRUE) | (states == FALSE))
    kind = np.full(len(frame), None, dtype=object)
    for type_ in reversed(rules.types):
        kind[type_.states(frame) == TRUE] = type_.name
    return ExpansionReadiness(
        rules, {rule.code: rule.states(frame) for rule in rules.signals}, points, score, gate, kind
    )


def _adoption(frame: pd.DataFrame, peers: Peers, segments: Texts, features: tuple[str, ...]) -> Texts:
    out = np.full(len(frame), UNKNOWN, dtype=object)
    for name in reversed(features):
        value, average = number_column(frame, name), peers.typical(name, segments, "mean")
        available = ~np.isnan(value) & ~np.isnan(average)
        out[available] = _gate_states(value > average, available)[available]
    return out


def _gate_states(met: Bools, available: Bools) -> Texts:
    return np.where(~available, UNKNOWN, np.where(met, MET, NOT_MET)).astype(object)
