"""The breakdown of one account's health score into dimensions and signals."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Annotated, Any

from pydantic import Field

from models.predictions.columns import number_or_null
from models.predictions.payload import account_row
from models.predictions.schema import AccountAlert, HealthScore, PredictionWarning, ResponseModel, ScorePoints
from serving.portfolio.account_list import HealthOfParent, health_of_parent, published_account_list
from serving.snapshots.scored_snapshot import ScoredSnapshot

Weight = Annotated[float, Field(ge=0, le=100)]


class HealthSignal(ResponseModel):
    """One signal of the rubric. ``weight * points / 100 = adds``; the sum over all signals is the score, if any."""

    feature: str
    words: str | None = Field(description="Description of the feature.")
    value: float | None = Field(description="In its unit; null is unknown.")
    unit: str | None
    grade: str | None
    points: ScorePoints | None
    base_weight: Weight = Field(description="Its weight if all signals had data.")
    weight: Weight = Field(description="After redistributing the weight of signals without data.")
    adds: Weight = Field(description="Points it contributes to the score.")


class HealthDimension(ResponseModel):
    """One dimension of the rubric: the sums of its signals, and its points."""

    dimension: str
    points: ScorePoints | None
    base_weight: Weight
    weight: Weight
    adds: Weight
    signals: list[HealthSignal]


class HealthBands(ResponseModel):
    """The lowest score of each band."""

    green: ScorePoints
    yellow: ScorePoints
    red: ScorePoints


class AccountHealth(HealthScore):
    """The health score, its breakdown and its changes."""

    account_id: str
    name: str | None = Field(description="The name of the account; null: unknown.")
    as_of: str
    data_through: str | None
    scored_at: str
    bands: HealthBands
    minimum_coverage: float = Field(description="Below this coverage there is no score.")
    parent_health: HealthOfParent | None = Field(
        description="Of the account and all accounts below it; null for an account without children."
    )
    weakest: str | None = Field(description="The dimension with the fewest points.")
    breakdown: list[HealthDimension]
    alerts: list[AccountAlert] = Field(description="Alerts of this snapshot.")
    warnings: list[PredictionWarning]


def account_health(scored: ScoredSnapshot, account_id: str) -> dict[str, Any]:
    """Return the health of one account.

    Parameters
    ----------
    scored : the snapshot.
    account_id : the account.

    Returns
    -------
    dict for JSON
        An `AccountHealth`.

    Raises
    ------
    UnknownAccount : the snapshot does not contain it.
    """
    prediction = scored.answer(account_id)
    row, rules = account_row(scored.assessment, account_id), scored.assessment.champion.rubric.rules
    shared = {
        name: prediction[name]
        for name in ("account_id", "name", "as_of", "data_through", "scored_at", "alerts", "warnings")
    }
    return {
        **shared,
        **prediction["health"],
        "bands": {"green": rules.bands.green, "yellow": rules.bands.yellow, "red": rules.bands.red},
        "minimum_coverage": rules.minimum_coverage,
        "parent_health": health_of_parent(published_account_list(scored), account_id),
        "weakest": scored.assessment.rule_results.weakest[row],
        "breakdown": _breakdown(scored, row, prediction["health"]["dimensions"]),
    }


def _breakdown(scored: ScoredSnapshot, row: int, points: dict[str, float | None]) -> list[dict[str, Any]]:
    health = scored.assessment.health
    table = health.breakdown(row).assign(base_weight=health.base[row])
    signals = [_signal(scored, signal_row) for signal_row in table.to_dict("records")]
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


def _signal(scored: ScoredSnapshot, signal_row: Mapping[Hashable, Any]) -> dict[str, Any]:
    feature = scored.catalogue.get(signal_row["signal"])
    return {
        "feature": signal_row["signal"],
        "words": None if feature is None else feature.words,
        "value": number_or_null(signal_row["value"]),
        "unit": None if feature is None else feature.unit,
        "grade": signal_row["grade"] if isinstance(signal_row["grade"], str) else None,
        "points": number_or_null(signal_row["points"]),
        **{name: float(signal_row[name]) for name in ("base_weight", "weight", "adds")},
    }
