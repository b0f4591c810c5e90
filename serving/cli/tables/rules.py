"""Terminal output of the tables that the rules produce."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from features.utils.console import Table, labeled_rows, one_line
from features.utils.formatting import account_label, count_of, day, moment, money, percent, signed
from features.utils.printable import printable_line
from models.explain.reason_text import value_words
from models.predictions.assessment import Assessment
from serving.portfolio.rule_tables import expansions_board, onboarding_board, risks_board

MAXIMUM_ROWS = 40
"""Maximum number of rows shown; --out writes all of them."""
MINIMUM_TEXT_WIDTH = 14
"""Minimum width of text columns."""
STYLES = {"red": "red", "yellow": "yellow", "green": "green", "high": "red", "medium": "yellow", "low": "green"}
SPARKS = "▁▂▃▄▅▆▇█"

_ACCOUNT = {"account_id": "account", "name": "name"}
#: The columns of each table, and their headings.
HEALTH = {
    **_ACCOUNT, "segment": "segment", "arr": "ARR", "health_score": "score", "health_band": "band",
    "change_7d": "7 days", "coverage": "data", "weakest": "weakest", "churn_probability": "churn",
    "meant_churn": "past churn", "agreement": "model", "alerts": "alerts",
}  # fmt: skip
DISAGREEMENTS = {
    **_ACCOUNT, "arr": "ARR", "health_score": "health", "health_band": "band",
    "meant_churn": "past churn", "churn_probability": "model", "churn_band": "model's band", "gap": "gap",
    "explained_by": "explained by",
}  # fmt: skip
RISKS = {
    **_ACCOUNT, "arr": "ARR", "health_score": "health", "health_band": "band",
    "churn_probability": "churn", "days_to_renewal": "renews", "due": "act by", "by": "who", "why": "why",
    "play": "play", "work": "work",
}  # fmt: skip
EXPANSIONS = {
    **_ACCOUNT, "arr": "ARR", "health_band": "band", "proposed": "proposed", "points": "points",
    "type": "type", "expansion_probability": "chance", "signs": "signs", "closed_by": "blocked by",
    "find_out": "to verify", "withdrawn": "withdrawn",
}  # fmt: skip
ONBOARDING = {
    **_ACCOUNT, "segment": "segment", "arr": "ARR", "day": "day", "missed": "missed", "act": "action",
    "days_to_first_value": "first value", "late": "late",
}  # fmt: skip
VIEWS = {
    "risks": (risks_board, RISKS),
    "expansions": (expansions_board, EXPANSIONS),
    "onboarding": (onboarding_board, ONBOARDING),
}
"""The tables that have a command, with their columns."""
_MONEY, _DATES = {"arr"}, {"due"}
_SHARES = {"coverage", "churn_probability", "expansion_probability", "meant_churn", "gap"}
_WIDE = {"why", "play", "signs", "alerts", "missed", "act", "closed_by", "find_out", "withdrawn"}
_FOLDED = _WIDE | {"name"}
"""Columns that take several lines where space is short. The name always stays next to the account."""
_AGREEMENT = {"agree": "agrees", "model_worse": "worse", "model_better": "better"}
"""How the model rates an account compared with the health score."""
_INDENT = 4
"""Indentation of what is printed below a row."""
_LABEL_WIDTH = 8
_CODES = {"signs", "closed_by", "find_out", "weakest", "by", "work"}


def print_rule_table(board: pd.DataFrame, columns: Mapping[str, str], title: str, console: Console) -> None:
    """Print the first rows of a table, and the number of remaining rows.

    Parameters
    ----------
    board : the rows, sorted.
    columns : the columns to print, with their headings.
    title : the title above the table.
    console : the terminal.
    """
    first = board.head(MAXIMUM_ROWS)
    # An account that is identified by its name has no other one.
    first = first.assign(name=first["name"].where(first["name"] != first["account_id"], None))
    rows = [{name: _cell(name, row[name]) for name in columns} for row in first.to_dict("records")]
    # Empty columns would only take space from the others.
    shown = [name for name in columns if any(row[name].plain for row in rows)]
    cells = {name: max((row[name].cell_len for row in rows), default=0) for name in shown}
    fitting, widths = _layout({name: columns[name] for name in shown}, cells, console.width)
    below = [name for name in shown if name not in fitting]

    def new_table(**settings: Any) -> Table:
        table = Table(gap=1, pad_edge=False, **settings)
        for name in fitting:
            numeric = pd.api.types.is_numeric_dtype(board[name]) and not pd.api.types.is_bool_dtype(board[name])
            heading = Group(*columns[name].split()) if widths[name] < len(columns[name]) else columns[name]
            table.add_column(heading, justify="right" if numeric else "left", min_width=widths[name])
            if name not in _FOLDED:
                table.columns[-1].max_width = widths[name]
        return table

    console.print(one_line(Text(title, style="bold")))
    table = new_table()
    for row in rows:
        table.add_row(*(row[name] for name in fitting))
        if notes := [(f"{columns[name]}:", row[name]) for name in below if row[name].plain]:
            console.print(table)
            console.print(Padding(labeled_rows(notes), (0, 0, 0, _INDENT)))
            table = new_table(show_header=False)
    if table.rows:
        console.print(table)
    if not len(board):
        console.print("none")
    if len(board) > MAXIMUM_ROWS:
        console.print(f"and {len(board) - MAXIMUM_ROWS:,} more; --out FILE writes all of them", style="dim")


def _layout(
    headings: Mapping[str, str], cells: Mapping[str, int], width: int
) -> tuple[Sequence[str], Mapping[str, int]]:
    """Return the columns that fit side by side in a terminal of this width, and their smallest widths.

    Headings of several words take several lines where that saves space. Columns that still do not fit are printed below
    their row: first those of long texts, then the last ones.
    """
    content = {name: min(cells[name], MINIMUM_TEXT_WIDTH) if name in _FOLDED else cells[name] for name in headings}
    widths = {name: max(len(heading), content[name]) for name, heading in headings.items()}
    fitting = list(headings)
    if _total(widths, fitting) > width:
        words = {name: max(map(len, heading.split())) for name, heading in headings.items()}
        widths = {name: max(words[name], content[name]) for name in headings}
    if _total(widths, fitting) > width:
        fitting = [name for name in fitting if name not in _WIDE]
    while _total(widths, fitting) > width and len(fitting) > 1:
        fitting.pop()
    return fitting, widths


def _total(widths: Mapping[str, int], names: Sequence[str]) -> int:
    return sum(widths[name] + 1 for name in names) - 1


SUMMARY = {
    "with_play": "with a play",
    "by_people": "of these, assigned to people (not automated)",
    "executive": "with an executive play",
    "low_churn": "with a play at low churn risk",
    "low_churn_save": "with a save play at low churn risk",
    "low_churn_executive": "with an executive play at low churn risk",
    "healthy_save": "with a save play without a reason (low risk, green, no high warning)",
    "proposed_save": "with a save play although an expansion is proposed",
    "overdue_at_publication": "overdue on the day of their first publication",
    "overdue": "overdue: past due and not done",
}


def print_summary(payload: Mapping[str, Any], console: Console) -> None:
    """Print the result of `plays_summary`."""
    console.print(
        Text(f"plays as of {moment(payload['as_of'])}: {count_of(payload['accounts'], 'account')}", style="bold")
    )
    table = Table(show_header=False)
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column()
    for name, words in SUMMARY.items():
        words += f" (capacity {payload['executive_capacity']:,})" if name == "executive" else ""
        table.add_row(f"{payload[name]['accounts']:,}", percent(payload[name]["share"]), words)
    console.print(table)
    for title, counts in (
        ("kinds", payload["kinds"]),
        ("who acts", payload["who"]),
        ("off the list", payload["off_the_list"]),
    ):
        if counts:
            console.print(f"{title}: " + ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items()))
    grown = payload["expansion"]
    console.print(f"expansion: {grown['proposed']:,} proposed, {grown['withdrawn']:,} withdrawn")


def print_account(assessment: Assessment, row: int, console: Console) -> None:
    """Print one account: the composition and history of its score, alerts, warnings and plays.

    Parameters
    ----------
    assessment : the assessed portfolio.
    row : the account's place in it.
    console : the terminal.
    """
    results, health = assessment.rule_results, assessment.health
    score, band = health.score.iloc[row], health.band.iloc[row]
    score_text = "no score: too little data" if pd.isna(score) else f"{score:g} of 100"
    account = account_label(assessment.account_ids[row], assessment.account_names[row])
    console.print(one_line(Text(f"{account} as of {moment(assessment.as_of)}", style="bold")))
    console.print(
        Text.assemble("health ", (f"{score_text}, {band}", STYLES.get(band, "")), f" by {health.rubric.name}")
    )
    if len(results.dates) > 1:
        console.print(f"by week  {spark(results.score[row])}  (oldest first)")
    table = Table()
    for heading, justify in (
        ("signal", "left"), ("value", "right"), ("grade", "left"), ("points", "right"), ("weight", "right"),
        ("adds", "right"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify, overflow="fold")
    dimension = None
    for part in health.breakdown(row).to_dict("records"):
        if part["dimension"] != dimension:
            dimension = part["dimension"]
            table.add_row(Text(dimension, style="bold"))
        graded = part["grade"] is not None and not pd.isna(part["points"])
        shown = [f"{part['points']:.1f}", f"{part['weight']:.2f}", f"{part['adds']:.2f}"] if graded else ["", "", ""]
        grade = Text(part["grade"], style=STYLES.get(part["grade"], "")) if graded else Text("no data", style="dim")
        value = "" if pd.isna(part["value"]) else value_words(part["value"], "")
        table.add_row(f"  {part['signal']}", value, grade, *shown)
    console.print(table)
    if lines := [*_findings(assessment, row), *_model_line(assessment, row)]:
        console.print(labeled_rows((label.ljust(_LABEL_WIDTH), text) for label, text in lines))


def _findings(assessment: Assessment, row: int) -> Iterator[tuple[str, str]]:
    """Return the alerts, warnings, missed onboarding steps and plays of an account, each with its label."""
    results = assessment.rule_results
    for alert in results.alerts[row]:
        when = "now" if alert.raised else f"since {moment(alert.since)}"
        yield "alert", f"{alert.says} ({when}; {alert.to})"
    for sign in results.warnings[row]:
        yield sign.standing, f"{sign.says} ({sign.severity}, since {moment(sign.since)})"
    for step in results.onboarding[row].missed:
        yield "missed", f"{step.says}: {step.act}"
    for play in results.plays_of(row):
        late = ", overdue" if play.overdue else ""
        why = ", ".join(code.replace("_", " ") for code in play.because)
        yield "play", f"{play.act} ({play.who}, by {day(play.due)}{late}; {why})"
    if (against := results.playbook.withdrawn[row]) is not None:
        yield "note", f"expansion is not proposed, although the gate and the model allow it: {against}"


def _model_line(assessment: Assessment, row: int) -> Iterator[tuple[str, str]]:
    """Return the churn probability of an account next to its health score, if there is one."""
    churn = assessment.target_scores["churn"]
    if pd.isna(churn.probability[row]):
        return
    words = {
        "agree": "agrees with the health score",
        "model_worse": "worse than the health score",
        "model_better": "better than the health score",
    }
    comparison = words.get(assessment.agreement[row], "no health score")
    assert churn.bundle is not None
    days = churn.bundle.manifest.horizon_days
    yield "model", f"{percent(churn.probability[row])} churn within {days} days, {churn.band[row]}: {comparison}"


def spark(scores: Any) -> str:
    """Return scores of 0 to 100 as a line of block characters, with a blank for each unknown score."""
    top = len(SPARKS) - 1
    return "".join(" " if pd.isna(s) else SPARKS[min(int(s / 100.0 * (top + 1)), top)] for s in scores)


def _cell(name: str, value: Any) -> Text:
    if value is None or pd.isna(value):
        return Text("")
    if name == "agreement":
        return Text(_AGREEMENT[value])
    if name in _DATES:
        return Text(day(value))
    if name in _MONEY:
        return Text(money(value))
    if name in _SHARES:
        return Text(f"{signed(100 * value)}%" if name == "gap" else percent(value, 0 if name == "coverage" else 1))
    if isinstance(value, bool):
        return Text("yes" if value else "no", style="green" if value else "dim")
    if isinstance(value, float):
        return Text(signed(value) if name == "change_7d" else f"{value:g}")
    text = printable_line(str(value).replace("_", " ") if name in _CODES else str(value))
    return Text(text, style=STYLES.get(text, ""))
