"""Terminal output of business reviews and success plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import one_line
from features.utils.formatting import account_label
from serving.account_reports.html import report_title

STYLES = {"good": "green", "fair": "yellow", "bad": "red", "": ""}


def print_account_report(payload: Mapping[str, Any], console: Console) -> None:
    """Print the report, section by section.

    Parameters
    ----------
    payload : a business review or an account plan (`serving.account_reports.schemas`).
    console : the terminal.
    """
    name = account_label(payload["account_id"], payload["name"])
    console.print(one_line(Text(f"{report_title(payload)}: {name}, as of {payload['as_of']}", style="bold")))
    for line in payload.get("because", []):
        console.print(one_line(Text(line)))
    for part in payload["sections"]:
        console.print()
        console.print(Text(part["title"] + (" (internal)" if part["internal"] else ""), style="bold"))
        for figure in part["figures"]:
            at_start = (
                f" ({figure['then_words']} at the start)" if figure["then_words"] not in (None, figure["words"]) else ""
            )
            console.print(one_line(Text(f"  {figure['label']}: {figure['words']}{at_start}")))
        for each in part["items"]:
            tag = (f"{each['tag']}: ", STYLES[each["state"]]) if each["tag"] else ""
            who = f" ({each['who']})" if each["who"] else ""
            line_text = Text.assemble("  - ", f"{each['date']} " if each["date"] else "", tag, each["text"], who)
            console.print(one_line(line_text))
        if part["missing"]:
            console.print(one_line(Text("  unknown: " + "; ".join(part["missing"]), style="dim")))
    for heading, lines in (("Open questions", payload["questions"]), ("Not covered", payload["gaps"])):
        if lines:
            console.print(Text(f"\n{heading}", style="bold"))
            for line in lines:
                console.print(one_line(Text(f"  - {line}")))
