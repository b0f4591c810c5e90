"""What handlers ask for: the parts of the application that answer, and how an operation's problems are told of."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from models.home import Home
from serving import schemas
from serving.accept import JSON, PROBLEM
from serving.keeper import Keeper
from serving.settings import ServiceSettings
from serving.store.database import Store
from serving.workers import Workers


def _keeper(request: Request) -> Keeper:
    keeper: Keeper = request.app.state.keeper
    return keeper


def _settings(request: Request) -> ServiceSettings:
    settings: ServiceSettings = request.app.state.settings
    return settings


def _workers(request: Request) -> Workers:
    workers: Workers = request.app.state.workers
    return workers


def _home(request: Request) -> Home:
    home: Home = request.app.state.home
    return home


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _json_only(request: Request) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415)


TheKeeper = Annotated[Keeper, Depends(_keeper)]
TheHome = Annotated[Home, Depends(_home)]
TheStore = Annotated[Store, Depends(_store)]
TheSettings = Annotated[ServiceSettings, Depends(_settings)]
TheWorkers = Annotated[Workers, Depends(_workers)]

#: For operations that take a body.
JSON_ONLY = Depends(_json_only)

NO_PARAMETER = "A parameter cannot be used."
NO_ACCOUNT = "No such account in the snapshot, or no snapshot at this date."
NOT_READY = "Not ready; Retry-After says when to try again."

#: What may be wrong with any body, by status.
OF_A_BODY = {
    "s400": "The body is not JSON.",
    "s408": "The body did not arrive in time.",
    "s413": "The body is too large.",
    "s415": "The body is not declared as JSON.",
}


def problems_of(**said: str) -> dict[int | str, dict[str, Any]]:
    """The errors that an operation may answer, for /openapi.json: status with an ``s`` before it, and when."""
    # The model stands for application/json, which some callers accept alone.
    told = {"model": schemas.Problem, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {int(status.removeprefix("s")): {"description": when, **told} for status, when in sorted(said.items())}
