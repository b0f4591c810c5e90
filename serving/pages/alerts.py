"""The page of active alerts, with the data of GET /v1/alerts/active."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from models.rules.alerts import ALERT_CODES, AlertCode
from serving.html.exports import page_limit
from serving.html.links import with_query
from serving.http.authentication import require_scope
from serving.http.dependencies import StoreDep
from serving.pages.exports.work import alerts_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.snapshot_context import account_people
from serving.pages.work_forms import (
    RESULTS,
    assignee_names,
    render_with_message,
    snooze_choices,
    suggested_assignee,
)
from serving.schemas.account_filter import PageFilter
from serving.schemas.form_fields import SnapshotPageQuery, empty_to_none
from serving.worklist.intervention_lists import interventions_under_way
from serving.worklist.published_worklist import published_alerts

#: The maximum number of accounts listed.
SHOWN = 100

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class AlertsPageQuery(SnapshotPageQuery, PageFilter):
    """The filter, the rule, and which alerts to show."""

    code: Annotated[AlertCode | None, BeforeValidator(empty_to_none)] = None
    show: Annotated[Literal["new", "suppressed"] | None, BeforeValidator(empty_to_none)] = None


@router.get("/alerts")
def get_alerts_page(
    request: Request, store: StoreDep, view: Annotated[PageView[AlertsPageQuery], page_view(AlertsPageQuery)]
) -> Response:
    """Return the page of active alerts."""
    scored, asked, selection = view.scored, view.asked, view.selection
    suppressed = asked.show == "suppressed"
    found = published_alerts(
        scored, store, page_limit(request, SHOWN), selection, asked.code, asked.show == "new", suppressed
    )
    running: dict[str, list[dict[str, Any]]] = {}
    if suppressed:
        with store.read() as connection:
            for each in interventions_under_way(connection, selection.ids):
                running.setdefault(each["account_id"], []).append(each)
    others = {"as_of": asked.when, "code": asked.code, "show": asked.show}
    params: dict[str, object] = {**asked.chosen, **others}
    flag: dict[str, object] = {} if asked.show is None else {asked.show: "true"}
    page = render_with_message(
        request,
        store,
        account_people(scored),
        "alerts.html",
        exports=alerts_exports,
        title="Alerts",
        section="alerts",
        found=found,
        running=running,
        asked=asked,
        filters=view.filters("/alerts", others),
        undated={name: value for name, value in params.items() if name != "as_of"},
        unchosen={"as_of": asked.when, **asked.chosen},
        dates=view.dates,
        query=view.query,
        here=with_query("/alerts", params),
        suppressed_link=with_query("/alerts", {**params, "show": "suppressed"}),
        snoozes=snooze_choices(request, asked.as_of),
        results=RESULTS,
        me=suggested_assignee(request),
        assignees=assignee_names(view.state),
        codes=ALERT_CODES,
        json=with_query("/v1/alerts/active", {"as_of": asked.when, **asked.chosen, "code": asked.code, **flag}),
    )
    return view.remember(page)
