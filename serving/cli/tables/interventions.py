"""Terminal output of interventions and their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from features.errors import AccountCandidate
from features.utils.console import Table, labeled_rows, one_line
from features.utils.formatting import day, minute, moment, number, percent, plain
from models.predictions.account_lookup import AccountNames
from serving.cli.tables.applied_filter import print_filter
from serving.worklist.intervention_history import history_text


def print_interventions(payload: Mapping[str, Any], names: AccountNames, console: Console) -> None:
    """Print a list of interventions (`serving.worklist.intervention_schemas.InterventionPage`).

    Parameters
    ----------
    payload : the list.
    names : the names of accounts that are known.
    console : where to print.
    """
    if not payload["data"]:
        console.print("no interventions; start one with `renewcast interventions start ACCOUNT`", markup=False)
        return
    table = Table(gap=1)
    for heading in ("id", "account", "play", "state", "assignee", "started", "last action"):
        table.add_column(heading, no_wrap=heading in ("id", "started"))
    for each in payload["data"]:
        state = plain(each["result"]) if each["result"] else plain(each["state"])
        account = str(AccountCandidate(each["account_id"], names.get(each["account_id"])))
        texts = (each["id"], account, each["play"] or "", state, each["assignee"] or "")
        table.add_row(*map(Text, (*texts, day(each["started_at"]), history_text(each["history"][-1]))))
    console.print(table)
    if payload["more"]:
        console.print(f"{payload['more']:,} more; raise --limit")


def print_intervention(payload: Mapping[str, Any], console: Console) -> None:
    """Print one intervention with its history (`serving.worklist.intervention_schemas.InterventionResponse`)."""
    state = plain(payload["result"]) if payload["result"] else plain(payload["state"])
    play = f"{payload['play']} for " if payload["play"] else ""
    head = f"{payload['id']}: {play}{payload['account_id']}, {state}, version {payload['version']}"
    console.print(one_line(Text(head, style="bold")))
    if payload["assignee"]:
        console.print(Text(f"assigned to {payload['assignee']}"))
    rows = [
        (
            minute(each["at"]),
            Text(each["by"] or "unknown"),
            Text(": ".join(filter(None, (history_text(each), each["note"])))),
        )
        for each in payload["history"]
    ]
    console.print(labeled_rows(rows))


def print_results(payload: Mapping[str, Any], console: Console) -> None:
    """Print results by play and by alert rule (`serving.worklist.intervention_schemas.InterventionResults`)."""
    console.print(one_line(Text(f"results of interventions as of {moment(payload['as_of'])}", style="bold")))
    print_filter(payload, console)
    if payload["by_play"]:
        _print_rates(payload["by_play"], "play", "save_rate", "save rate", console)
    else:
        console.print("no interventions with a play")
    _print_rates(payload["by_alert"], "code", "precision", "precision", console)
    console.print(
        "save rate: saved, of those saved or lost; it does not measure the effect of a play. precision: saved or lost, "
        "of those closed that began while an alert of the rule was active. Both are unknown with fewer than "
        f"{payload['min_closed']} that count."
    )
    _print_responses(payload, console)


def _print_responses(payload: Mapping[str, Any], console: Console) -> None:
    days = payload["response_days"]
    table = Table(gap=1)
    for name in ("alert", "needed a response", "answered", "median days", f"within {days} days"):
        table.add_column(name, justify="left" if name == "alert" else "right", no_wrap=True)
    for each in payload["responses"]:
        median, share = number(each["median_days"], 1), percent(each["share_in_time"], 0)
        table.add_row(each["code"] or "all", f"{each['alerts']:,}", f"{each['answered']:,}", median, share)
    console.print(table)
    console.print(
        "median: days from an alert to the first intervention on the account; alerts without one yet count for as long "
        f"as they have waited. Unknown with fewer than {payload['min_alerts']} alerts."
    )


def _print_rates(rows: Sequence[Mapping[str, Any]], key: str, rate: str, heading: str, console: Console) -> None:
    table = Table(gap=1)
    for name in ("play" if key == "play" else "alert", "open", "saved", "lost", "no effect", heading):
        table.add_column(name, justify="left" if name in ("play", "alert") else "right", no_wrap=True)
    for each in rows:
        shown = each["why_unknown"]
        if each[rate] is not None:
            low, high = each[rate]["interval"]
            shown = f"{percent(each[rate]['value'], 0)} ({percent(low, 0)} to {percent(high, 0)})"
        table.add_row(Text(each[key]), *(f"{each[name]:,}" for name in ("open", "saved", "lost", "no_effect")), shown)
    console.print(table)
