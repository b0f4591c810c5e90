"""The process itself: whether it runs, and what it answers from."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

from models.predictions.payload import format_instant
from models.targets import TARGETS
from serving.common.content_negotiation import JSON
from serving.common.disk_space import Disk
from serving.common.errors import NotReady
from serving.http import openapi_3_0
from serving.http.dependencies import LiveStateDep, StoreDep, problem_responses
from serving.schemas import predictions

router = APIRouter()


@router.get("/openapi-3.0.json", include_in_schema=False)
def openapi_30(request: Request) -> Response:
    """The API as OpenAPI 3.0.3, for importers such as Salesforce External Services."""
    state = request.app.state
    if not hasattr(state, "openapi_30"):
        state.openapi_30 = openapi_3_0.openapi_3_0_json(request.app.openapi())
    return Response(state.openapi_30, media_type=JSON)


@router.get("/livez", tags=["service"], summary="Whether the process runs", operation_id="livez")
async def livez() -> predictions.Liveness:
    """Answers as long as the process does, ready or not, also while every thread waits for something."""
    return predictions.Liveness(status="alive")


@router.get(
    "/readyz",
    tags=["service"],
    summary="Whether the service answers, and from what",
    operation_id="readyz",
    responses=problem_responses(s503="It answers nothing, or can keep nothing; the detail says why."),
)
def readyz(request: Request, live: LiveStateDep, store: StoreDep) -> predictions.Readiness:
    """``ready``; or ``degraded``: it answers, but something was refused, is missing or cannot be reached, and the
    reasons say what. 503 where nothing can be answered, or the home's disk is full or read-only: what was scored is
    still answered then, and nothing is kept."""
    disk: Disk = request.app.state.disk
    if (trouble := disk.write_error()) is not None:
        raise NotReady(trouble, "a disk with room that can be written", "free some space, or make it writable")
    state = live.current()
    reasons = [*state.reasons, *([] if store.error is None else [store.error])]
    if not state.answers or state.champion is None:
        raise state.not_ready()
    bundles = state.champion.bundles
    latest = state.latest
    return predictions.Readiness(
        status="degraded" if reasons else "ready",
        reasons=reasons,
        as_of=None if latest is None else format_instant(latest.as_of),
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
