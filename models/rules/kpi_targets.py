"""Targets of the portfolio's measures, as ``measures.toml`` has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from features.kpi.definitions import BY_CODE
from models.peer_groups.rule_files import Part, Rules, read_rules

Number = Annotated[float, Field(allow_inf_nan=False, strict=False)]
BOUNDS = ("above", "at_least", "below")


class TargetOf(Part):
    """The target of one measure: exactly one bound, in its unit; ``better`` is aimed at beyond it."""

    measure: str
    above: Number | None = None
    at_least: Number | None = None
    below: Number | None = None
    better: Number | None = None
    per: Literal["year"] | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.measure not in BY_CODE:
            raise ValueError(f"there is no measure of this name; there are {', '.join(BY_CODE)}")
        if sum(getattr(self, bound) is not None for bound in BOUNDS) != 1:
            raise ValueError(f"a target has exactly one of {', '.join(BOUNDS)}")
        if self.per is not None and (BY_CODE[self.measure].over != "period" or self.value <= 0):
            raise ValueError("only a target above 0 of a measure over the period asked for can be a year's")
        return self

    @property
    def bound(self) -> str:
        """Which of the bounds it is."""
        return next(bound for bound in BOUNDS if getattr(self, bound) is not None)

    @property
    def value(self) -> float:
        """The bound's value, as the file has it."""
        return float(getattr(self, self.bound))

    def over(self, years: float) -> dict[str, Any]:
        """The target of a period that is such a part of a year: bound, value, better (None without) and per."""

        def scaled(value: float | None) -> float | None:
            return value if value is None or self.per is None else float(value**years)

        return {"bound": self.bound, "value": scaled(self.value), "better": scaled(self.better), "per": self.per}


def met(target: dict[str, Any] | None, value: float | None) -> bool | None:
    """Whether a value meets a target as `TargetOf.over` tells it; None where either is missing."""
    if target is None or value is None:
        return None
    bound: float = target["value"]
    return {"above": value > bound, "at_least": value >= bound, "below": value < bound}[target["bound"]]


class MeasuresFile(Rules):
    """All that ``measures.toml`` says."""

    targets: Annotated[tuple[TargetOf, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [target.measure for target in self.targets]
        if len(set(names)) < len(names):
            raise ValueError("a measure has two targets")
        return self


def measures_file() -> MeasuresFile:
    """The targets in force.

    Raises
    ------
    RulesError : names file, key and cure.
    """
    return read_rules("measures", MeasuresFile)
