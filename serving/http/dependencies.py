"""FastAPI dependencies of the handlers, cached responses, and descriptions of errors for OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from models.home import Home
from serving.common.content_negotiation import JSON, PROBLEM
from serving.common.settings import ServiceSettings
from serving.common.thread_pool import ThreadPool
from serving.schemas import predictions
from serving.snapshots.live_state import LiveStateManager
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.store.database import Store


async def _live_state(request: Request) -> LiveStateManager:
    live: LiveStateManager = request.app.state.live
    return live


async def _settings(request: Request) -> ServiceSettings:
    settings: ServiceSettings = request.app.state.settings
    return settings


async def _thread_pool(request: Request) -> ThreadPool:
    workers: ThreadPool = request.app.state.workers
    return workers


async def _home(request: Request) -> Home:
    home: Home = request.app.state.home
    return home


async def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def _json_only(request: Request) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415)


async def read_cached(
    live: LiveStateManager,
    as_of: datetime | None,
    *key: str,
    make: Callable[[ScoredSnapshot], dict[str, Any]],
    is_quick: Callable[[ScoredSnapshot], bool] = lambda _: False,
) -> bytes:
    """Return a response of a snapshot as JSON: from the cache, or else computed in a thread.

    Parameters
    ----------
    as_of : date of the snapshot; None for the latest.
    key : identifies the response in the cache.
    make : computes the response as plain data.
    is_quick : whether that takes less time than another thread would need to begin.

    Raises
    ------
    NotReady, UnknownSnapshot, HomeError : as `serving.snapshots.live_state.LiveState.scored`.
    """
    state = live.cached()
    scored = None if state is None else state.cached(as_of)
    if scored is not None and (text := scored.json_cache.cached(*key)) is not None:
        return text
    if scored is not None and is_quick(scored):
        return scored.json_cache.get(*key, make=lambda: make(scored))

    def work() -> bytes:
        scored = live.current().scored(as_of)
        return scored.json_cache.get(*key, make=lambda: make(scored))

    return await run_in_threadpool(work)


LiveStateDep = Annotated[LiveStateManager, Depends(_live_state)]
HomeDep = Annotated[Home, Depends(_home)]
StoreDep = Annotated[Store, Depends(_store)]
SettingsDep = Annotated[ServiceSettings, Depends(_settings)]
ThreadPoolDep = Annotated[ThreadPool, Depends(_thread_pool)]

#: For operations that take a body.
JSON_ONLY = Depends(_json_only)

NO_PARAMETER = "A parameter cannot be used."
NO_ACCOUNT = "No such account in the snapshot, or no snapshot at this date."
NOT_READY = "Not ready; Retry-After says when to try again."
NO_STORE = "The store cannot be reached; retry after the time in Retry-After."

#: Errors of every operation that takes a body, by status.
BODY_PROBLEMS = {
    "s400": "The body is not JSON.",
    "s408": "The body did not arrive in time.",
    "s409": "The first request with the Idempotency-Key is still running; Retry-After says when to try again.",
    "s413": "The body is too large.",
    "s415": "The body is not declared as JSON.",
}


def problem_responses(**descriptions: str) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of an operation for /openapi.json.

    Parameters
    ----------
    descriptions : when each error occurs, by status prefixed with ``s``.
    """
    # The model describes application/json, which is all that some callers accept.
    problem = {"model": predictions.Problem, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {int(key.removeprefix("s")): {"description": when, **problem} for key, when in sorted(descriptions.items())}
