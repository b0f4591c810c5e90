"""Targets of the portfolio's KPIs, from ``measures.toml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from features.kpi.definitions import BY_CODE
from models.peer_groups.rule_files import RulePart, Rules, read_rules

TargetValue = Annotated[float, Field(allow_inf_nan=False, strict=False)]
Bound = Literal["above", "at_least", "below"]
BOUNDS: tuple[Bound, ...] = get_args(Bound)


class KpiTarget(RulePart):
    """The target of one KPI: exactly one bound, in its unit; ``better`` is a more ambitious goal."""

    measure: str
    above: TargetValue | None = None
    at_least: TargetValue | None = None
    below: TargetValue | None = None
    better: TargetValue | None = None
    per: Literal["year"] | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.measure not in BY_CODE:
            raise ValueError(f"no KPI has this name; available: {', '.join(BY_CODE)}")
        if sum(getattr(self, bound) is not None for bound in BOUNDS) != 1:
            raise ValueError(f"a target has exactly one of {', '.join(BOUNDS)}")
        if self.per is not None and (BY_CODE[self.measure].over != "period" or self.value <= 0):
            raise ValueError("per = year needs a target above 0 and a KPI over a period")
        return self

    @property
    def bound(self) -> Bound:
        """The name of the bound."""
        return next(bound for bound in BOUNDS if getattr(self, bound) is not None)

    @property
    def value(self) -> float:
        """The value of the bound in the file."""
        return float(getattr(self, self.bound))

    def over(self, years: float) -> dict[str, Any]:
        """Return the target of a period of some years: bound, value, better (None without) and per."""

        def scaled(value: float | None) -> float | None:
            return value if value is None or self.per is None else float(value**years)

        return {"bound": self.bound, "value": scaled(self.value), "better": scaled(self.better), "per": self.per}


def meets_target(target: dict[str, Any] | None, value: float | None) -> bool | None:
    """Return whether a value meets a target from `KpiTarget.over`; None if either is missing."""
    if target is None or value is None:
        return None
    bound: float = target["value"]
    return {"above": value > bound, "at_least": value >= bound, "below": value < bound}[target["bound"]]


class KpiTargetsFile(Rules):
    """The content of ``measures.toml``."""

    targets: Annotated[tuple[KpiTarget, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [target.measure for target in self.targets]
        if len(set(names)) < len(names):
            raise ValueError("a KPI has two targets")
        return self

    def over(self, years: float) -> dict[str, dict[str, Any]]:
        """Return the target of each KPI that has one, over a period of some years (`KpiTarget.over`)."""
        return {target.measure: target.over(years) for target in self.targets}


def kpi_targets_file() -> KpiTargetsFile:
    """Read the targets in force.

    Raises
    ------
    RulesError : the file is invalid; the message names the file and the key.
    """
    return read_rules("measures", KpiTargetsFile)
