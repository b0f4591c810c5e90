"""Terminal output of business reviews and success plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import one_line
from features.utils.formatting import account_label, day, moment
from serving.account_reports.html import report_heading

STYLES = {"good": "green", "fair": "yellow", "bad": "red", "": ""}


def print_account_report(payload: Mapping[str, Any], console: Console) -> None:
    """Print the report, section by section.

    Parameters
    ----------
    payload : a business review or an account plan (`serving.account_reports.schemas`).
    console : the terminal.
    """
    name = account_label(payload["account_id"], payload["name"])
    console.print(one_line(Text(f"{report_heading(payload)}: {name}, as of {moment(payload['as_of'])}", style="bold")))
    console.print(Text(f"{payload['edition']} edition", style="dim"))
    if payload.get("meeting_date"):
        console.print(Text(f"meeting on {day(payload['meeting_date'])}", style="dim"))
    for line in payload.get("because", []):
        console.print(one_line(Text(line)))
    for part in payload["sections"]:
        console.print()
        console.print(Text(part["title"] + (" (internal)" if part["internal"] else ""), style="bold"))
        for line in part["lines"]:
            console.print(one_line(Text(f"  {line}")))
        for metric in part["metrics"]:
            console.print(one_line(Text(f"  {_metric_line(metric)}")))
        for figure in part["figures"]:
            at_start = (
                f" ({figure['then_words']} at the start)" if figure["then_words"] not in (None, figure["words"]) else ""
            )
            console.print(one_line(Text(f"  {figure['label']}: {figure['words']}{at_start}")))
        for each in part["items"]:
            tag = (f"{each['tag']}: ", STYLES[each["state"]]) if each["tag"] else ""
            owners = " and ".join(filter(None, (each["who"], each["customer"])))
            who = f" ({owners})" if owners else ""
            line_text = Text.assemble("  - ", f"{day(each['date'])} " if each["date"] else "", tag, each["text"], who)
            console.print(one_line(line_text))
        if part["missing"]:
            console.print(one_line(Text("  unknown: " + "; ".join(part["missing"]), style="dim")))
    for heading, lines in (("Open questions", payload["questions"]), ("Not covered", payload["gaps"])):
        if lines:
            console.print(Text(f"\n{heading}", style="bold"))
            for line in lines:
                console.print(one_line(Text(f"  - {line}")))


def _metric_line(metric: Mapping[str, Any]) -> str:
    """Return a metric with its target, change and comparable accounts, as far as they are known."""
    met = {True: ", met", False: ", not met", None: ""}[metric["met"]]
    parts = [
        metric["target_words"] and f"target {metric['target_words']}{met}",
        metric["then_words"] and f"{metric['then_words']} at the start, {metric['change_words']}",
        metric["benchmark_words"] and f"comparable customers {metric['benchmark_words']}",
    ]
    more = "; ".join(filter(None, parts))
    return f"{metric['label']}: {metric['words']}" + (f" ({more})" if more else "")
