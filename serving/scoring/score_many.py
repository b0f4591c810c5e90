"""Predictions of several accounts in one request. Each item has its own status; a failed item affects no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, ValidationError, WithJsonSchema
from starlette.concurrency import run_in_threadpool

from features.errors import RenewcastError
from features.utils.formatting import count_of
from models.home import Home
from models.predictions.schema import Prediction, ResponseModel
from serving.common.errors import InvalidBody, TooSlow
from serving.common.json_logs import error_location, log_event
from serving.common.settings import ServiceSettings
from serving.common.thread_pool import ThreadPool
from serving.http.problem_details import problem_body, unexpected_problem_body, validation_faults
from serving.schemas import predictions
from serving.schemas.base import RequestModel
from serving.schemas.flat_view import FlatPrediction, ViewQuery
from serving.snapshots.live_state import LiveState

ITEMS_LIMIT = 200
#: The share of the request time after which remaining items are answered as too slow, so that the response is in time.
TIME_SHARE = 0.8


#: A `schemas.PredictionRequest`, but validated only when its turn comes: an invalid item gets its own problem.
_Item = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/PredictionRequest"})]


class BatchRequest(RequestModel):
    """Several accounts, each by id or with its signals, as in a request for one account."""

    items: Annotated[list[_Item], Field(max_length=ITEMS_LIMIT)]


class BatchItemResult(ResponseModel):
    """The result of one item: its prediction if the status is 200, otherwise its problem."""

    status: int = Field(description="The status that a separate request would have.")
    prediction: Prediction | FlatPrediction | None = None  # type: ignore[valid-type]
    problem: predictions.Problem | None = None


class BatchResponse(ResponseModel):
    """The results, in the order of the items."""

    results: list[BatchItemResult]


class BatchScorer:
    """Scores the items of one request, all with the state that was live when it arrived.

    Items with signals are scored one by one, so that a request uses one worker at most. The row limit of a body applies
    to all items together: an item that would exceed it is rejected, and the next one is tried. The time limit applies
    to all items together as well: see `TIME_SHARE`.
    """

    def __init__(
        self, state: LiveState, workers: ThreadPool, settings: ServiceSettings, home: Home, view: ViewQuery
    ) -> None:
        self._state, self._workers, self._settings, self._home = state, workers, settings, home
        self._view = view
        self._rows_left = settings.body_limit_rows
        self._end = asyncio.get_running_loop().time() + TIME_SHARE * settings.request_seconds

    async def results(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the result of each item, as in `BatchItemResult`."""
        return [await self._result(place, item) for place, item in enumerate(items)]

    async def _result(self, place: int, item: Any) -> dict[str, Any]:
        try:
            asked = predictions.PredictionRequest.model_validate(item)
            return {"status": 200, "prediction": self._view.of(await self._prediction(asked))}
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            faults = validation_faults([{**each, "loc": ("body", *each["loc"])} for each in found])
            problem = self._problem(InvalidBody(f"the item has {count_of(len(found), 'error')}", faults), place)
        except RenewcastError as error:
            problem = self._problem(error, place)
        except Exception as error:  # noqa: BLE001 whatever it is, the other items are answered
            problem = unexpected_problem_body()
            log_event("item_failed", logging.ERROR, instance=problem["instance"], **error_location(error))
        return {"status": problem["status"], "problem": problem}

    async def _prediction(self, asked: predictions.PredictionRequest) -> dict[str, Any]:
        if asyncio.get_running_loop().time() >= self._end:
            raise _too_slow()
        if asked.signals is None:
            return await run_in_threadpool(lambda: self._state.scored(asked.as_of).answer(asked.account_id))
        # Imported here: a service that never gets signals does not need the query engine.
        from serving.scoring.score_payload import SignalsScorer

        job = SignalsScorer(asked, self._state, rows_limit=self._rows_left)
        if job.rows <= self._rows_left:
            self._rows_left -= job.rows
        try:
            async with asyncio.timeout_at(self._end):
                return await self._workers.run(job, job)
        except TimeoutError:
            raise _too_slow() from None

    def _problem(self, error: RenewcastError, place: int) -> dict[str, Any]:
        if isinstance(error, InvalidBody):
            faults = [replace(fault, pointer=f"/items/{place}{fault.pointer}") for fault in error.faults]
            error = InvalidBody(error.found, faults, error.expected, error.cure)
        return problem_body(error, self._home, self._settings)


def _too_slow() -> TooSlow:
    return TooSlow("earlier items used up the time of the request", cure="send this item again, with fewer other items")
