"""The page of active alerts, with the data of GET /v1/alerts/active."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from features.utils.workbook import MAX_ROWS
from models.rules.alerts import ALERT_CODES, AlertCode
from serving.html.links import with_query, without
from serving.http.authentication import require_scope
from serving.http.dependencies import StoreDep
from serving.pages.exports.work import alerts_exports
from serving.pages.page_view import PageView, page_view
from serving.pages.snapshot_context import account_people
from serving.pages.sortable_list import LABEL, ListColumn, ListQuery, arrange, headings, paginate
from serving.pages.work_forms import (
    RESULTS,
    assignee_names,
    playbook,
    render_with_message,
    snooze_choices,
    suggested_assignee,
)
from serving.schemas.account_filter import PageFilter
from serving.schemas.form_fields import SnapshotPageQuery, empty_to_none
from serving.worklist.active_alerts import LeftOut
from serving.worklist.intervention_lists import interventions_under_way
from serving.worklist.published_worklist import published_alerts

#: The number of accounts on one page.
PAGE = 50
COLUMNS = (
    ListColumn("account", "Account", LABEL),
    ListColumn("alerts", "Alerts", "latest_alert", largest_first=True),
    ListColumn("action", "Action", "play.act"),
    ListColumn("due", "Due", "play.due"),
    ListColumn("risk", "Churn risk", "churn_probability", number=True, largest_first=True),
    ListColumn("loss", "ARR at risk", "arr_at_risk", number=True, largest_first=True),
)
"""The columns of the list. By default, accounts with new alerts come first; alerts are sorted by the latest date."""

LEFT_OUT: dict[str, LeftOut] = {"suppressed": "under_way", "done": "done", "snoozed": "snoozed"}
"""The choices of the page that list the accounts which are otherwise left out, and why they are."""

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


class AlertsPageQuery(SnapshotPageQuery, PageFilter, ListQuery):
    """The filter, the rule, which alerts to show, and search, order and page of the list."""

    code: Annotated[AlertCode | None, BeforeValidator(empty_to_none)] = None
    show: Annotated[Literal["new", "suppressed", "done", "snoozed"] | None, BeforeValidator(empty_to_none)] = None


@router.get("/alerts")
def get_alerts_page(
    request: Request, store: StoreDep, view: Annotated[PageView[AlertsPageQuery], page_view(AlertsPageQuery)]
) -> Response:
    """Return the page of active alerts."""
    scored, asked, selection = view.scored, view.asked, view.selection
    state = None if asked.show is None else LEFT_OUT.get(asked.show)
    found = published_alerts(scored, store, MAX_ROWS, selection, asked.code, asked.show == "new", state)
    columns = [
        each._replace(words=f"Churn risk, {found['horizon_days']} days") if each.name == "risk" else each
        for each in COLUMNS
    ]
    dated = [{**each, "latest_alert": max(alert["since"] for alert in each["alerts"])} for each in found["accounts"]]
    rows = arrange(dated, asked, columns)
    running: dict[str, list[dict[str, Any]]] = {}
    if state == "under_way":
        with store.read() as connection:
            for each in interventions_under_way(connection, selection.ids):
                running.setdefault(each["account_id"], []).append(each)
    others = {"as_of": asked.when, "code": asked.code, "show": asked.show, **asked.list_params}
    params: dict[str, object] = {**asked.chosen, **others}

    def link(**changes: object) -> str:
        return with_query("/alerts", {**params, **changes}) + "#list"

    flag: dict[str, object] = {"new": "true"} if asked.show == "new" else {"state": state}
    page = render_with_message(
        request,
        store,
        account_people(scored),
        "alerts.html",
        exports=alerts_exports,
        title="Alerts",
        section="alerts",
        found=found,
        rows=rows,
        listed=paginate(rows, asked.page, PAGE),
        headings=headings(columns, asked.sort, asked.way, link),
        link=link,
        running=running,
        asked=asked,
        filters=view.filters("/alerts", others),
        undated=without(params, "as_of"),
        unchosen={"as_of": asked.when, **asked.chosen},
        dates=view.dates,
        query=view.query,
        here=with_query("/alerts", {**params, "page": asked.page if asked.page > 1 else None}),
        left_out=state is not None,
        show_link=lambda show: with_query("/alerts", {**params, "show": show, "page": None}),
        snoozes=snooze_choices(request, asked.as_of),
        results=RESULTS,
        playbook=playbook(),
        me=suggested_assignee(request),
        assignees=assignee_names(view.state),
        codes=ALERT_CODES,
        json=with_query("/v1/alerts/active", {"as_of": asked.when, **asked.chosen, "code": asked.code, **flag}),
    )
    return view.remember(page)
