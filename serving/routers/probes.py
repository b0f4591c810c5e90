"""Routes for probes and metrics."""

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


@router.get("/livez", tags=["service"], summary="Check that the process is running", operation_id="livez")
async def livez() -> predictions.Liveness:
    """Returns 200 as long as the process runs, even if it is not ready or all threads are busy."""
    return predictions.Liveness(status="alive")


@router.get(
    "/readyz",
    tags=["service"],
    summary="Check that the service is ready",
    operation_id="readyz",
    responses=problem_responses(s503="The service cannot answer or cannot write; the detail says why."),
)
def readyz(request: Request, live: LiveStateDep, store: StoreDep) -> predictions.Readiness:
    """Returns ``ready``, or ``degraded`` if the service answers but something was rejected, is missing or cannot be
    reached; see ``reasons``. Returns 503 if nothing can be answered, or if the disk of the home is full or read-only;
    scored snapshots are still answered then, but nothing is stored."""
    disk: Disk = request.app.state.disk
    if (trouble := disk.write_error()) is not None:
        raise NotReady(trouble, "a writable disk with free space", "free some space, or make it writable")
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
    summary="Get metrics for Prometheus",
    operation_id="metrics",
    response_class=PlainTextResponse,
)
def metrics(request: Request) -> Response:
    """Returns requests by route, method and status, their duration, the model versions, and the age of the snapshot."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)
