"""Terminal output of portfolio KPIs and cohort retention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import Table
from features.utils.formatting import (
    MINUS,
    account_label,
    and_list,
    count_of,
    day,
    in_unit,
    moment,
    money,
    number,
    percent,
    short_money,
    signed,
)
from serving.cli.tables.applied_filter import print_filter
from serving.portfolio.portfolio_groups import NO_GROUP
from serving.schemas.divisions import Division

BOUNDS = {"above": "> ", "at_least": "≥ ", "below": "< "}
SEGMENT_KPIS = (
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
"""The KPIs shown by segment."""
HOLDING_KPIS = ("nrr", "grr")
"""The KPIs shown by CSM, region, parent company and product."""
GROUPS = 10
"""Maximum number of groups shown."""
DIVISION_NAMES: Mapping[Division, str] = {
    "segment": "segments", "csm": "CSMs", "region": "regions", "parent": "parent companies", "product": "products",
}  # fmt: skip
SPANS = {"year": "the trailing twelve months", "quarter": "the quarter", "month": "the month"}
ADVOCATES = 10
"""Maximum number of advocates shown."""
WIDE_TERMINAL = 120
"""Numerators and denominators are shown from this terminal width."""


def print_kpis(payload: Mapping[str, Any], console: Console, by: Division | None = None) -> None:
    """Print all KPIs, some of them by group, and the first advocates.

    Parameters
    ----------
    payload : the KPIs (`serving.portfolio.kpi_schemas.PortfolioKpis`), and ``groups`` of each breakdown
        (`serving.portfolio.portfolio_groups.portfolio_groups`).
    console : the terminal.
    by : the breakdown to print. Default: segment, and parent and product if the source has them.
    """
    period = payload["period"]
    span = SPANS.get(period["name"], period["name"])
    title = (
        f"portfolio as of {moment(payload['as_of'])}: {span} from {moment(period['start'])}, compared with the period "
        "before"
    )
    parts = console.width >= WIDE_TERMINAL
    print_filter(payload, console)
    console.print(_kpi_table(payload, title, parts))
    for m in () if parts else payload["measures"]:
        if m["unknown"] is not None:
            console.print(Text(f"{m['title']}: unknown, {m['unknown']}", style="dim"))
    for line in _left_out(payload["measures"], parts):
        console.print(Text(line, style="dim"))
    divisions: tuple[Division, ...] = ("segment", "parent", "product") if by is None else (by,)
    for division in divisions:
        if division == "segment":
            console.print(_segments(payload))
        if by is not None or division == "segment" or any(g["group"] is not None for g in payload["by"][division]):
            console.print(_groups(payload, division))
    names = [
        f"{account_label(a['account_id'], a['name'])}: NPS {a['nps']:g}, health {a['health']:g}"
        for a in payload["advocates"][:ADVOCATES]
    ]
    more = len(payload["advocates"]) - len(names)
    console.print(Text("advocates  " + ("; ".join(names) or "none") + (f" and {more} more" if more else "")))
    if not payload["contractual"]:
        console.print(Text("no contracts: ARR is the order volume of a year", style="dim"))


def print_kpi_trend(payload: Mapping[str, Any], console: Console) -> None:
    """Print the KPIs at the latest dates, as many as the terminal is wide.

    Parameters
    ----------
    payload : the trend (`serving.portfolio.kpi_trend.KpiTrend`).
    console : the terminal.
    """
    measures, dates = payload["measures"], payload["dates"]
    titles = max(len(each["title"]) for each in measures)
    rows = [[_cell(each, {"value": value}) for value in each["values"]] for each in measures]
    headings = [day(date) for date in dates]
    width = max(len(text) for row in [headings, *rows] for text in row) + 1
    shown = max(1, (console.width - titles) // width)
    print_filter(payload, console)
    some = f"{min(shown, len(dates))} of {count_of(len(dates), 'published date')}"
    title = f"KPIs at {some}; each {payload['period']} ends at its date"
    table = Table(title=Text(title), gap=1)
    table.add_column("KPI", no_wrap=True)
    for heading in headings[-shown:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for each, row in zip(measures, rows, strict=True):
        table.add_row(each["title"], *row[-shown:])
    console.print(table)


def change_cell(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Return the change of a KPI in a period and its style: green if better, red if worse.

    Changes of shares are in percentage points.
    """
    value, last = payload["value"], payload["last"]["value"]
    if value is None or last is None:
        return "", ""
    by = (value - last) * (100.0 if payload["unit"] == "share" else 1.0)
    digits = 0 if payload["unit"] in ("currency", "accounts", "days") else 1
    if round(by, digits) == 0:
        return "=", "dim"
    text = f"{'+' if by > 0 else MINUS}{short_money(abs(by))}" if payload["unit"] == "currency" else signed(by, digits)
    if payload["better"] is None:
        return text, ""
    return text, "green" if (by > 0) == (payload["better"] == "higher") else "red"


