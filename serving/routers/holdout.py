"""Routes for trials of plays: the design of a trial, and the measured effects."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.uplift.power import POWER
from serving.http.authentication import require_scope
from serving.http.dependencies import NOT_READY, LiveStateDep, StoreDep, problem_responses
from serving.schemas.field_types import Text
from serving.schemas.query_params import NO_SNAPSHOT, Csm, SnapshotQuery
from serving.worklist.holdout import RANGES
from serving.worklist.published_worklist import published_design, published_effects
from serving.worklist.schemas import HoldoutDesignResponse, PlayEffectsResponse

router = APIRouter(tags=["portfolio"], dependencies=[require_scope("predict")])


def _number(setting: str, default: float | None, description: str) -> Any:
    low, high = RANGES[setting]
    return Field(
        default, ge=low, le=high, strict=False, allow_inf_nan=False, description=f"{description}, {low:g} to {high:,g}."
    )


class DesignQuery(SnapshotQuery):
    """The effect to detect, the share of held-out accounts, and filters."""

    save_rate: float = _number("save_rate", 0.3, "The effect to detect: the share of churning accounts that plays save")
    share: float = _number("share", 0.2, "The share of accounts that are held out")
    power: float = _number("power", POWER, "The probability to detect the effect")
    per_week: float | None = _number(
        "per_week", None, "New accounts with a play per week; by default that of past interventions"
    )
    play: Annotated[Text, Field(min_length=1)] | None = Field(None, description="Only accounts with this play.")
    csm: Csm | None = Field(None, description="Only the accounts of this customer success manager.")


@router.get(
    "/v1/holdout/design",
    summary="Design a trial of plays",
    operation_id="designHoldout",
    response_model=HoldoutDesignResponse,
    responses=problem_responses(
        s404=NO_SNAPSHOT,
        s422="A parameter is invalid, no account has this play or CSM, or there is no churn model.",
        s503=NOT_READY,
    ),
)
def design_holdout(live: LiveStateDep, store: StoreDep, query: Annotated[DesignQuery, Query()]) -> Response:
    """Returns how many accounts and weeks it takes to measure the effect of plays with accounts that are held out at
    random, and what it costs, for all plays and for each play. Nothing is assigned."""
    scored = live.current().scored(query.as_of)
    settings = (query.save_rate, query.share, query.power, query.per_week, query.play, query.csm)
    return JSONResponse(published_design(scored, store, *settings))


@router.get(
    "/v1/holdout/effects",
    summary="Get the effect of plays",
    operation_id="getPlayEffects",
    response_model=PlayEffectsResponse,
    responses=problem_responses(s404=NO_SNAPSHOT, s422="A parameter is invalid.", s503=NOT_READY),
)
def get_play_effects(live: LiveStateDep, store: StoreDep, query: Annotated[SnapshotQuery, Query()]) -> Response:
    """Returns the effect of plays from accounts that were held out at random: on average and by play, with the reason
    where there is none, and what the worklist uses for each play. Effects per account are those that the command
    `holdout effect` has stored."""
    return JSONResponse(published_effects(live.current().scored(query.as_of), store))
