"""The cohorts page, with the data of GET /v1/portfolio/cohorts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from models.peer_groups.segments import segment_names
from serving.html.links import with_query, without
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.pages.exports.lists import cohorts_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.snapshot_context import account_people
from serving.pages.sortable_list import LABEL, ListColumn, ListQuery, arrange, headings, paginate
from serving.portfolio.cohorts import published_cohorts
from serving.schemas.account_filter import PageFilter
from serving.schemas.form_fields import MarginQuery, SnapshotPageQuery

#: The number of accounts on one page, and of quarters before the rest is collapsed.
PAGE, QUARTERS = 12, 12
COLUMNS = (
    ListColumn("account", "Account", LABEL),
    ListColumn("arr", "ARR", "arr", number=True, largest_first=True),
    ListColumn("years", "Years", "lifetime_years", number=True, largest_first=True),
    ListColumn("value", "Value", "value", number=True, largest_first=True),
)
"""The columns of the list of accounts."""

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class CohortsPageQuery(SnapshotPageQuery, PageFilter, ListQuery, MarginQuery):
    """The filter, the gross margin in percent, and search, order and page of the list of accounts."""


@router.get("/cohorts")
def get_cohorts_page(
    request: Request, view: Annotated[PageView[CohortsPageQuery], page_view(CohortsPageQuery)]
) -> Response:
    """Return the cohorts page."""
    scored, asked, selection = view.scored, view.asked, view.selection
    cohorts = published_cohorts(scored, asked.margin_share, selection=selection)
    people = account_people(scored)
    named = [
        {**each, "name": people.get(each["account_id"], {}).get("name")} for each in cohorts["lifetime"]["accounts"]
    ]
    found = arrange(named, asked, COLUMNS)
    others = {"as_of": asked.when, **asked.page_margin, **asked.list_params}
    params = {**asked.chosen, **others}

    def link(**changes: object) -> str:
        return with_query("/cohorts", {**params, **changes}) + "#most"

    page = render_page(
        request,
        "cohorts.html",
        exports=cohorts_exports,
        title="Cohorts",
        section="cohorts",
        shown=QUARTERS,
        segments=segment_names(),
        cohorts=cohorts,
        margin=asked.margin_percent,
        unpriced=without(params, "margin"),
        asked=asked,
        found=found,
        listed=paginate(found, asked.page, PAGE),
        link=link,
        headings=headings(COLUMNS, asked.sort or "value", asked.way, link),
        filters=view.filters("/cohorts", others),
        undated=without(params, "as_of"),
        unsearched=without(params, *asked.list_params),
        dates=view.dates,
        query=view.query,
        json=with_query("/v1/portfolio/cohorts", {"as_of": asked.when, **asked.api_margin, **asked.chosen}),
    )
    return view.remember(page)
