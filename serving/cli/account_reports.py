"""Commands that write a report about one account: `qbr`, `plan`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.utils.cli import AsJson, AsOf, Engine, RubricName, SignalsArgument, progress_bar, write_result
from features.utils.progress import Progress, subprogress
from serving.cli.context import open_home_signals, selected_champion

if TYPE_CHECKING:
    from features.utils.periods import Period
    from serving.account_reports.account_facts import AccountFacts

app = typer.Typer()

AccountText = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The account's id, its name, or the name's beginning.")
]
Folder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write an HTML page and a JSON file to this folder.")
]


@app.command()
def qbr(
    signals: SignalsArgument,
    account: AccountText,
    quarter: Annotated[str, typer.Option(metavar="QUARTER", help="Calendar quarter (UTC), such as 2026Q3.")],
    out: Folder = None,
    rubric: RubricName = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Write one account's business review: partnership, goals, usage, value, support, health, risk, expansion and open
    questions. Missing information is listed."""
    from features.utils.periods import Quarter
    from serving.account_reports.business_review import build_review

    asked = Quarter.parse(quarter)
    with progress_bar("reading") as tell:
        known = account_facts(signals, account, asked.period, None, rubric, engine, tell)
    _write_report(build_review(known, asked.period, asked.name), f"qbr-{asked.name}", out, as_json)


@app.command()
def plan(
    signals: SignalsArgument,
    account: AccountText,
    as_of: AsOf = None,
    out: Folder = None,
    rubric: RubricName = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Write one account's plan: goals, stakeholders, risks, plays and milestones. Missing information is listed.

    An account at risk gets a save plan, any other account a success plan."""
    from features.sources.cutoff import cutoff_of
    from features.utils.periods import period_ending
    from serving.account_reports.success_plan import build_plan

    instant = cutoff_of(signals, as_of)
    with progress_bar("reading") as tell:
        known = account_facts(signals, account, period_ending(instant, "year"), instant, rubric, engine, tell)
    payload = build_plan(known)
    _write_report(payload, f"{payload['kind']}-plan-{payload['as_of'][:10]}", out, as_json)


def account_facts(
    signals: str, account: str, period: Period, as_of: datetime | None, rubric: str | None, engine: str, tell: Progress
) -> AccountFacts:
    """Collect the facts about one account at ``as_of``, by default at the end of the period or of the data."""
    from models.home import current_home
    from serving.account_reports.facts_from_signals import account_facts_from_signals, report_instant

    opened = open_home_signals(signals, as_of or period.end, engine, subprogress(tell, 0.0, 0.4))
    champion = selected_champion(rubric).for_signals(opened)
    at = as_of or report_instant(opened, period)
    return account_facts_from_signals(
        opened, account, period, at, current_home(), champion, subprogress(tell, 0.4, 1.0)
    )


def _write_report(payload: dict[str, Any], name: str, out: Path | None, as_json: bool) -> None:
    from serving.account_reports.html import report_page, write_report
    from serving.cli.tables.account_reports import print_account_report

    def write(folder: Path) -> str:
        return "\n".join(map(str, write_report(payload, report_page(payload), folder, name)))

    write_result(as_json, lambda: payload, lambda console: print_account_report(payload, console), out, write)