def target_cell(payload: Mapping[str, Any], whole: bool = True) -> str:
    """Return the target of a KPI as text.

    Parameters
    ----------
    payload : one KPI (`serving.portfolio.kpi_schemas.KpiResponse`).
    whole : whether to add the more ambitious target.

    Returns
    -------
    str
        Empty if there is no target.
    """
    aim = payload["target"]
    if aim is None:
        return ""
    better = "" if aim["better"] is None or not whole else f" (better {in_unit(aim['better'], payload['unit'])})"
    return BOUNDS[aim["bound"]] + in_unit(aim["value"], payload["unit"]) + better


def _kpi_table(payload: Mapping[str, Any], title: str, parts: bool) -> Table:
    quarter = any(m["quarter"] is not None for m in payload["measures"])
    headings = ["KPI", "value", *(["quarter"] if quarter else []), "last", "change", "target"]
    headings += ["numerator", "denominator", "left out"] if parts else []
    rows: list[list[Text]] = []
    for m in payload["measures"]:
        defined, (moved, moved_style) = m["unknown"] is None, change_cell(m)
        rows.append(
            [
                Text(m["title"]),
                Text(_cell(m, m), style={True: "green", False: "red", None: ""}[m["met"]]),
                *([Text(_cell(m, m["quarter"]) if m["quarter"] else "")] if quarter else []),
                Text(_cell(m, m["last"])),
                Text(moved, style=moved_style),
                Text(target_cell(m, parts)),
                *(map(Text, _composition(m)) if parts and defined else ()),
                *([Text(f"unknown: {m['unknown']}", style="dim")] if parts and not defined else ()),
            ]
        )
    table = Table(title=Text(title), gap=1)
    for place, heading in enumerate(headings):
        # In a narrow terminal, names are truncated before numbers.
        numbers = [
            len(row[place]) for row in rows if 0 < place < len(row) and not row[place].plain.startswith("unknown")
        ]
        width = max([len(heading), *numbers]) if place else None
        table.add_column(heading, justify="right" if place else "left", no_wrap=0 < place < 6, min_width=width)
    for row in rows:
        table.add_row(*row)
    return table


