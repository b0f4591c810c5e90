"""A renewal forecast as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.renewals.past import PastForecasts

SHOWN = 15
"""Accounts that are shown; a file holds them all."""
_SHARES = ("grr", "nrr")
_FIGURES = {
    "renewed_accounts": "accounts renewed", "renewed_arr": "renewed ARR", "lost_arr": "lost ARR",
    "contracted_arr": "contracted ARR", "expanded_arr": "expanded ARR", "grr": "GRR", "nrr": "NRR",
}  # fmt: skip


def print_renewals(told: Mapping[str, Any], console: Console) -> None:
    """Print a forecast: the whole, its parts, the accounts with the largest expected loss, and how past ones fared."""
    whole = told["whole"]
    head = f"renewals of {told['period']} ({told['start']} to {told['end']}) as of {told['as_of']}"
    console.print(Text(head, style="bold"))
    console.print(f"{whole['accounts']:,} accounts with {whole['arr']:,.0f} ARR are due; with 80% intervals:")
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for name, words in _FIGURES.items():
        if (figure := whole[name]) is not None:
            form = _form(name)
            low, high = (form(each) for each in figure["interval"])
            table.add_row(words, form(figure["expected"]), Text(f"{low} to {high}", style="dim"))
    console.print(table)
    for division, heading in (("by_segment", "segment"), ("by_csm", "csm")):
        if told[division]:
            console.print(_division(told[division], heading))
    if told["accounts"]:
        console.print(_accounts(told["accounts"]))
    _print_past(told["backtest"], console)
    for note in told["notes"]:
        console.print(f"note: {note}", style="dim", markup=False)


def print_backtest(found: PastForecasts, console: Console) -> None:
    """Print each past quarter beside what happened."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("quarter", "by", "due", "figure", "expected", "80% interval", "happened", ""):
        table.add_column(heading, justify="left" if heading in ("quarter", "by", "figure", "") else "right")
    for quarter in found.quarters:
        for place, (name, figure) in enumerate(quarter.figures.items()):
            form = _form(name)
            first = (quarter.period, quarter.by, f"{quarter.accounts:,}") if place == 0 else ("", "", "")
            table.add_row(
                *first,
                _FIGURES[name],
                form(figure.expected),
                f"{form(figure.low)} to {form(figure.high)}",
                form(figure.happened),
                "" if figure.inside else "outside",
            )
    console.print(table)
    for name, words in _FIGURES.items():
        inside, of = found.coverage(name)
        if of:
            console.print(f"{words}: inside in {inside} of {of}")
    for period, why in found.skipped.items():
        console.print(f"note: {period} could not be forecast: {why}", style="dim", markup=False)


def _form(name: str) -> Any:
    if name in _SHARES:
        return lambda value: f"{value:.1%}"
    return (lambda value: f"{value:,.1f}") if name == "renewed_accounts" else (lambda value: f"{value:,.0f}")


def _division(parts: Sequence[Mapping[str, Any]], name: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for place, heading in enumerate((name, "due", "ARR due", "renewed ARR", "80% interval", "GRR", "NRR", "overdue")):
        table.add_column(heading, justify="left" if not place else "right", no_wrap=True)
    for part in parts:
        if not part["accounts"] and not part["overdue_accounts"]:
            continue
        renewed, grr, nrr = part["renewed_arr"], part["grr"], part["nrr"]
        table.add_row(
            Text(part[name] or "(none)"),
            f"{part['accounts']:,}",
            f"{part['arr']:,.0f}",
            "" if renewed is None else f"{renewed['expected']:,.0f}",
            "" if renewed is None else f"{renewed['interval'][0]:,.0f} to {renewed['interval'][1]:,.0f}",
            "" if grr is None else f"{grr['expected']:.1%}",
            "" if nrr is None else f"{nrr['expected']:.1%}",
            f"{part['overdue_accounts']:,}" if part["overdue_accounts"] else "",
        )
    return table


def _accounts(rows: Sequence[Mapping[str, Any]]) -> Table:
    title = Text(f"the largest expected losses ({min(SHOWN, len(rows))} of {len(rows):,}; --out FILE writes them all)")
    table = Table(box=None, padding=(0, 2, 0, 0), title=title, title_justify="left")
    for heading in ("account", "CSM", "ARR", "renews", "leaves", "expected loss", "expands", "health"):
        table.add_column(heading, justify="left" if heading in ("account", "CSM", "renews", "health") else "right")
    for row in rows[:SHOWN]:
        table.add_row(
            Text(row["account_id"]),
            Text(row["csm"] or ""),
            "" if row["arr"] is None else f"{row['arr']:,.0f}",
            row["renewal_at"] + (" overdue" if row["overdue"] else "") + (" notice given" if row["notice_at"] else ""),
            _share(row["churn_probability"]),
            "" if row["expected_lost_arr"] is None else f"{row['expected_lost_arr']:,.0f}",
            _share(row["expansion_probability"]),
            row["health_band"],
        )
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _print_past(past: Mapping[str, Any] | None, console: Console) -> None:
    if past is None:
        return
    counted = [c for c in past["coverage"] if c["figure"] in ("renewed_arr", "grr", "nrr") and c["of"]]
    words = ", ".join(f"{_FIGURES[c['figure']]} in {c['inside']} of {c['of']}" for c in counted)
    console.print(f"past quarters, backtested on {past['made_at'][:10]}: inside the 80% interval was {words}")
