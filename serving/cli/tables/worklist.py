"""Terminal output of the worklist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import Table, labeled_rows, one_line
from features.utils.formatting import account_label, count_of, day, moment, money, percent, signed, signed_money
from serving.cli.tables.applied_filter import print_filter
from serving.worklist.effects import effect_sources

WIDE_TERMINAL = 110
"""In narrower terminals the actions are below the table, one line per account."""


def print_worklist(payload: Mapping[str, Any], console: Console) -> None:
    """Print the accounts to work on, the ARR at risk covered, accounts that are too late, and past interventions.

    Parameters
    ----------
    payload : the worklist (`serving.worklist.schemas.WorklistResponse`).
    console : the terminal.
    """
    whose = f" of {payload['csm']}" if payload["csm"] else ""
    listed = f"{count_of(len(payload['accounts']), 'account')} (capacity {payload['capacity']})"
    head = f"worklist{whose} as of {moment(payload['as_of'])}: {listed}"
    console.print(one_line(Text(head, style="bold")))
    print_filter(payload, console)
    table = Table(gap=1)
    churn = f"churn {payload['horizon_days']}d"
    wide = console.width >= WIDE_TERMINAL
    # Without a model there is no risk to show.
    risk = any(item["churn_probability"] is not None for item in payload["accounts"])
    headings: tuple[str, ...] = ("", "account", "CSM", "ARR", *((churn, "ARR at risk") if risk else ()))
    headings += ("renews", "act by", *(("who", "why", "what") if wide else ()))
    for heading in headings:
        right = heading in ("", "ARR", churn, "ARR at risk")
        width = {"account": 12, "why": 20, "what": 24, "CSM": 8, "act by": 11}.get(heading)
        table.add_column(heading, justify="right" if right else "left", no_wrap=width is None, min_width=width)
    for item in payload["accounts"]:
        play = item["play"]
        act = "" if play is None else play["act"]
        table.add_row(
            str(item["rank"]),
            Text(account_label(item["account_id"], item["name"])),
            Text(item["csm"] or ""),
            money(item["arr"]),
            *([percent(item["churn_probability"]), money(item["arr_at_risk"])] if risk else []),
            day(item["renewal_at"]) if item["renewal_at"] else "",
            "" if play is None else day(play["due"]) + (" overdue" if item["overdue"] else ""),
            *(["" if play is None else play["who"], Text(item["why"] or ""), Text(act)] if wide else []),
        )
    console.print(table)
    actions = [
        (
            f"{item['rank']:>3}",
            Text(f"{item['name'] or item['account_id']} ({item['play']['who']}):"),
            Text(item["play"]["act"]),
        )
        for item in payload["accounts"]
        if item["play"] is not None
    ]
    if actions and not wide:
        console.print(labeled_rows(actions))
    _print_reached(payload, console)
    _print_bridge(payload, console)
    if payload["too_late_accounts"]:
        names = ", ".join(account_label(each["account_id"], each["name"]) for each in payload["too_late"][:10])
        console.print(
            f"too late (the renewal is due before the play can finish): {payload['too_late_accounts']:,} ({names})"
        )
    console.print(
        f"not on this list: {count_of(payload['automated'], 'account')} with automated plays, "
        f"{payload['under_way']:,} in an intervention, "
        f"{payload['done']:,} done, {payload['snoozed']:,} snoozed, {payload['held_out']:,} held out"
    )
    done = payload["interventions"]
    console.print(f"interventions so far: {done['saved']:,} saved, {done['lost']:,} lost, {done['open']:,} open")
    console.print(payload["save_rate"]["words"], markup=False)
    for each in done["by_play"]:
        if each["effect"] is not None:
            low, high = each["effect"]["interval"]
            console.print(
                f"  {each['play']}: uplift {signed(100 * each['effect']['uplift'])} points ({signed(100 * low)} to "
                f"{signed(100 * high)}) with {count_of(each['accounts'], 'account')}",
                markup=False,
            )
    for note in payload["notes"]:
        console.print(f"note: {note}", style="dim", markup=False)


def _print_bridge(payload: Mapping[str, Any], console: Console) -> None:
    """Print the portfolio's ARR at risk, split by where it is handled."""
    bridge = payload["bridge"]
    if bridge is None:
        return
    parts = {
        "listed": "on this list",
        "not_listed": "beyond the capacity",
        "under_way": "under way",
        "held_out": "held out",
        "done": "done",
        "snoozed": "snoozed",
        "no_play": "without a reason to act",
        "automated": "with an automated play",
        "too_late": "too late",
        "other_csms": "outside the filter",
    }
    words = ", ".join(f"{money(bridge[name])} {label}" for name, label in parts.items() if round(bridge[name]))
    whole = f"ARR at risk within {payload['horizon_days']} days, whole portfolio: {money(bridge['portfolio'])}"
    console.print(f"{whole} ({words})")


def _print_reached(payload: Mapping[str, Any], console: Console) -> None:
    reached = payload["reached_arr_at_risk"]
    if reached["everyone"] is None:
        return
    console.print(
        f"ARR at risk covered, without renewal talks: {money(reached['worklist'])} of {money(reached['everyone'])}; "
        f"by health score alone {money(reached['by_health_score'])}, at random {money(reached['at_random'])}"
    )
    saved = payload["saved_arr"]
    if saved["worklist"] is not None:
        more = saved["worklist"] - saved["by_health_score"]
        console.print(
            f"expected to be saved: {money(saved['worklist'])} ({effect_sources(payload)}), {signed_money(more)} "
            "compared with ranking by health score alone"
        )
