"""The cohorts page, with the data of GET /v1/portfolio/cohorts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from models.peer_groups.segments import segment_names
from serving.html.links import with_query
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import LiveStateDep
from serving.pages.snapshot_context import account_people, snapshot_dates
from serving.portfolio.cohorts import published_cohorts
from serving.schemas.form_fields import SnapshotPageQuery

#: The number of accounts listed, and of quarters before the rest is collapsed.
SHOWN, QUARTERS = 12, 12

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


@router.get("/cohorts")
def get_cohorts_page(request: Request, live: LiveStateDep, asked: Annotated[SnapshotPageQuery, Query()]) -> Response:
    """Return the cohorts page."""
    state = live.current()
    scored = state.scored(asked.as_of)
    return render_page(
        request,
        "cohorts.html",
        title="Cohorts",
        section="portfolio",
        shown=QUARTERS,
        segments=segment_names(),
        cohorts=published_cohorts(scored, limit=SHOWN),
        people=account_people(scored),
        dates=snapshot_dates(state, scored),
        query=with_query("", {"as_of": asked.when}),
        json=with_query("/v1/portfolio/cohorts", {"as_of": asked.when}),
    )
