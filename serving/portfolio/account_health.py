"""One account's health score, added up: dimensions and signals with their weights and points."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Annotated, Any

from pydantic import Field

from models.predictions.columns import number_or_null
from models.predictions.payload import row_of
from models.predictions.schema import Alert, Answer, Health, Points, Warned
from serving.snapshots.scored_snapshot import ScoredSnapshot

Weight = Annotated[float, Field(ge=0, le=100)]


class HealthSignal(Answer):
    """One signal of the rubric. ``weight * points / 100 = adds``; what all add is the score, where enough is known
    for one."""

    feature: str
    words: str | None = Field(description="What the feature is.")
    value: float | None = Field(description="In its unit; null is not known.")
    unit: str | None
    grade: str | None
    points: Points | None
    base_weight: Weight = Field(description="Its weight if all signals had data.")
    weight: Weight = Field(description="Once the weight of signals without data has been spread.")
    adds: Weight = Field(description="Points of the score.")


class HealthDimension(Answer):
    """One dimension of the rubric: the sums of its signals, and its points."""

    dimension: str
    points: Points | None
    base_weight: Weight
    weight: Weight
    adds: Weight
    signals: list[HealthSignal]


class HealthBands(Answer):
    """The score at which each band begins."""

    green: Points
    yellow: Points
    red: Points


class AccountHealth(Health):
    """The health score, how it adds up, and what changed."""

    account_id: str
    as_of: str
    data_through: str | None
    scored_at: str
    bands: HealthBands
    minimum_coverage: float = Field(description="With less coverage there is no score.")
    weakest: str | None = Field(description="The dimension with the fewest points.")
    breakdown: list[HealthDimension]
    alerts: list[Alert] = Field(description="Of this snapshot.")
    warnings: list[Warned]


def account_health(scored: ScoredSnapshot, account_id: str) -> dict[str, Any]:
    """What `AccountHealth` says of one account.

    Raises
    ------
    UnknownAccount : the snapshot does not hold it.
    """
    told = scored.answer(account_id)
    row, rules = row_of(scored.assessment, account_id), scored.assessment.champion.rubric.rules
    shared = {name: told[name] for name in ("account_id", "as_of", "data_through", "scored_at", "alerts", "warnings")}
    return {
        **shared,
        **told["health"],
        "bands": {"green": rules.bands.green, "yellow": rules.bands.yellow, "red": rules.bands.red},
        "minimum_coverage": rules.minimum_coverage,
        "weakest": scored.assessment.judged.weakest[row],
        "breakdown": _breakdown(scored, row, told["health"]["dimensions"]),
    }


def _breakdown(scored: ScoredSnapshot, row: int, points: dict[str, float | None]) -> list[dict[str, Any]]:
    health = scored.assessment.health
    table = health.breakdown(row).assign(base_weight=health.base[row])
    signals = [_signal(scored, told) for told in table.to_dict("records")]
    return [
        {
            "dimension": name,
            "points": points[name],
            **{what: float(table.loc[own, what].sum()) for what in ("base_weight", "weight", "adds")},
            "signals": [signal for signal, inside in zip(signals, own, strict=True) if inside],
        }
        for name in points
        if (own := (table["dimension"] == name)).any()
    ]


def _signal(scored: ScoredSnapshot, told: Mapping[Hashable, Any]) -> dict[str, Any]:
    feature = scored.catalogue.get(told["signal"])
    return {
        "feature": told["signal"],
        "words": None if feature is None else feature.words,
        "value": number_or_null(told["value"]),
        "unit": None if feature is None else feature.unit,
        "grade": told["grade"] if isinstance(told["grade"], str) else None,
        "points": number_or_null(told["points"]),
        **{name: float(told[name]) for name in ("base_weight", "weight", "adds")},
    }
