"""The process itself: whether it runs, and what it answers from."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

from models.predictions.payload import instant_words
from models.targets import TARGETS
from serving.common.content_negotiation import JSON
from serving.common.disk_space import Disk
from serving.common.errors import NotReady
from serving.http import openapi_3_0
from serving.http.dependencies import TheKeeper, TheStore, problems_of
from serving.schemas import predictions

router = APIRouter()


@router.get("/openapi-3.0.json", include_in_schema=False)
def openapi_30(request: Request) -> Response:
    """The API as OpenAPI 3.0.3, for importers such as Salesforce External Services."""
    state = request.app.state
    if not hasattr(state, "openapi_30"):
        state.openapi_30 = openapi_3_0.text(request.app.openapi())
    return Response(state.openapi_30, media_type=JSON)


@router.get("/livez", tags=["service"], summary="Whether the process runs", operation_id="livez")
async def livez() -> predictions.Alive:
    """Answers as long as the process does, ready or not, also while every thread waits for something."""
    return predictions.Alive(status="alive")


@router.get(
    "/readyz",
    tags=["service"],
    summary="Whether the service answers, and from what",
    operation_id="readyz",
    responses=problems_of(s503="It answers nothing, or can keep nothing; the detail says why."),
)
def readyz(request: Request, keeper: TheKeeper, store: TheStore) -> predictions.Ready:
    """``ready``; or ``degraded``: it answers, but something was refused, is missing or cannot be reached, and the
    reasons say what. 503 where nothing can be answered, or the home's disk is full or read-only: what was scored is
    still answered then, and nothing is kept."""
    disk: Disk = request.app.state.disk
    if (trouble := disk.trouble()) is not None:
        raise NotReady(trouble, "a disk with room that can be written", "free some space, or make it writable")
    standing = keeper.standing()
    reasons = [*standing.reasons, *([] if store.trouble is None else [store.trouble])]
    if not standing.answers or standing.champion is None:
        raise standing.not_ready()
    bundles = standing.champion.bundles
    latest = standing.latest
    return predictions.Ready(
        status="degraded" if reasons else "ready",
        reasons=reasons,
        as_of=None if latest is None else instant_words(latest.as_of),
        accounts=0 if latest is None else len(latest.assessment.frame),
        models={target: bundles[target].manifest.version if target in bundles else None for target in TARGETS},
    )


@router.get(
    "/metrics",
    tags=["service"],
    summary="Measures for Prometheus",
    operation_id="metrics",
    response_class=PlainTextResponse,
)
def metrics(request: Request) -> Response:
    """Requests by route, method and status; how long they took; what answers, and how old it is."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)
