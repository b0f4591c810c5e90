"""Commands that write a document of one account: `qbr`, `plan`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.utils.cli import AsJson, AsOf, Engine, RubricName, SignalsArgument, progress_bar, write_result
from features.utils.progress import Progress, subprogress
from serving.cli.context import champion_at_hand, signals_at_hand

if TYPE_CHECKING:
    from features.utils.periods import Period
    from serving.account_reports.account_facts import Known

app = typer.Typer()

AccountId = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its account_id.")]
Folder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write the page and the JSON into this folder.")
]


@app.command()
def qbr(
    signals: SignalsArgument,
    account: AccountId,
    quarter: Annotated[str, typer.Option(metavar="QUARTER", help="Of the calendar (UTC), such as 2026Q3.")],
    out: Folder = None,
    rubric: RubricName = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """One account's business review: partnership, goals, use, value, support, health and risk, expansion, open
    questions; what is not known is named."""
    from features.utils.periods import Quarter
    from serving.account_reports.business_review import review_told

    asked = Quarter.parse(quarter)
    with progress_bar("reading") as tell:
        known = _known(signals, account, asked.period, None, rubric, engine, tell)
    _pack(review_told(known, asked.period, asked.name), f"qbr-{asked.name}", out, as_json)


@app.command()
def plan(
    signals: SignalsArgument,
    account: AccountId,
    as_of: AsOf,
    out: Folder = None,
    rubric: RubricName = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """One account's plan: a save plan where it is at risk, else a success plan, with goals, stakeholders, risks and
    plays, milestones; what is not known is named."""
    from features.utils.dates import parse_instant
    from features.utils.periods import period_ending
    from serving.account_reports.success_plan import plan_told

    instant = parse_instant(as_of)
    with progress_bar("reading") as tell:
        known = _known(signals, account, period_ending(instant, "year"), instant, rubric, engine, tell)
    told = plan_told(known)
    _pack(told, f"{told['kind']}-plan-{told['as_of'][:10]}", out, as_json)


def _known(
    signals: str, account: str, period: Period, as_of: datetime | None, rubric: str | None, engine: str, tell: Progress
) -> Known:
    """What the signals say of one account; without ``as_of`` at the period's end, or as far as they go."""
    from models.home import current_home
    from serving.account_reports.facts_from_signals import known_from_signals, looked_at

    champion = champion_at_hand(rubric)
    opened = signals_at_hand(signals, as_of or period.end, engine, subprogress(tell, 0.0, 0.4))
    at = as_of or looked_at(opened, period)
    return known_from_signals(opened, account, period, at, current_home(), champion, subprogress(tell, 0.4, 1.0))


def _pack(told: dict[str, Any], name: str, out: Path | None, as_json: bool) -> None:
    from serving.account_reports.html import page, write_pack
    from serving.cli.tables.account_reports import print_pack

    def write(folder: Path) -> str:
        return "\n".join(map(str, write_pack(told, page(told), folder, name)))

    write_result(as_json, lambda: told, lambda console: print_pack(told, console), out, write)
