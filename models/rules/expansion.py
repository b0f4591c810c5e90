"""Expansion by rules: signals, points, the gate before any proposal, and the type that would be easiest.

Each item of the gate is met, not met or unknown, from what the snapshot holds. Only where every item is met a proposal
may be made (`models.rules.playbook` decides); what is unknown has to be found out first. An unhappy account is never
proposed for expansion, whatever the model says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from models.health.rubric import INSUFFICIENT
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.rule_files import Part, Rules
from models.rules.conditions import FALSE, TRUE, Conditions, States

MET, NOT_MET, UNKNOWN = "met", "not_met", "unknown"
HEALTH, ADOPTION = "health_green", "adoption_above_segment"
Type = Literal["seats", "tier", "cross-sell", "services"]

Texts = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]


class SignalRule(Conditions):
    """A sign of a wish or a need for more."""

    code: str
    says: str


class PointsRule(SignalRule):
    """A sign that earns points."""

    points: Annotated[int, Field(gt=0)]


class TypeRule(Conditions):
    """A type of expansion, and what points to it."""

    name: Type


class GateRule(Part):
    """The gate's items besides green health and adoption above the segment's average, which is that of the first
    feature of ``adoption`` that is known."""

    adoption: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    items: Annotated[tuple[SignalRule, ...], Field(strict=False)]


class ExpansionFile(Rules):
    """All that ``expansion.toml`` says."""

    signals: Annotated[tuple[SignalRule, ...], Field(strict=False)]
    points: Annotated[tuple[PointsRule, ...], Field(strict=False)]
    gate: GateRule
    types: Annotated[tuple[TypeRule, ...], Field(strict=False)]

    def used(self) -> Iterator[tuple[str, str]]:
        """Each key that names a feature, and the feature."""
        for i, feature in enumerate(self.gate.adoption):
            yield f"gate.adoption.{i}", feature
        parts: dict[str, Sequence[Conditions]] = {
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
                raise ValueError(f"{key}: every code once, and none that is {HEALTH} or {ADOPTION}")
        return self


@dataclass(frozen=True)
class Expansion:
    """What the rules say of n accounts' readiness for more.

    ``signals`` and ``points`` give, by code, where each holds (TRUE, FALSE, UNKNOWN); ``score`` the points earned;
    ``gate`` "met", "not_met" or "unknown" by item, in the order in which they are reported; ``type`` the easiest type
    that anything points to, None where nothing does. Every array has shape (n,).
    """

    rules: ExpansionFile
    signals: Mapping[str, States]
    points: Mapping[str, States]
    score: npt.NDArray[np.int64]
    gate: Mapping[str, Texts]
    type: Texts

    @property
    def open(self) -> Flags:
        """Whether an expansion may be proposed as far as the gate goes: every item met, and none unknown."""
        return np.asarray(np.all([states == MET for states in self.gate.values()], axis=0), dtype=bool)

    def to_find_out(self, row: int) -> tuple[str, ...]:
        """The items of one account's gate that are not known."""
        return tuple(item for item, states in self.gate.items() if states[row] == UNKNOWN)


def expansion(
    frame: pd.DataFrame, health_band: pd.Series[str], peers: Peers, segments: Texts, rules: ExpansionFile
) -> Expansion:
    """Judge every account.

    Parameters
    ----------
    frame : one row per account; a feature that it lacks is unknown.
    health_band : green, yellow, red or insufficient_data, in the frame's order.
    peers : for the segment's average adoption.
    segments : the segment of each account, None where unknown.
    """
    band = health_band.to_numpy(dtype=object)
    points = {rule.code: rule.states(frame) for rule in rules.points}
    score = sum(
        (rule.points * (points[rule.code] == TRUE) for rule in rules.points), np.zeros(len(frame), dtype=np.int64)
    )
    gate = {
        HEALTH: _told(band == "green", band != INSUFFICIENT),
        ADOPTION: _adoption(frame, peers, segments, rules.gate.adoption),
    }
    for item in rules.gate.items:
        states = item.states(frame)
        gate[item.code] = _told(states == TRUE, (states == TRUE) | (states == FALSE))
    kind = np.full(len(frame), None, dtype=object)
    for type_ in reversed(rules.types):
        kind[type_.states(frame) == TRUE] = type_.name
    return Expansion(rules, {rule.code: rule.states(frame) for rule in rules.signals}, points, score, gate, kind)


def _adoption(frame: pd.DataFrame, peers: Peers, segments: Texts, features: tuple[str, ...]) -> Texts:
    out = np.full(len(frame), UNKNOWN, dtype=object)
    for name in reversed(features):
        value, average = number_column(frame, name), peers.typical(name, segments, "mean")
        known = ~np.isnan(value) & ~np.isnan(average)
        out[known] = _told(value > average, known)[known]
    return out


def _told(met: Flags, known: Flags) -> Texts:
    return np.where(~known, UNKNOWN, np.where(met, MET, NOT_MET)).astype(object)
