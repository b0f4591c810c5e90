"""What was published about one account at each date: probabilities with intervals, health, and the models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from features.errors import UnknownAccount
from models.predictions.payload import format_instant
from models.predictions.schema import Fraction, PredictionStatus, ResponseModel, ScorePoints
from serving.store.database import Store
from serving.store.published_predictions import PublishedPrediction, list_account_predictions

TrendModel = Literal["churn_model", "expansion_model", "rubric"]
#: The maximum number of dates by default: two years of weeks.
TREND_DATES = 104


class PublishedTarget(ResponseModel):
    """The published prediction of one target. Unless ``status`` is ``scored``, the numbers are null."""

    status: PredictionStatus
    probability: Fraction | None
    interval: Annotated[list[Fraction], Field(min_length=2, max_length=2)] | None = Field(
        description="The 80% interval of the rate among accounts like this one."
    )
    band: Literal["low", "medium", "high"] | None
    model_version: str | None


class TrendPoint(ResponseModel):
    """What was published at one date."""

    as_of: str
    published_at: str = Field(description="The time of the publication, UTC.")
    prediction_id: str
    churn: PublishedTarget
    expansion: PublishedTarget
    health_score: ScorePoints | None
    health_band: Literal["green", "yellow", "red", "insufficient_data"]
    rubric: str
    rubric_version: str
    replaced: list[TrendModel] = Field(
        description="The models and the rubric with another version than at the date before: its values are not "
        "comparable with those before."
    )


class AccountTrend(ResponseModel):
    """The published predictions of one account, oldest first. They are never changed by a later model."""

    account_id: str
    horizon_days: int | None = Field(description="The horizon of the latest prediction.")
    points: list[TrendPoint]


def account_trend(store: Store, account_id: str, until: datetime | None, limit: int = TREND_DATES) -> dict[str, Any]:
    """Return what was published about an account (`AccountTrend`).

    Parameters
    ----------
    store : the store with the published predictions.
    account_id : the account.
    until : only dates up to this one, UTC; None for all.
    limit : the maximum number of dates, the latest ones.

    Raises
    ------
    UnknownAccount : nothing was published about the account.
    StoreDown : the store cannot be reached.
    """
    with store.read() as connection:
        published = list_account_predictions(connection, account_id, until, limit)
    if not published:
        raise UnknownAccount(
            "no prediction of such an account was published",
            "an account of a batch that `renewcast score --publish` published",
            "check the id and the date",
        )
    points: list[dict[str, Any]] = []
    for each in published:
        point = _point(each)
        point["replaced"] = _replaced(points[-1], point) if points else []
        points.append(point)
    return {"account_id": account_id, "horizon_days": published[-1].document["horizon_days"], "points": points}


def _point(published: PublishedPrediction) -> dict[str, Any]:
    document = published.document
    models = {"churn": document["model"], "expansion": document["expansion"]["model"]}
    health = document["health"]
    return {
        "as_of": document["as_of"],
        "published_at": format_instant(published.published_at),
        "prediction_id": document["prediction_id"],
        **{
            target: {
                **{name: document[target][name] for name in ("status", "probability", "interval", "band")},
                "model_version": None if model is None else model["version"],
            }
            for target, model in models.items()
        },
        "health_score": health["score"],
        "health_band": health["band"],
        "rubric": health["rubric"],
        "rubric_version": health["rubric_version"],
    }


def _replaced(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[TrendModel]:
    replaced: list[TrendModel] = []
    if before["churn"]["model_version"] != now["churn"]["model_version"]:
        replaced.append("churn_model")
    if before["expansion"]["model_version"] != now["expansion"]["model_version"]:
        replaced.append("expansion_model")
    if (before["rubric"], before["rubric_version"]) != (now["rubric"], now["rubric_version"]):
        replaced.append("rubric")
    return replaced