def _cell(m: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    return short_money(value["value"]) if m["unit"] == "currency" else in_unit(value["value"], m["unit"])


def _composition(m: Mapping[str, Any]) -> tuple[str, str, str]:
    below = "" if m["denominator"] is None else money(m["denominator"])
    return money(m["numerator"]), below, f"{m['left_out']:,}" if m["left_out"] else ""


def _left_out(measures: Sequence[Mapping[str, Any]], in_table: bool) -> list[str]:
    """Return a line for each number of accounts that values leave out.

    ``in_table`` is whether the table already shows those of the whole period.
    """
    titles: dict[tuple[int, str], list[str]] = {}
    for m in measures:
        for span, value in (("", None if in_table else m), (" in the last quarter", m["quarter"])):
            if m["over"] == "period" and value and value["value"] is not None and value["left_out"]:
                titles.setdefault((value["left_out"], span), []).append(m["title"])
    why = "their contracts ended within 30 days and may still be renewed, or their data are unknown"
    return [
        f"without {count_of(n, 'account')}{span}, because {why}: {and_list(names)}"
        for (n, span), names in titles.items()
    ]


def _segments(payload: Mapping[str, Any]) -> Table:
    units = {m["measure"]: m for m in payload["measures"]}
    table = Table(title=Text("by segment"), gap=1)
    table.add_column("segment")
    for code in SEGMENT_KPIS:
        table.add_column(code.replace("_", " "), justify="right")
    for group in payload["by"]["segment"]:
        values = {m["measure"]: m["value"] for m in group["measures"]}
        cells = (in_unit(values[code], units[code]["unit"]) for code in SEGMENT_KPIS)
        table.add_row(group["group"] or "unknown", *cells)
    return table


def _groups(payload: Mapping[str, Any], division: Division) -> Table:
    """Return the groups with the largest ARR: accounts, ARR, ARR at risk, retention, and the use of products."""
    kpis = {group["group"]: {m["measure"]: m for m in group["measures"]} for group in payload["by"][division]}
    units = {m["measure"]: m["unit"] for m in payload["measures"]}
    codes = () if division == "segment" else HOLDING_KPIS
    days = payload["horizon_days"]
    risk = "" if days is None else f", with the ARR at risk within {days} days"
    table = Table(title=Text(f"{DIVISION_NAMES[division]} by ARR{risk}"), gap=1)
    table.add_column(division, min_width=len(NO_GROUP["product"]))
    by_product = division == "product"
    headings = ["accounts", "ARR", "ARR at risk", *(() if by_product else ("churns",))]
    by_parent = any(group["parent_health"] is not None for group in payload["groups"][division])
    headings += [*codes, *(("users", "adoption", "unused") if by_product else ()), *(("health",) if by_parent else ())]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    groups = payload["groups"][division]
    named = [group for group in groups if group["group"] is not None][:GROUPS]
    for group in (*named, *(group for group in groups if group["group"] is None)):
        values = {code: m["value"] for code, m in kpis.get(group["group"], {}).items()}
        use = group["use"]
        table.add_row(
            Text(group["name"] or group["group"] or NO_GROUP[division]),
            f"{group['accounts']:,}",
            short_money(group["arr"]),
            short_money(group["expected_churned_arr"]),
            *(() if by_product else (number(group["expected_churned_accounts"], 1),)),
            *(in_unit(values.get(code), units[code]) for code in codes),
            *((_parent_health_cell(group),) if by_parent else ()),
            *(() if use is None else _use_cells(use)),
        )
    if more := sum(group["group"] is not None for group in groups) - len(named):
        table.caption = Text(f"{more:,} more; --json has all of them", style="dim")
    return table


def _parent_health_cell(group: Mapping[str, Any]) -> str:
    """Return the health of a parent by the rule of the rubric."""
    health = group["parent_health"]
    if health is None:
        return ""
    return "–" if health["score"] is None else f"{health['band']} {number(health['score'], 1)}"


def _use_cells(use: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return users, adoption and unused accounts of a product."""
    unused = "–" if use["active_users"] is None else f"{use['unused_accounts']:,}"
    return number(use["active_users"], 0), percent(use["adoption"], 0), unused


def print_cohorts(payload: Mapping[str, Any], console: Console) -> None:
    """Print retention by cohort (accounts and ARR) and the lifetimes of the segments.

    Parameters
    ----------
    payload : what `renewcast cohorts --json` prints: ``retention`` and ``lifetime``.
    console : the terminal.
    """
    print_filter(payload, console)
    retention, life = payload["retention"], payload["lifetime"]
    if retention is None:
        console.print(Text(f"retention by start quarter: {payload['retention_unknown']}", style="dim"))
    else:
        _print_retention(retention, console)
    title = f"lifetime within {life['limit_years']:g} years, and its value at a margin of {percent(life['margin'], 0)}"
    table = Table(title=Text(title), gap=1)
    table.add_column("segment")
    for heading in ("accounts", "mean years", "value"):
        table.add_column(heading, justify="right")
    for name, group in (*life["by_segment"].items(), ("all", life["whole"])):
        years = number(group["lifetime_years"], 1)
        table.add_row(name, f"{group['accounts']:,}", years, in_unit(group["value"], "currency"))
    console.print(table)
    left = f"; unknown for {count_of(life['unknown'], 'account')}" if life["unknown"] else ""
    console.print(Text(f"assumed: {life['assumption']}{left}", style="dim"))


def _print_retention(retention: Mapping[str, Any], console: Console) -> None:
    title = f"accounts (and ARR) retained as of {moment(retention['as_of'])}, by start quarter"
    table = Table(title=Text(title), gap=1)
    table.add_column("start")
    for heading in ("accounts", "lost", *(f"{months} months" for months in retention["ages"])):
        table.add_column(heading, justify="right", no_wrap=True)
    for cohort in (*retention["cohorts"], retention["whole"]):
        cells = (_retention_cell(age) for age in cohort["ages"])
        table.add_row(cohort["cohort"] or "all", f"{cohort['accounts']:,}", f"{cohort['lost']:,}", *cells)
    console.print(table)
    for age in retention["whole"]["ages"]:
        if age["low"] is not None:
            span = f"{percent(age['low'])} to {percent(age['high'])}"
            retained = f"{percent(age['logos'])} of accounts, {percent(retention['level'], 0)} interval {span}"
            console.print(f"all after {age['months']} months: {retained}")
    if retention.get("arr_unknown"):
        console.print(Text(f"ARR: {retention['arr_unknown']}", style="dim"))
    console.print(Text(f"assumed: {retention['assumption']}", style="dim"))


def _retention_cell(age: Mapping[str, Any]) -> str:
    if age["logos"] is None:
        return "–"
    return percent(age["logos"], 0) + ("" if age["arr"] is None else f" ({percent(age['arr'], 0)})")
