"""Terminal output of `holdout design` and `holdout effect`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import Table, one_line
from features.utils.formatting import count_of, moment, percent, short_money, signed, verb_for

LONG_WEEKS = 520
"""Longer trials are not shown in detail."""


def print_design(payload: Mapping[str, Any], console: Console) -> None:
    """Print the accounts and weeks that a trial takes, by play and by share.

    Parameters
    ----------
    payload : the answer of `holdout design`.
    console : the terminal.
    """
    head = (
        f"trial as of {moment(payload['as_of'])}: plays that save {percent(payload['save_rate'], 0)} of the churning "
        f"accounts, detected with a power of {percent(payload['power'], 0)} after {payload['days']} days"
    )
    console.print(one_line(Text(head, style="bold")))
    if not payload["by_play"]:
        console.print("no account can be assigned now")
        return
    _print_plans(payload["by_play"], "play", lambda plan: str(plan["play"]), console)
    console.print(one_line(Text("all plays, by the share of held-out accounts", style="bold")))
    _print_plans(payload["by_share"], "held out", lambda plan: percent(plan["share"], 0), console)
    console.print(
        "detects: the smallest save rate that the accounts of today would detect. cost: ARR that held-out accounts are "
        "expected to lose because they are not treated."
    )
    if payload["accounts_per_week"] is None:
        console.print("The number of new accounts per week is unknown: give it with --per-week.")


def _print_plans(plans: Iterable[Mapping[str, Any]], first: str, label: Any, console: Console) -> None:
    table = Table(gap=1)
    for heading in (first, "eligible", "churn", "required", "hold out", "weeks", "detects", "cost"):
        table.add_column(heading, justify="left" if heading == first else "right", no_wrap=True)
    for plan in plans:
        table.add_row(
            Text(label(plan)),
            f"{plan['eligible']:,}",
            percent(plan["churn_probability"]),
            _count(plan["required"]),
            _count(plan["held_out"]),
            f"> {LONG_WEEKS}" if (plan["weeks"] or 0) > LONG_WEEKS else _count(plan["weeks"]),
            percent(plan["detectable"], 0),
            short_money(plan["cost"]),
        )
    console.print(table)


def print_effects(payload: Mapping[str, Any], console: Console) -> None:
    """Print the effect of plays, on average and per account.

    Parameters
    ----------
    payload : the answer of `holdout effect`.
    console : the terminal.
    """
    done = payload["interventions"]
    console.print(
        one_line(Text(f"effect of plays as of {moment(payload['as_of'])}, in percentage points", style="bold"))
    )
    table = Table(gap=1)
    for heading in ("play", "accounts", "held out", "uplift", "95% interval", "detects", "saves"):
        table.add_column(heading, justify="left" if heading == "play" else "right", no_wrap=True)
    reasons = []
    whole = {
        "play": "all plays",
        "accounts": payload["accounts"],
        "held_out_accounts": payload["held_out_accounts"],
        "effect": done["effect"],
        "why_no_effect": done["why_no_effect"],
        "save_rate": payload["save_rate"]["value"],
    }
    for each in [whole, *done["by_play"]]:
        effect = each["effect"]
        if effect is None:
            reasons.append(f"{each['play']}: no effect, because {each['why_no_effect']}")
        low, high = (0.0, 0.0) if effect is None else effect["interval"]
        table.add_row(
            Text(each["play"]),
            f"{each['accounts']:,}",
            f"{each['held_out_accounts']:,}",
            "" if effect is None else signed(100 * effect["uplift"]),
            "" if effect is None else f"{signed(100 * low)} to {signed(100 * high)}",
            "" if effect is None or effect["detectable"] is None else signed(100 * effect["detectable"]),
            percent(each["save_rate"], 0),
        )
    console.print(table)
    for line in reasons:
        console.print(line, markup=False)
    if crossed := done["crossovers"]:
        accounts = f"{count_of(crossed, 'held-out account')} {verb_for(crossed, 'was', 'were')}"
        console.print(f"{accounts} treated, which makes the effect look smaller")
    sources = {"account": "per account", "play": "of the play", "all_plays": "of all plays"}
    used = [f"{p['play']} ({sources[p['effect_source']]})" for p in done["by_play"] if p["effect_source"] is not None]
    console.print(f"the worklist uses the effects for: {', '.join(used) or 'no play'}", markup=False)
    for model in payload["models"]:
        console.print(f"per account, {model['play'] or 'all plays'}: {model['words']}", markup=False)
    for note in payload["notes"]:
        console.print(f"note: {note}", style="dim", markup=False)


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
