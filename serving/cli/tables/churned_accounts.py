"""Terminal output of the accounts that churned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import Table
from features.utils.formatting import account_label, count_of, day, moment, money, number, percent, plain
from serving.cli.tables.applied_filter import print_filter
from serving.portfolio.churned_accounts import LOOKBACK_DAYS

_WARNED = {None: "–", True: "yes", False: "no"}


def print_churned(payload: Mapping[str, Any], console: Console) -> None:
    """Print the accounts that churned (`serving.portfolio.churned_accounts.ChurnedAccounts`).

    Parameters
    ----------
    payload : the accounts.
    console : the terminal.
    """
    print_filter(payload, console)
    span = f"{moment(payload['period']['start'])} to {moment(payload['period']['end'])}"
    console.print(Text(f"churned accounts from {span}", style="bold"))
    if payload["unknown"] is not None:
        console.print(Text(f"unknown: {payload['unknown']}"))
        return
    if not payload["churned_accounts"]:
        console.print("no account churned in this period")
        return
    lost = f"{count_of(payload['churned_accounts'], 'account')} with {money(payload['churned_arr'])} ARR"
    if payload["arr_unknown_accounts"]:
        lost += f", without {count_of(payload['arr_unknown_accounts'], 'account')} with unknown ARR"
    console.print(lost)
    reasons = Table(padding=(0, 2, 0, 2), show_header=False)
    for justify in ("left", "right", "right"):
        reasons.add_column(justify=justify)
    for each in payload["by_reason"]:
        reasons.add_row(_reason(each), f"{each['accounts']:,}", money(each["arr"]))
    console.print(reasons)
    if payload["accounts"]:
        console.print(_accounts(payload))
    warned, predicted = payload["warned_accounts"], payload["predicted_accounts"]
    if predicted:
        known = f"{warned:,} of {predicted:,} with a prediction in the {LOOKBACK_DAYS} days before the end"
    else:
        known = f"unknown, no prediction was published in the {LOOKBACK_DAYS} days before an end"
    console.print(f"warned of: {known}")


def _accounts(payload: Mapping[str, Any]) -> Table:
    # Columns of predictions are left out where none was published.
    before = ("health", "churn risk", "warned") if payload["predicted_accounts"] else ()
    table = Table(gap=1)
    for heading in ("account", "CSM", "ended", "reason", "lost ARR", *before):
        left = heading in ("account", "CSM", "ended", "reason", "warned")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading == "ended")
    for each in payload["accounts"]:
        prediction = (number(each["health_score"], 1), percent(each["churn_probability"]), _WARNED[each["warned"]])
        table.add_row(
            Text(account_label(each["account_id"], each["name"])),
            Text(each["csm"] or ""),
            day(each["ended_at"]),
            _reason(each),
            money(each["arr"]),
            *prediction[: len(before)],
        )
    if payload["more_accounts"]:
        table.caption = Text(f"{payload['more_accounts']:,} more; raise --limit", style="dim")
    return table


def _reason(row: Mapping[str, Any]) -> Text:
    return Text(plain(row["reason"]) if row["reason"] else "not recorded")
