"""The worklist page (this week's priorities), with the data of GET /v1/worklist."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from serving.html.links import with_query
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import LiveStateDep, StoreDep
from serving.pages.snapshot_context import snapshot_dates
from serving.portfolio.account_list import published_account_list
from serving.schemas.form_fields import SnapshotPageQuery, digits_to_int, empty_to_none
from serving.worklist.effects import effect_sources
from serving.worklist.published_worklist import published_worklist

#: The maximum capacity.
CAPACITY_LIMIT = 100
CAPACITIES = (10, 20, 30, 50, 100)
RANKINGS = {
    "expected_saved_arr": "Ranked by expected saved ARR",
    "arr_at_risk": "Ranked by ARR at risk",
    "health": "Ranked by health score, lowest first",
}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class WorklistPageQuery(SnapshotPageQuery):
    """The capacity and the CSM."""

    capacity: Annotated[int, BeforeValidator(digits_to_int), Field(ge=1, le=CAPACITY_LIMIT)] = 20
    csm: Annotated[str | None, BeforeValidator(empty_to_none), Field(max_length=1000)] = None


@router.get("/worklist")
def get_worklist_page(
    request: Request,
    live: LiveStateDep,
    store: StoreDep,
    asked: Annotated[WorklistPageQuery, Query()],
) -> Response:
    """Return the worklist page."""
    state = live.current()
    scored = state.scored(asked.as_of)
    worklist = published_worklist(scored, store, asked.capacity, asked.csm)
    return render_page(
        request,
        "worklist.html",
        title="Worklist",
        section="worklist",
        worklist=worklist,
        asked=asked,
        as_of=asked.when,
        dates=snapshot_dates(state, scored),
        query=with_query("", {"as_of": asked.when}),
        csms=published_account_list(scored).csms,
        capacities=sorted({*CAPACITIES, asked.capacity}),
        ordered=RANKINGS[worklist["ordered_by"]],
        sources=effect_sources(worklist) if worklist["saved_arr"]["worklist"] is not None else None,
        json=with_query("/v1/worklist", {"as_of": asked.when, "capacity": asked.capacity, "csm": asked.csm}),
    )
