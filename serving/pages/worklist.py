"""Whom to work this week, as a page: the same figures as GET /v1/worklist."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from serving.html.links import with_query
from serving.html.templates import page
from serving.http.authentication import require_scope
from serving.http.dependencies import LiveStateDep, StoreDep
from serving.pages.snapshot_context import dates_of, roster_of
from serving.schemas.form_fields import AtDateOrLatest, nothing, whole
from serving.worklist.published_worklist import worklist_published

#: So many accounts can be put on the list.
MOST = 100
CAPACITIES = (10, 20, 30, 50, 100)
ORDERED = {
    "expected_saved_arr": "by the ARR that working them is expected to keep",
    "arr_at_risk": "by ARR at risk",
    "health": "by health score, the lowest first",
}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class WorklistPageAsked(AtDateOrLatest):
    """How much can be done, and by whom."""

    capacity: Annotated[int, BeforeValidator(whole), Field(ge=1, le=MOST)] = 20
    csm: Annotated[str | None, BeforeValidator(nothing), Field(max_length=1000)] = None


@router.get("/worklist")
def get_worklist_page(
    request: Request,
    live: LiveStateDep,
    store: StoreDep,
    asked: Annotated[WorklistPageAsked, Query()],
) -> Response:
    """The list."""
    state = live.current()
    scored = state.scored(asked.as_of)
    told = worklist_published(scored, store, asked.capacity, asked.csm)
    return page(
        request,
        "worklist.html",
        title="Worklist",
        section="worklist",
        told=told,
        asked=asked,
        as_of=asked.when,
        dates=dates_of(state, scored),
        query=with_query("", {"as_of": asked.when}),
        csms=roster_of(scored).csms,
        capacities=sorted({*CAPACITIES, asked.capacity}),
        ordered=ORDERED[told["ordered_by"]],
        json=with_query("/v1/worklist", {"as_of": asked.when, "capacity": asked.capacity, "csm": asked.csm}),
    )
