"""The portfolio's measures as tables that a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

MINUS = "−"
BOUNDS = {"above": "> ", "at_least": "≥ ", "below": "< "}
IN_SEGMENTS = (
    "nrr",
    "grr",
    "logo_retention",
    "arr_churn_year",
    "green_share",
    "mean_health",
    "nps",
    "csat",
    "adoption",
)
"""The measures shown by segment."""
ADVOCATES = 10
"""So many are shown."""


def print_measures(told: Mapping[str, Any], console: Console) -> None:
    """Print what `serving.measures.told.measures_told` tells: all measures, some by segment, and the first
    advocates."""
    period = told["period"]
    title = f"portfolio as of {told['as_of']}: the {period['name']} from {period['start']}, and a period ago"
    console.print(_whole(told, title))
    console.print(_segments(told))
    names = [f"{a['account_id']} (NPS {a['nps']:g}, health {a['health']:g})" for a in told["advocates"][:ADVOCATES]]
    more = len(told["advocates"]) - len(names)
    console.print(Text("advocates  " + (", ".join(names) or "none") + (f" and {more} more" if more else "")))
    if not told["contractual"]:
        console.print(Text("there are no contracts: ARR is what was ordered in a year", style="dim"))


def shown(value: float | None, unit: str) -> str:
    """A value in its unit, as a person reads it; an en dash where it is unknown."""
    if value is None:
        return "–"
    if unit == "share":
        return f"{value:.1%}"
    if unit == "currency" or unit == "accounts":
        return f"{value:,.0f}"
    return f"{value:.1f}" if unit != "days" else f"{value:.0f} days"


def change(told: Mapping[str, Any]) -> tuple[str, str]:
    """How far a measure has moved in a period (points of a percentage for shares), and its style: green where it is
    better, red where worse."""
    value, last = told["value"], told["last"]["value"]
    if value is None or last is None:
        return "", ""
    by = (value - last) * (100.0 if told["unit"] == "share" else 1.0)
    digits = 0 if told["unit"] in ("currency", "accounts", "days") else 1
    if round(by, digits) == 0:
        return "=", "dim"
    text = f"{'+' if by > 0 else MINUS}{abs(by):,.{digits}f}"
    if told["better"] is None:
        return text, ""
    return text, "green" if (by > 0) == (told["better"] == "higher") else "red"


def target(told: Mapping[str, Any]) -> str:
    """The target in words; nothing without one."""
    aim = told["target"]
    if aim is None:
        return ""
    better = "" if aim["better"] is None else f" (better {shown(aim['better'], told['unit'])})"
    return BOUNDS[aim["bound"]] + shown(aim["value"], told["unit"]) + better


def _whole(told: Mapping[str, Any], title: str) -> Table:
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0))
    table.add_column("measure")
    for heading in ("value", "last", "change", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("numerator", "denominator"):
        table.add_column(heading, justify="right")
    table.add_column("left out", justify="right")
    for m in told["measures"]:
        style = {True: "green", False: "red", None: ""}[m["met"]]
        if m["unknown"] is not None:
            why = Text(f"unknown: {m['unknown']}", style="dim")
            table.add_row(m["title"], "–", shown(m["last"]["value"], m["unit"]), "", target(m), why, "", "")
            continue
        moved, moved_style = change(m)
        table.add_row(
            m["title"],
            Text(shown(m["value"], m["unit"]), style=style),
            shown(m["last"]["value"], m["unit"]),
            Text(moved, style=moved_style),
            target(m),
            f"{m['numerator']:,.0f}",
            "" if m["denominator"] is None else f"{m['denominator']:,.0f}",
            f"{m['left_out']:,}" if m["left_out"] else "",
        )
    return table


def _segments(told: Mapping[str, Any]) -> Table:
    units = {m["measure"]: m for m in told["measures"]}
    table = Table(title=Text("by segment"), title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0))
    table.add_column("segment")
    for code in IN_SEGMENTS:
        table.add_column(code.replace("_", " "), justify="right")
    for group in told["by"]["segment"]:
        values = {m["measure"]: m["value"] for m in group["measures"]}
        cells = (shown(values[code], units[code]["unit"]) for code in IN_SEGMENTS)
        table.add_row(group["group"] or "not known", *cells)
    return table
