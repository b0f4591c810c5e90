"""Terminal output of the leadership report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import Table
from features.utils.formatting import MINUS, count_of, in_unit, moment, number, percent, short_money
from serving.cli.tables.applied_filter import print_filter
from serving.leadership.arr_bridge import STEP_WORDS

SHOWN = 10
"""Maximum number of groups and CSMs shown."""
GROUP_WORDS = {"segment": "segment", "csm": "CSM", "region": "region", "parent": "parent company", "cohort": "start"}


def print_leadership(payload: Mapping[str, Any], console: Console) -> None:
    """Print the report.

    Parameters
    ----------
    payload : the report (`serving.leadership.schemas.Leadership`).
    console : the terminal.
    """
    print_filter(payload, console)
    _print_bridges(payload, console)
    _print_retention(payload["retention"], console)
    _print_forecast(payload, console)
    _print_groups(payload["by"], payload["groups"], console)
    if payload["cohorts_unknown"] is None:
        _print_groups("cohort", payload["cohorts"][::-1], console)
    _print_capacity(payload["capacity"], console)
    _print_economics(payload["economics"], console)


def _print_bridges(payload: Mapping[str, Any], console: Console) -> None:
    bridges = {"12 months": payload["bridge"], "last quarter": payload["quarter_bridge"]}
    period = payload["period"]
    table = Table(title=Text(f"ARR from {moment(period['start'])} to {moment(period['end'])}"), gap=1)
    table.add_column("step")
    for name in bridges:
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("accounts", justify="right", no_wrap=True)
    known = {name: {each["step"]: each for each in bridge["steps"] or ()} for name, bridge in bridges.items()}
    for step, words in STEP_WORDS.items():
        cells = [one for name in bridges for one in _step_cells(known[name].get(step))]
        if step in ("arr_start", "arr_end") or any(steps.get(step, {"arr": 0})["arr"] for steps in known.values()):
            table.add_row(words, *cells)
    console.print(table)
    for name, bridge in bridges.items():
        if bridge["unknown"] is not None:
            console.print(Text(f"{name}: unknown, {bridge['unknown']}", style="dim"))
        elif bridge["left_out"]:
            left_out = count_of(bridge["left_out"], "account")
            console.print(Text(f"{name}: without {left_out} whose ARR at one end is unknown", style="dim"))


def _step_cells(step: Mapping[str, Any] | None) -> tuple[str, str]:
    if step is None:
        return "–", "–"
    return f"{MINUS if step['sign'] < 0 and step['arr'] else ''}{short_money(step['arr'])}", f"{step['accounts']:,}"


def _print_retention(measures: Sequence[Mapping[str, Any]], console: Console) -> None:
    table = Table(title=Text("retention"), gap=1)
    table.add_column("KPI")
    for heading in ("12 months", "quarter", "a year earlier"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in measures:
        values = (each["value"], (each["quarter"] or {}).get("value"), each["last"]["value"])
        table.add_row(each["title"], *(in_unit(value, each["unit"]) for value in values))
    console.print(table)


def _print_forecast(payload: Mapping[str, Any], console: Console) -> None:
    forecast = payload["forecast"]
    if forecast is None:
        console.print(Text(f"forecast: {payload['forecast_unknown']}", style="dim"))
        return
    due = forecast["due"]
    words = [f"{count_of(due['accounts'], 'renewal')} due with {short_money(due['arr'])} ARR"]
    for name in ("lost_arr", "contracted_arr", "expanded_arr", "grr", "nrr"):
        if (figure := due[name]) is not None:
            form = percent if name in ("grr", "nrr") else short_money
            low, high = (form(each) for each in figure["interval"])
            label = name.upper() if name in ("grr", "nrr") else name.removesuffix("_arr")
            words.append(f"{label} {form(figure['expected'])} ({low} to {high})")
    console.print(Text(f"forecast, {forecast['period']}: " + "; ".join(words)))
    if forecast["arr_expected"] is not None:
        now, expected = short_money(forecast["arr_now"]), short_money(forecast["arr_expected"])
        console.print(Text(f"expected ARR after these renewals: {expected} (now {now})"))


def _print_groups(by: str, groups: Sequence[Mapping[str, Any]], console: Console) -> None:
    table = Table(title=Text(f"ARR by {GROUP_WORDS[by]} over 12 months"), gap=1)
    table.add_column(GROUP_WORDS[by], min_width=7)
    steps = ("arr_start", "new", "expanded", "contracted", "churned", "arr_end")
    for heading in (*(STEP_WORDS[step].lower() for step in steps), "NRR", "GRR", "logos"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in groups[:SHOWN]:
        known = {one["step"]: one for one in each["bridge"]["steps"] or ()}
        values = (each[code]["value"] for code in ("nrr", "grr", "logo_retention"))
        table.add_row(
            Text(each["name"] or each["group"] or "none"),
            *(_step_cells(known.get(step))[0] for step in steps),
            *(percent(value) for value in values),
        )
    if len(groups) > SHOWN:
        table.caption = Text(f"{len(groups) - SHOWN:,} more; --json has all of them", style="dim")
    console.print(table)


def _print_capacity(capacity: Mapping[str, Any], console: Console) -> None:
    table = Table(title=Text("accounts per CSM"), gap=1)
    table.add_column("segment")
    for heading in ("accounts", "without CSM", "CSMs", "per CSM", "allowed", "CSMs needed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in capacity["by_segment"]:
        table.add_row(
            each["segment"] or "unknown",
            f"{each['accounts']:,}",
            f"{each['without_csm']:,}",
            f"{each['csms']:,}",
            number(each["accounts_per_csm"], 1),
            number(each["ratio"]),
            number(each["csms_needed"], 1),
        )
    console.print(table)
    if capacity["unknown"] is not None:
        console.print(Text(f"CSMs: {capacity['unknown']}", style="dim"))
        return
    loads = "; ".join(f"{each['csm']} {percent(each['load'], 0)}" for each in capacity["by_csm"][:SHOWN])
    console.print(Text(f"load of CSMs, 100% is full  {loads}"))


def _print_economics(economics: Mapping[str, Any], console: Console) -> None:
    years, margin = f"{economics['limit_years']:g}", percent(economics["margin"], 0)
    table = Table(title=Text(f"lifetime value within {years} years at a margin of {margin}"), gap=1)
    table.add_column("segment")
    for heading in ("accounts", "mean years", "LTV", "LTV:CAC", "payback, months"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in (*economics["by_segment"], economics["whole"]):
        table.add_row(
            each["segment"] or "all",
            f"{each['accounts']:,}",
            number(each["lifetime_years"], 1),
            short_money(each["lifetime_value"]),
            number(each["ltv_to_cac"], 1),
            number(each["payback_months"], 1),
        )
    console.print(table)
    if why := economics["cost_unknown"] or economics["whole"]["payback_unknown"]:
        console.print(Text(f"payback: unknown, {why}", style="dim"))
    console.print(Text(f"assumed: {economics['assumption']}", style="dim"))
