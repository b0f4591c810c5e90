"""Terminal output of what changed between two dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import Table, one_line
from features.utils.formatting import account_label, count_of, moment, money, number, percent, signed
from serving.cli.tables.applied_filter import print_filter

PARTS = {
    "probability": "churn probability",
    "arr": "ARR",
    "new": "new accounts",
    "left": "accounts that left",
    "known_now": "unknown before",
    "unknown_now": "unknown now",
}
"""The parts of the change of the ARR at risk, in words."""


def print_portfolio_changes(payload: Mapping[str, Any], console: Console) -> None:
    """Print both dates, the parts of the change of the ARR at risk, and the accounts that changed it most.

    Parameters
    ----------
    payload : the changes (`serving.portfolio.portfolio_changes.PortfolioChanges`).
    console : the terminal.
    """
    before, now = payload["before"], payload["now"]
    print_filter(payload, console)
    console.print(
        one_line(Text(f"changes from {moment(payload['since'])} to {moment(payload['as_of'])}", style="bold"))
    )
    dates = Table(gap=1)
    for heading in ("", "accounts", "ARR", "ARR at risk", "mean churn risk", "mean health"):
        dates.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for date, group in ((payload["since"], before), (payload["as_of"], now)):
        figures = (money(group[name]) for name in ("arr", "expected_churned_arr"))
        means = (percent(group["mean_churn_probability"]), number(group["mean_health"], 1))
        dates.add_row(moment(date), number(group["accounts"]), *figures, *means)
    console.print(dates)
    if payload["change"] is None:
        console.print(Text("ARR at risk: unknown at one of the dates", style="dim"))
        return
    parts = Table(gap=1)
    for heading in ("change of ARR at risk", "accounts", "amount"):
        parts.add_column(heading, justify="left" if heading.startswith("change") else "right", no_wrap=True)
    for name, words in PARTS.items():
        part = payload["parts"][name]
        if part["accounts"]:
            parts.add_row(words, number(part["accounts"]), signed(part["change"], 0))
    parts.add_row("total", "", signed(payload["change"], 0))
    console.print(parts)
    for each in payload["accounts"]:
        console.print(
            Text.assemble(
                f"{signed(each['change'], 0):>12}  ",
                (account_label(each["account_id"], each["name"]), "bold"),
                f"  {each['text']}",
                _arr(each),
            )
        )
    if payload["more_accounts"]:
        console.print(Text(f"{count_of(payload['more_accounts'], 'more account')} changed", style="dim"))


def print_account_changes(payload: Mapping[str, Any], console: Console) -> None:
    """Print what changed one account's predictions and health score.

    Parameters
    ----------
    payload : the changes (`serving.portfolio.account_changes.AccountChanges`).
    console : the terminal.
    """
    head = f"{payload['account_id']}: changes from {moment(payload['since'])} to {moment(payload['as_of'])}"
    console.print(one_line(Text(head, style="bold")))
    for target in ("churn", "expansion"):
        change = payload[target]
        console.print(Text(change["text"]))
        for driver in change["drivers"]:
            console.print(Text(f"  {signed(driver['contribution_log_odds'], 2):>6}  {driver['text']}"))
        if change["rest_log_odds"] is not None:
            console.print(Text(f"  {signed(change['rest_log_odds'], 2):>6}  all other changes", style="dim"))
    health = payload["health"]
    console.print(Text(f"Health {number(health['before'], 1)} → {number(health['now'], 1)}"))


def _arr(account: Mapping[str, Any]) -> str:
    before, now = account["arr_before"], account["arr"]
    return f"; ARR {money(before)} → {money(now)}" if None not in (before, now) and before != now else ""
