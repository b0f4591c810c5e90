"""Terminal output of renewal forecasts and their backtest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import Table
from features.utils.formatting import (
    account_label,
    count_of,
    day,
    moment,
    money,
    number,
    percent,
    signed_money,
    verb_for,
)
from models.renewals.past_forecasts import PastForecasts
from serving.cli.tables.applied_filter import print_filter
from serving.renewals.forecast import DIVISIONS
from serving.renewals.schemas import BACKTEST_FIGURES

MAXIMUM_ACCOUNTS = 15
"""Maximum number of accounts shown; --out writes all of them."""
_SHARES = ("grr", "nrr")
_MARKS = {"renewal_model": "*"}
_FIGURES = {
    "renewed_accounts": "accounts renewed", "renewed_arr": "renewed ARR", "lost_arr": "lost ARR",
    "contracted_arr": "contracted ARR", "expanded_arr": "expanded ARR", "grr": "GRR", "nrr": "NRR",
}  # fmt: skip


def print_renewals(payload: Mapping[str, Any], console: Console) -> None:
    """Print a forecast: totals, divisions, accounts with the largest expected loss, and backtest results.

    Parameters
    ----------
    payload : the forecast (`serving.renewals.schemas.Renewals`).
    console : the terminal.
    """
    print_filter(payload, console)
    whole = payload["whole"]
    span = f"{moment(payload['start'])} to {moment(payload['end'])}"
    head = f"renewals of {payload['period']} ({span}) as of {moment(payload['as_of'])}"
    console.print(Text(head, style="bold"))
    forecast = any(whole[name] is not None for name in _FIGURES)
    due = verb_for(whole["accounts"])
    end = "; with 80% intervals:" if forecast else ""
    console.print(f"{count_of(whole['accounts'], 'account')} with {money(whole['arr'])} ARR {due} due{end}")
    table = Table(padding=(0, 2, 0, 2), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for name, words in _FIGURES.items():
        if (figure := whole[name]) is not None:
            form = _form(name)
            low, high = (form(each) for each in figure["interval"])
            table.add_row(words, form(figure["expected"]), Text(f"{low} to {high}", style="dim"))
    if forecast:
        console.print(table)
    for heading in DIVISIONS:
        groups = payload[f"by_{heading}"]
        # Not every source has regions and parents.
        if groups and (heading in ("segment", "csm") or any(group[heading] is not None for group in groups)):
            console.print(_division(groups, heading))
    if payload["accounts"]:
        console.print(_accounts(payload["accounts"]))
    _print_bridge(payload["bridge"], console)
    _print_past(payload["backtest"], console)
    for note in payload["notes"]:
        console.print(f"note: {note}", style="dim", markup=False)


def print_backtest(forecasts: PastForecasts, console: Console) -> None:
    """Print the forecast and the outcome of each past quarter.

    Parameters
    ----------
    forecasts : the past quarters.
    console : the terminal.
    """
    table = Table()
    for heading in ("quarter", "by", "due", "figure", "expected", "80% interval", "actual", ""):
        table.add_column(heading, justify="left" if heading in ("quarter", "by", "figure", "") else "right")
    for quarter in forecasts.quarters:
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
        inside, of = forecasts.coverage(name)
        if of:
            console.print(f"{words}: inside the interval in {inside} of {of}")
    for period, why in forecasts.skipped.items():
        console.print(f"note: {period} could not be forecast: {why}", style="dim", markup=False)


def _form(name: str) -> Any:
    if name in _SHARES:
        return percent
    return (lambda value: number(value, 1)) if name == "renewed_accounts" else money


def _division(parts: Sequence[Mapping[str, Any]], name: str) -> Table:
    shown = [part for part in parts if part["accounts"] or part["overdue_accounts"]]
    rows = []
    for part in shown:
        renewed, grr, nrr = part["renewed_arr"], part["grr"], part["nrr"]
        rows.append(
            {
                name: Text(part[name] or "(none)"),
                "due": f"{part['accounts']:,}",
                "ARR due": money(part["arr"]),
                "renewed ARR": "" if renewed is None else money(renewed["expected"]),
                "80% interval": "" if renewed is None else " to ".join(map(money, renewed["interval"])),
                "GRR": "" if grr is None else percent(grr["expected"]),
                "NRR": "" if nrr is None else percent(nrr["expected"]),
                "overdue": f"{part['overdue_accounts']:,}" if part["overdue_accounts"] else "",
            }
        )
    return _table(rows, Table(gap=1), (name,), no_wrap=True)


def _accounts(rows: Sequence[Mapping[str, Any]]) -> Table:
    first = rows[:MAXIMUM_ACCOUNTS]
    count = f"{len(first)} of {len(rows):,}; --out FILE writes all of them"
    forecast = any(row["churn_probability"] is not None for row in rows)
    what = "accounts with the largest expected loss" if forecast else "accounts due, largest first"
    cells = [
        {
            "account": Text(account_label(row["account_id"], row["name"])),
            "CSM": Text(row["csm"] or ""),
            "ARR": money(row["arr"]),
            "renews": day(row["renewal_at"])
            + (" overdue" if row["overdue"] else "")
            + (" notice given" if row["notice_at"] else ""),
            "churn by then": _share(row["churn_probability"], forecast) + _MARKS.get(row["method"], ""),
            "lost ARR": money(row["expected_lost_arr"]) if forecast else "",
            "expansion by then": _share(row["expansion_probability"], forecast),
            "health": row["health_band"].replace("_", " "),
        }
        for row in first
    ]
    table = _table(cells, Table(title=Text(f"{what} ({count})")), ("account", "CSM", "renews", "health"))
    if any(row["method"] in _MARKS for row in first):
        table.caption = Text("* with the renewal model", style="dim")
    return table


def _share(value: float | None, forecast: bool) -> str:
    return percent(value) if forecast else ""


def _table(rows: Sequence[Mapping[str, Any]], table: Table, left: Sequence[str], no_wrap: bool = False) -> Table:
    """Fill a table with the columns that have a value in some row."""
    columns = [name for name in (rows[0] if rows else ()) if any(str(row[name]) for row in rows)]
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", no_wrap=no_wrap)
    for row in rows:
        table.add_row(*(row[name] for name in columns))
    return table


def _print_bridge(bridge: Mapping[str, Any] | None, console: Console) -> None:
    """Print the steps from the portfolio's ARR at risk to the expected lost ARR."""
    if bridge is None:
        return
    outside = {"not_due": "not due in the period", "overdue": "overdue", "not_forecast": "not forecast"}
    less = "".join(f", less {money(bridge[name])} {label}" for name, label in outside.items() if round(bridge[name]))
    whole = f"ARR at risk within {bridge['horizon_days']} days, whole portfolio: {money(bridge['arr_at_risk'])}"
    until = f"{signed_money(bridge['until_renewal'])} for extending the horizon to the renewal"
    console.print(f"{whole}{less}, {until}: {money(bridge['expected_lost_arr'])} lost ARR")


def _print_past(past: Mapping[str, Any] | None, console: Console) -> None:
    if past is None:
        return
    counted = [c for c in past["coverage"] if c["figure"] in BACKTEST_FIGURES and c["of"]]
    words = ", ".join(f"{_FIGURES[c['figure']]} in {c['inside']} of {c['of']}" for c in counted)
    console.print(f"past quarters, backtested on {day(past['made_at'])}: inside the 80% interval: {words}")
