"""Exports of the work on accounts: alerts, interventions, their results, and what people did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serving.html.exports import ExportColumn, ExportTable, PageExports, Tables
from serving.pages.exports.columns import ACCOUNT, ARR, CSM
from serving.worklist.intervention_history import history_text

Shown = Mapping[str, Any]

ALERTS = (
    *ACCOUNT,
    CSM,
    ARR,
    ExportColumn("alerts", "Alerts", "text", lambda row: "; ".join(each["says"] for each in row["alerts"])),
    ExportColumn("codes", "Alert rules", "text", lambda row: "; ".join(each["code"] for each in row["alerts"])),
    ExportColumn("play", "Action", "text", "play.act"),
    ExportColumn("play_who", "Who", "text", "play.who"),
    ExportColumn("play_due", "Due", "date", "play.due"),
    ExportColumn("churn_probability", "Churn risk", "share"),
    ExportColumn("arr_at_risk", "ARR at risk", "money"),
    ExportColumn("state", "Status of the play"),
)
INTERVENTIONS = (
    ExportColumn("play", "Play"),
    ExportColumn("state", "State"),
    ExportColumn("result", "Result"),
    ExportColumn("assignee", "Assignee"),
    ExportColumn("started_at", "Started", "date"),
    ExportColumn("started_by", "Started by"),
    ExportColumn("closed_at", "Closed", "date"),
    ExportColumn("snoozed_until", "Snoozed until", "date"),
)
COUNTS = tuple(
    ExportColumn(name, title, "whole")
    for name, title in (("open", "Open"), ("saved", "Saved"), ("lost", "Lost"), ("no_effect", "No effect"))
)


RESPONSES = (
    ExportColumn("code", "Alert", "text", lambda row: row["code"] or "all"),
    ExportColumn("alerts", "Needed a response", "whole"),
    ExportColumn("answered", "Answered", "whole"),
    ExportColumn("median_days", "Median days", "number"),
    ExportColumn("share_in_time", "In time", "share"),
    ExportColumn("why_unknown", "Why it is unknown"),
)


def alerts_exports(shown: Shown) -> PageExports:
    """Return the exports of the page of active alerts."""
    return PageExports({"alerts": lambda: ExportTable("Alerts", ALERTS, shown["rows"])})


def interventions_exports(shown: Shown) -> PageExports:
    """Return the exports of the page of interventions."""
    rows, results = shown["rows"], shown["results"] or {"by_play": [], "by_alert": [], "responses": []}
    listed = {"interventions": lambda: interventions_table("Interventions", rows, person_name(shown["people"]))}
    return PageExports({**listed, **results_tables(results)})


def intervention_exports(shown: Shown) -> PageExports:
    """Return the exports of the page of one intervention: its history, the latest action first."""
    return PageExports({"actions": lambda: actions_table(shown["one"]["history"][::-1], shown["text"])})


def results_tables(results: Shown) -> Tables:
    """Return the results of interventions by play and by alert rule, and the responses to alerts.

    Parameters
    ----------
    results : a `serving.worklist.intervention_schemas.InterventionResults`.
    """
    plays = (ExportColumn("play", "Play"), *COUNTS, *_rate("save_rate", "Save rate"))
    raised, suppressed = ExportColumn("raised", "Published", "whole"), ExportColumn("suppressed", "Suppressed", "whole")
    rules = (ExportColumn("code", "Alert"), raised, suppressed, *COUNTS, *_rate("precision", "Precision"))
    return {
        "by-play": lambda: ExportTable("Results by play", plays, results["by_play"]),
        "by-alert": lambda: ExportTable("Precision by alert rule", rules, results["by_alert"]),
        "responses": lambda: ExportTable("Response to alerts", RESPONSES, results["responses"]),
    }


def interventions_table(title: str, rows: Sequence[Shown], name: Callable[[str], str | None]) -> ExportTable:
    """Return interventions as a table, with the names of the accounts and the last action.

    Parameters
    ----------
    title : of the table.
    rows : the interventions (`serving.worklist.intervention_schemas.InterventionResponse`).
    name : returns the name of an account; None if it is unknown.
    """
    columns = (
        ExportColumn("id", "Intervention ID"),
        ExportColumn("account_id", "Account ID"),
        ExportColumn("name", "Account", "text", lambda row: name(row["account_id"])),
        *INTERVENTIONS,
        ExportColumn("last_action", "Last action", "text", lambda row: history_text(row["history"][-1])),
    )
    return ExportTable(title, columns, rows)


def person_name(people: Mapping[str, Shown]) -> Callable[[str], str | None]:
    """Return a function that returns the name of an account, or None, from the details of accounts by their id."""
    return lambda account: people.get(account, {}).get("name")


def actions_table(entries: Sequence[Shown], text: Callable[[Any], str]) -> ExportTable:
    """Return what people did, the latest action first."""
    columns = (
        ExportColumn("at", "When", "date"),
        ExportColumn("by", "Who"),
        ExportColumn("play", "Play"),
        ExportColumn("action", "What", "text", text),
        ExportColumn("note", "Note"),
    )
    return ExportTable("Actions", columns, entries)


def _rate(name: str, title: str) -> tuple[ExportColumn, ...]:
    return (
        ExportColumn(name, title, "share", f"{name}.value"),
        ExportColumn(f"{name}_low", f"{title}, low", "share", f"{name}.interval.0"),
        ExportColumn(f"{name}_high", f"{title}, high", "share", f"{name}.interval.1"),
        ExportColumn("why_unknown", "Why it is unknown"),
    )
