"""Commands that write a report about one account: `qbr`, `plan`."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from features.utils.cli import AsJson, AsOf, Engine, RubricName, SignalsArgument, progress_bar, write_result
from features.utils.progress import Progress, subprogress
from serving.account_reports.editions import Edition
from serving.cli.context import open_home_signals, selected_champion

if TYPE_CHECKING:
    from features.utils.periods import Period
    from serving.account_reports.account_facts import AccountFacts

app = typer.Typer()

AccountText = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The account's id, its name, or the name's beginning.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Write an HTML page, a presentation and a JSON file to this folder."),
]
EditionName = Annotated[
    Edition,
    typer.Option("--edition", help="internal: for the account team; customer: to send, without anything internal."),
]


MeetingDate = Annotated[
    str | None,
    typer.Option(
        "--meeting-date",
        metavar="DATE",
        help="Of the business review: when it is held. Days for actions count from it, and the next review follows it.",
    ),
]


@app.command()
def qbr(
    signals: SignalsArgument,
    account: AccountText,
    quarter: Annotated[str, typer.Option(metavar="QUARTER", help="Calendar quarter (UTC), such as 2026Q3.")],
    edition: EditionName = "internal",
    meeting_date: MeetingDate = None,
    out: Folder = None,
    rubric: RubricName = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Write one account's business review: summary, agenda, people, goals, metrics with target, trend and peers, value,
    support, roadmap, next goals and actions. The internal edition also has health, risk, expansion, plays and open
    questions, and lists what is missing."""
    from features.utils.periods import Quarter
    from serving.account_reports.business_review import build_review

    asked, meeting = Quarter.parse(quarter), parse_meeting_date(meeting_date)
    with progress_bar("reading") as tell:
        known = account_facts(signals, account, asked.period, None, rubric, engine, tell)
    _write_report(build_review(known, asked.period, asked.name, meeting), edition, f"qbr-{asked.name}", out, as_json)


@app.command()
def plan(
    signals: SignalsArgument,
    account: AccountText,
    as_of: AsOf = None,
    edition: EditionName = "internal",
    out: Folder = None,
    rubric: RubricName = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Write one account's plan: goals, stakeholders, and milestones with owners on both sides. An account that is being
    onboarded has the table of its first 14 days and a plan of 30, 60 and 90 days.

    In the internal edition an account at risk gets a save plan, with risks and plays, and missing information is
    listed. Any other account gets a success plan, and so does every customer in the edition to send."""
    from features.signals.cutoff import cutoff_of
    from features.utils.periods import period_ending
    from serving.account_reports.success_plan import build_plan

    instant = cutoff_of(signals, as_of, engine)
    with progress_bar("reading") as tell:
        known = account_facts(signals, account, period_ending(instant, "year"), instant, rubric, engine, tell)
    _write_report(build_plan(known), edition, "plan", out, as_json)


def parse_meeting_date(text: str | None) -> date | None:
    """Return the date of the meeting that `MeetingDate` gives.

    Raises
    ------
    BadRequest : it is not a date.
    """
    from features.errors import BadRequest

    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise BadRequest(
            "--meeting-date is not a date", "a date such as 2026-10-08", "correct --meeting-date"
        ) from None


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


def _write_report(report: dict[str, Any], edition: Edition, name: str, out: Path | None, as_json: bool) -> None:
    from serving.account_reports.editions import edition_of
    from serving.account_reports.html import write_report
    from serving.cli.tables.account_reports import print_account_report
    from serving.presentations.report_files import ReportForm, report_file

    payload = edition_of(report, edition)
    if payload["document"] == "plan":
        name = f"{payload['kind']}-plan-{payload['as_of'][:10]}"
    name += "" if edition == "internal" else f"-{edition}"

    def write(folder: Path) -> str:
        files = {form: report_file(payload, form) for form in get_args(ReportForm)}
        return "\n".join(map(str, write_report(payload, files, folder, name)))

    write_result(as_json, lambda: payload, lambda console: print_account_report(payload, console), out, write)
