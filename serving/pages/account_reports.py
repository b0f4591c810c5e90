"""The pages of an account's business review and plan, with the data of GET /v1/accounts/{id}/qbr and /plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator
from starlette.responses import RedirectResponse, Response

from features.errors import UnknownAccount
from features.utils.periods import Quarter
from serving.account_reports.editions import Edition, edition_of
from serving.account_reports.html import report_heading, report_title, section_charts
from serving.account_reports.schemas import published_plan, published_review, quarter_name, scored_quarters
from serving.html.links import json_href, report_href, with_query
from serving.html.templates import mark_uncertain, render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import LiveStateDep
from serving.pages.account_params import AccountInPath, AccountQuery, requested_account
from serving.pages.exports.details import report_exports
from serving.pages.filter_bar import carried_query
from serving.portfolio.account_search import account_by_name
from serving.schemas.form_fields import empty_to_none
from serving.schemas.query_params import MeetingDate, QuarterText
from serving.snapshots.live_state import LiveState

EDITIONS = get_args(Edition)

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class PlanQuery(AccountQuery):
    """The account, the date and the filter, and the edition."""

    edition: Edition = "internal"


class ReviewQuery(AccountQuery):
    """The account, the quarter (by default that of the snapshot), the edition, and the meeting. The links carry the
    date and the filter."""

    edition: Edition = "internal"
    quarter: Annotated[QuarterText | None, BeforeValidator(empty_to_none)] = None
    meeting_date: Annotated[MeetingDate | None, BeforeValidator(empty_to_none)] = None


@router.get("/accounts/{account_id:path}/qbr")
def get_business_review_page(
    request: Request, live: LiveStateDep, account_id: AccountInPath, asked: Annotated[ReviewQuery, Query()]
) -> Response:
    """Return the business review of a quarter."""
    state, account = live.current(), requested_account(account_id, asked.id)
    quarter = Quarter.parse(asked.quarter or quarter_name(state.scored(asked.as_of).as_of)).name
    try:
        report = published_review(state, account, quarter, asked.meeting_date)
    except UnknownAccount:
        named = account_by_name(state.scored(None), account)
        if named == account:
            raise
        meeting = None if asked.meeting_date is None else asked.meeting_date.isoformat()
        kept = _kept(asked, quarter=asked.quarter, meeting_date=meeting, as_of=asked.when)
        return RedirectResponse(report_href(named, "qbr", kept), 303)
    return _page(request, state, report, asked, {"quarter": quarter, "meeting_date": report["meeting_date"]})


@router.get("/accounts/{account_id:path}/plan")
def get_plan_page(
    request: Request, live: LiveStateDep, account_id: AccountInPath, asked: Annotated[PlanQuery, Query()]
) -> Response:
    """Return the account plan."""
    state, account = live.current(), requested_account(account_id, asked.id)
    scored = state.scored(asked.as_of)
    if account not in scored.assessment.places:
        named = account_by_name(scored, account)
        return RedirectResponse(report_href(named, "plan", _kept(asked, as_of=asked.when)), 303)
    return _page(request, state, published_plan(scored, account), asked, {"as_of": asked.when})


def _kept(asked: PlanQuery | ReviewQuery, **params: str | None) -> dict[str, str | None]:
    """Return the parameters of another address of the same report: the default edition is left out."""
    edition = None if asked.edition == "internal" else asked.edition
    return {**params, "edition": edition, **asked.chosen}


def _page(
    request: Request,
    state: LiveState,
    report: Mapping[str, Any],
    asked: PlanQuery | ReviewQuery,
    params: Mapping[str, str | None],
) -> Response:
    shown = edition_of(report, asked.edition)
    if asked.edition == "internal":
        mark_uncertain(request, state.scored(asked.as_of).assessment.open_questions)
    document, account = shown["document"], shown["account_id"]
    quarters = scored_quarters(state)
    carried = {**params, "as_of": asked.when, **asked.chosen}
    hrefs = {each: report_href(account, document, {**carried, "edition": each}) for each in EDITIONS}
    return render_page(
        request,
        "report_page.html",
        exports=report_exports,
        title=f"{report_title(shown)}: {shown['name'] or account}",
        section="portfolio",
        report=shown,
        kind=report_heading(shown),
        charts=section_charts(shown),
        quarters=quarters if document == "qbr" else [],
        quarter=quarters[0],
        editions=hrefs,
        json=with_query(json_href(account, document), {**params, "edition": asked.edition}),
        asked=asked,
        query=carried_query(asked, asked.when),
    )
