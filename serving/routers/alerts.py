"""Routes for active alerts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.rules.alerts import AlertCode
from serving.http.authentication import require_scope
from serving.http.dependencies import NOT_READY, LiveStateDep, StoreDep, problem_responses
from serving.schemas.account_filter import AccountFilter
from serving.schemas.query_params import MAX_LISTED, NO_MATCH, NO_SNAPSHOT, SnapshotQuery
from serving.snapshots.account_attributes import select_accounts
from serving.worklist.active_alerts import LeftOut
from serving.worklist.intervention_schemas import ActiveAlerts
from serving.worklist.published_worklist import published_alerts

router = APIRouter(tags=["portfolio"], dependencies=[require_scope("predict")])


class ActiveAlertsQuery(SnapshotQuery, AccountFilter):
    """Filters of accounts with active alerts."""

    limit: int = Field(100, ge=1, le=MAX_LISTED, strict=False, description="The maximum number of accounts.")
    code: AlertCode | None = Field(None, description="Only alerts of this rule.")
    new: bool = Field(False, strict=False, description="Only alerts that were raised at this date.")
    suppressed: bool = Field(
        False, strict=False, description="The accounts for which a play is under way: the same as `state=under_way`."
    )
    state: LeftOut | None = Field(
        None,
        description="The accounts that are left out for this reason, instead of the others: a play is under way, an "
        "intervention has ended since publication, or the plays are snoozed.",
    )


@router.get(
    "/v1/alerts/active",
    summary="List accounts with active alerts",
    operation_id="listActiveAlerts",
    response_model=ActiveAlerts,
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_MATCH, s503=NOT_READY),
)
def get_active_alerts(live: LiveStateDep, store: StoreDep, query: Annotated[ActiveAlertsQuery, Query()]) -> Response:
    """Returns the accounts with an alert that is active at the snapshot, accounts to work on first, then new
    alerts, then by ARR at risk. Accounts are left out if a play is under way, if an intervention has
    ended since publication, or if their plays are snoozed; `state` lists these."""
    scored = live.current().scored(query.as_of)
    selection = select_accounts(scored, query, strict=True)
    state = "under_way" if query.state is None and query.suppressed else query.state
    return JSONResponse(published_alerts(scored, store, query.limit, selection, query.code, query.new, state))
