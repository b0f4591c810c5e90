"""Lists of recorded interventions, and their results by play and by alert rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from models.predictions.payload import format_instant
from models.rules.alert_responses import MIN_ALERTS, RESPONSE_DAYS, RaisedAlert, responses_by_alert
from models.rules.intervention_effects import RUNNING_DAYS, InterventionRecord
from models.rules.intervention_results import MIN_CLOSED, ResultCounts, results_by_alert, results_by_play
from models.rules.intervention_table import LOOKBACK_DAYS
from serving.snapshots.account_attributes import AccountSelection
from serving.store.tables import alerts
from serving.worklist.effects import rate_document
from serving.worklist.intervention_history import Intervention, InterventionState, read_interventions


def list_interventions(
    connection: Connection,
    account_id: str | None = None,
    state: InterventionState | None = None,
    assignee: str | None = None,
    limit: int = 100,
    accounts: Collection[str] | None = None,
) -> dict[str, Any]:
    """Return recorded interventions (`serving.worklist.intervention_schemas.InterventionPage`).

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    account_id, state, assignee : only those of the account, in the state today, and of the person.
    limit : the maximum number.
    accounts : only those of these accounts; None for all.

    Returns
    -------
    dict for JSON
        Those that began last first.
    """
    today = datetime.now(UTC).date()
    matches = select_interventions(read_interventions(connection, account_id), today, state, assignee, accounts)
    return {"data": [each.as_dict(today) for each in matches[:limit]], "more": max(len(matches) - limit, 0)}


def select_interventions(
    interventions: Sequence[Intervention],
    today: date,
    state: InterventionState | None = None,
    assignee: str | None = None,
    accounts: Collection[str] | None = None,
) -> list[Intervention]:
    """Return the interventions that match, those that began last first.

    Parameters
    ----------
    interventions : the interventions, the first one first.
    today : the day (UTC) of the state.
    state, assignee, accounts : as in `list_interventions`.
    """
    return [
        each
        for each in reversed(interventions)
        if state in (None, each.state(today)) and assignee in (None, each.assignee)
        if accounts is None or each.account_id in accounts
    ]


def interventions_under_way(connection: Connection, accounts: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Return the recorded interventions that take plays off the list now, those that began last first.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    accounts : only those of these accounts; None for all.

    Returns
    -------
    list of dict for JSON
        Each a `serving.worklist.intervention_schemas.InterventionResponse`.
    """
    now = datetime.now(UTC)
    every = read_interventions(connection, since=now - timedelta(days=RUNNING_DAYS))
    return [
        each.as_dict(now.date())
        for each in reversed(every)
        if each.is_under_way(now) and (accounts is None or each.account_id in accounts)
    ]


def raised_alerts(connection: Connection, as_of: datetime, selection: AccountSelection) -> list[RaisedAlert]:
    """Return the alerts that were raised.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    as_of : only alerts that were raised up to this instant count, and at most `LOOKBACK_DAYS` before.
    selection : only alerts of these accounts count.

    Returns
    -------
    list of RaisedAlert
    """
    of = alerts.c
    query = select(of.account_id, of.code, of.as_of, of.suppressed)
    query = query.where(of.as_of <= as_of, of.as_of >= as_of - timedelta(days=LOOKBACK_DAYS))
    return [RaisedAlert(*row) for row in connection.execute(query) if selection.includes(row.account_id)]


def results_document(
    as_of: datetime,
    interventions: Iterable[InterventionRecord],
    raised: Sequence[RaisedAlert],
    selection: AccountSelection,
) -> dict[str, Any]:
    """Return the results of interventions (`serving.worklist.intervention_schemas.InterventionResults`).

    Parameters
    ----------
    as_of : the date.
    interventions : all interventions that are known on the selected accounts.
    raised : from `raised_alerts`.
    selection : the selected accounts.
    """
    records = list(interventions)
    counts = Counter((alert.code, alert.suppressed) for alert in raised)
    return {
        "as_of": format_instant(as_of),
        "filter": selection.account_filter.applied,
        "min_closed": MIN_CLOSED,
        "by_play": [
            {"play": each.name, **_counts(each), "save_rate": rate_document(each.rate)}
            for each in results_by_play(records)
        ],
        "by_alert": [
            {
                "code": each.name,
                "raised": counts[each.name, False],
                "suppressed": counts[each.name, True],
                **_counts(each),
                "precision": rate_document(each.rate),
            }
            for each in results_by_alert(records)
        ],
        "min_alerts": MIN_ALERTS,
        "response_days": RESPONSE_DAYS,
        "responses": [vars(each) for each in responses_by_alert(raised, records, as_of)],
    }


def _counts(results: ResultCounts) -> dict[str, Any]:
    names = ("open", "closed", "saved", "lost", "no_effect", "why_unknown")
    return {name: getattr(results, name) for name in names}
