"""The page of churned accounts, with the data of GET /v1/portfolio/churned."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from features.errors import UnknownSnapshot
from serving.common.errors import StoreDown
from serving.common.json_logs import error_location, log_event
from serving.html.links import with_query, without
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import StoreDep
from serving.pages.exports.lists import churned_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.sortable_list import LABEL, ListColumn, ListQuery, arrange, headings, paginate
from serving.portfolio.churned_accounts import LOOKBACK_DAYS, published_churned
from serving.portfolio.kpi_schemas import DEFAULT_PERIOD, PeriodName
from serving.schemas.account_filter import PageFilter
from serving.schemas.form_fields import SnapshotPageQuery, empty_to_none
from serving.store.database import Store

#: The number of accounts on one page.
PAGE = 50
COLUMNS = (
    ListColumn("account", "Account", LABEL),
    ListColumn("segment", "Segment", "segment"),
    ListColumn("csm", "CSM", "csm"),
    ListColumn("ended", "Ended", "ended_at", largest_first=True),
    ListColumn("reason", "Reason", "reason"),
    ListColumn("arr", "Lost ARR", "arr", number=True, largest_first=True),
    ListColumn("health", "Health before", "health_score", number=True),
    ListColumn("churn", "Churn risk before", "churn_probability", number=True, largest_first=True),
    ListColumn("warned", "Warned", "warned"),
)
"""The columns of the list. By default, the latest end comes first."""
PERIODS: dict[PeriodName, str] = {"year": "Last 12 months", "quarter": "Last quarter"}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class ChurnedPageQuery(SnapshotPageQuery, PageFilter, ListQuery):
    """The period that ends at the snapshot, the filter, and the list."""

    period: Annotated[PeriodName | None, BeforeValidator(empty_to_none)] = None


@router.get("/churned")
def get_churned_page(
    request: Request, store: StoreDep, view: Annotated[PageView[ChurnedPageQuery], page_view(ChurnedPageQuery)]
) -> Response:
    """Return the page of churned accounts."""
    asked = view.asked
    period = asked.period or DEFAULT_PERIOD
    churned = _churned(view, store, period)
    rows = arrange([] if churned is None else churned["accounts"], asked, COLUMNS)
    others = {"as_of": asked.when, "period": None if period == DEFAULT_PERIOD else period, **asked.list_params}
    params = {**asked.chosen, **others}

    def link(**changes: object) -> str:
        return with_query("/churned", {**params, **changes}) + "#list"

    page = render_page(
        request,
        "churned.html",
        exports=churned_exports,
        title="Churned accounts",
        section="churned",
        churned=churned,
        lookback=LOOKBACK_DAYS,
        period=period,
        periods=PERIODS,
        asked=asked,
        found=rows,
        listed=paginate(rows, asked.page, PAGE),
        headings=headings(COLUMNS, asked.sort or "ended", asked.way, link),
        link=link,
        filters=view.filters("/churned", others),
        undated=without(params, "as_of"),
        unsearched=without(params, *asked.list_params),
        dates=view.dates,
        query=view.query,
        json=with_query("/v1/portfolio/churned", {"as_of": asked.when, "period": period, **asked.chosen}),
    )
    return view.remember(page)


def _churned(view: PageView[ChurnedPageQuery], store: Store, period: PeriodName) -> dict[str, Any] | None:
    """Return the churned accounts; None if an earlier release scored the snapshot."""
    chosen = view.asked.account_filter
    try:
        return published_churned(view.scored, store, period, chosen)
    except UnknownSnapshot:
        return None
    except StoreDown as error:
        # The page shows the rest.
        log_event("work_refused", **error_location(error))
        return published_churned(view.scored, None, period, chosen)
