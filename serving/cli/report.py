"""`report`: presentations for leadership and for customers."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from features.utils.cli import AsOf, Engine, RubricName, SignalsArgument, progress_bar
from features.utils.progress import subprogress
from serving.cli.account_reports import MeetingDate, account_facts, parse_meeting_date
from serving.cli.context import assess_signals, open_store, selected_champion
from serving.cli.filter_options import NO_OPTIONS, Chosen, filter_options, select_for_kpis

app = typer.Typer()


@app.command()
@filter_options
def report(
    signals: SignalsArgument,
    pptx: Annotated[Path, typer.Option("--pptx", metavar="FILE", help="Write the presentation to a .pptx file.")],
    as_of: AsOf = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            metavar="ACCOUNT",
            help="The business review of this account: its id, its name, or the name's beginning.",
        ),
    ] = None,
    quarter: Annotated[
        str | None,
        typer.Option(
            metavar="QUARTER",
            help="Of the business review: a calendar quarter (UTC), such as 2026Q3 (default: that of --as-of).",
        ),
    ] = None,
    meeting_date: MeetingDate = None,
    internal: Annotated[
        bool,
        typer.Option(
            "--internal",
            help="Of the business review: the edition for the account team, with risk, expansion, questions and gaps.",
        ),
    ] = False,
    rubric: RubricName = None,
    engine: Engine = "duckdb",
    only: Chosen = NO_OPTIONS,
) -> None:
    """Write a presentation: the portfolio for leadership, or one account's business review.

    The portfolio has KPIs, retention, the bridge of ARR, health, top risks, the renewal forecast, expansion, segments,
    capacity of CSMs and unit economics, of all accounts or of those of a filter. A review has no internal sections,
    unless --internal is given. Charts and tables can be edited, and speaker notes name the sources."""
    from features.errors import BadRequest

    if pptx.suffix != ".pptx":
        raise BadRequest(f"{pptx} is not a .pptx file", "a file that ends with .pptx", "choose another name")
    of_review = {"--quarter": quarter is not None, "--meeting-date": meeting_date is not None, "--internal": internal}
    if account is None and any(of_review.values()):
        option = next(name for name, given in of_review.items() if given)
        raise BadRequest(f"{option} without an account", "--account ACCOUNT", f"add --account, or leave out {option}")
    if account is not None and only:
        raise BadRequest("--account with a filter", "one of them", "leave out --account or the filter")
    if account is None:
        slides = _write_portfolio(signals, as_of, rubric, engine, pptx, only)
    else:
        meeting = parse_meeting_date(meeting_date)
        slides = _write_review(signals, as_of, account, quarter, meeting, internal, rubric, engine, pptx)
    typer.echo(f"{slides} slides in {pptx}")


def _write_portfolio(signals: str, as_of: str | None, rubric: str | None, engine: str, out: Path, only: Chosen) -> int:
    from features.signals.cutoff import cutoff_of
    from models.home import current_home
    from models.rules.intervention_table import interventions_from_signals
    from serving.presentations.leadership import leadership_deck
    from serving.presentations.leadership_figures import leadership_figures
    from serving.snapshots.snapshot_files import SnapshotFiles
    from serving.worklist.interventions import read_recorded_until_next

    instant, store, home = cutoff_of(signals, as_of, engine), open_store(), current_home().require_own()
    champion = selected_champion(rubric)
    with progress_bar("assessing the portfolio") as tell:
        opened, found = assess_signals(signals, instant, engine, champion, subprogress(tell, 0.0, 0.5))
        recorded = read_recorded_until_next(store, SnapshotFiles(home), frozenset(found.account_ids), instant)
        work = recorded.standing(interventions_from_signals(opened, instant), instant)
        selection, kept = select_for_kpis(only, opened, instant, found, champion)
        figures = leadership_figures(opened, found, home, champion, work, subprogress(tell, 0.5, 1.0), selection, kept)
    return leadership_deck(figures).save(out)


def _write_review(
    signals: str,
    as_of: str | None,
    account: str,
    quarter: str | None,
    meeting: date | None,
    internal: bool,
    rubric: str | None,
    engine: str,
    out: Path,
) -> int:
    from features.errors import BadRequest
    from features.signals.cutoff import cutoff_of
    from features.utils.periods import Quarter
    from serving.account_reports.business_review import build_review
    from serving.account_reports.editions import edition_of
    from serving.account_reports.schemas import quarter_name
    from serving.presentations.account_report import report_deck

    instant = None if as_of is None and quarter is not None else cutoff_of(signals, as_of, engine)
    asked = Quarter.parse(quarter or quarter_name(instant))  # type: ignore[arg-type]
    if instant is not None and not asked.start < instant <= asked.end:
        raise BadRequest(
            f"--as-of is not in {asked.name}", "an instant in the quarter", "leave out --as-of or --quarter"
        )
    with progress_bar("reading") as tell:
        facts = account_facts(signals, account, asked.period, instant, rubric, engine, tell)
    review = build_review(facts, asked.period, asked.name, meeting)
    return report_deck(edition_of(review, "internal" if internal else "customer")).save(out)
