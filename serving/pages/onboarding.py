"""The page of the accounts in onboarding, with the data of GET /v1/onboarding."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.html.links import with_query, without
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.pages.exports.lists import onboarding_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.sortable_list import LABEL, ListColumn, ListQuery, arrange, headings, paginate
from serving.portfolio.onboarding_accounts import published_onboarding
from serving.schemas.account_filter import PageFilter
from serving.schemas.form_fields import SnapshotPageQuery

#: The number of accounts on one page.
PAGE = 50
COLUMNS = (
    ListColumn("account", "Account", LABEL),
    ListColumn("csm", "CSM", "csm"),
    ListColumn("arr", "ARR", "arr", number=True, largest_first=True),
    ListColumn("day", "Day", "day", number=True, largest_first=True),
    ListColumn("done", "Steps done", "done", number=True, largest_first=True),
    ListColumn("missed", "Missed", "missed", largest_first=True),
    ListColumn("next", "Next step due", "next_on"),
    ListColumn("value", "First value", "days_to_first_value", number=True),
    ListColumn("health", "Health", "health_band"),
)
"""The columns of the list. By default, accounts with most missed steps come first."""

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class OnboardingPageQuery(SnapshotPageQuery, PageFilter, ListQuery):
    """The snapshot, the filter, and the list."""


@router.get("/onboarding")
def get_onboarding_page(
    request: Request, view: Annotated[PageView[OnboardingPageQuery], page_view(OnboardingPageQuery)]
) -> Response:
    """Return the page of the accounts in onboarding."""
    asked = view.asked
    onboarding = published_onboarding(view.scored, view.selection)
    rows = arrange(onboarding["accounts"], asked, COLUMNS)
    others = {"as_of": asked.when, **asked.list_params}
    params = {**asked.chosen, **others}

    def link(**changes: object) -> str:
        return with_query("/onboarding", {**params, **changes}) + "#list"

    page = render_page(
        request,
        "onboarding.html",
        exports=onboarding_exports,
        title="Onboarding",
        section="onboarding",
        onboarding=onboarding,
        asked=asked,
        found=rows,
        listed=paginate(rows, asked.page, PAGE),
        headings=headings(COLUMNS, asked.sort or "missed", asked.way, link),
        link=link,
        filters=view.filters("/onboarding", others),
        undated=without(params, "as_of"),
        unsearched=without(params, *asked.list_params),
        dates=view.dates,
        query=view.query,
        json=with_query("/v1/onboarding", {"as_of": asked.when, "limit": 1000, **asked.chosen}),
    )
    return view.remember(page)
