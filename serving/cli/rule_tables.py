"""Commands that assess the portfolio by the rules: `health`, `risks`, `expansions`, `onboarding`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.utils.cli import (
    AsJson,
    AsOf,
    Engine,
    OutFile,
    RubricName,
    SignalsArgument,
    print_note,
    progress_bar,
    write_result,
)
from serving.cli.context import assess_signals, frame_writer, open_store, selected_champion
from serving.cli.filter_options import NO_OPTIONS, Chosen, filter_options, select_from_signals

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from models.predictions.assessment import Assessment
    from serving.snapshots.account_attributes import AccountSelection

app = typer.Typer()


@app.command()
@filter_options
def health(
    signals: SignalsArgument,
    as_of: AsOf = None,
    rubric: RubricName = None,
    account: Annotated[
        str | None,
        typer.Option(
            metavar="ACCOUNT",
            help="Show how the score of one account is calculated: its id, its name, or the name's beginning.",
        ),
    ] = None,
    disagreements: Annotated[
        bool,
        typer.Option(
            "--disagreements", help="Show only accounts for which model and health score disagree, largest gap first."
        ),
    ] = False,
    out: OutFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """Show the health scores of all accounts, lowest first, or the calculation of one account's score."""
    from features.errors import BadRequest
    from models.predictions.account_lookup import find_account
    from models.predictions.payload import account_answer, account_row
    from models.predictions.table_export import plain_rows
    from serving.cli.tables.rules import DISAGREEMENTS, HEALTH, print_account
    from serving.portfolio.rule_tables import disagreements_board, health_board

    if account is not None and only:
        raise BadRequest(
            "--account cannot be combined with a filter", "only one of them", f"leave out --{next(iter(only))}"
        )
    found, selection = _assess(signals, as_of, engine, rubric, out, only)
    if account is None and disagreements:
        words = "model and health score disagree"
        _show(found, selection, disagreements_board(found), DISAGREEMENTS, words, out, as_json)
        return
    if account is None:
        _show(found, selection, health_board(found), HEALTH, "health", out, as_json)
        return
    account = find_account(account, found.known_names, found.places)
    row = account_row(found, account)
    parts = found.health.breakdown(row)
    write_result(
        as_json,
        lambda: account_answer(found, account, scored_at=datetime.now(UTC)) | {"breakdown": plain_rows(parts)},
        lambda console: print_account(found, row, console),
        out,
        frame_writer(parts),
    )


def _view(name: str, words: str) -> None:
    """Add a command that shows one table of the rules."""

    def command(
        signals: SignalsArgument,
        as_of: AsOf = None,
        rubric: RubricName = None,
        out: OutFile = None,
        engine: Engine = "duckdb",
        as_json: AsJson = False,
        only: Chosen = NO_OPTIONS,
    ) -> None:
        from serving.cli.tables.rules import VIEWS

        board, columns = VIEWS[name]
        found, selection = _assess(signals, as_of, engine, rubric, out, only)
        _show(found, selection, board(found), columns, name, out, as_json)

    app.command(name, help=words)(filter_options(command))


@app.command()
@filter_options
def risks(
    signals: SignalsArgument,
    as_of: AsOf = None,
    rubric: RubricName = None,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary", help="Print only shares: accounts with a play, executive plays, and plays at low risk."
        ),
    ] = False,
    out: OutFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """List the accounts that need attention: reasons, play, owner and due date, red and yellow accounts first.

    Accounts whose play is in progress, done or snoozed, and accounts in the control group, show no play."""
    from features.errors import BadRequest
    from features.signals.cutoff import cutoff_of
    from models.home import current_home
    from models.predictions.payload import format_instant
    from models.rules.intervention_table import interventions_from_signals
    from serving.cli.tables.rules import RISKS, print_summary
    from serving.portfolio.rule_tables import plays_summary, risks_board
    from serving.snapshots.snapshot_files import SnapshotFiles
    from serving.worklist.interventions import read_recorded_until_next

    if summary and out is not None:
        raise BadRequest(
            "--out and --summary cannot be combined", "only one of them", "use --summary --json to save the shares"
        )
    if summary and only:
        raise BadRequest(
            "--summary is of all accounts", "--summary without a filter", f"leave out --{next(iter(only))}"
        )
    if out is not None:
        from models.predictions.table_export import suffix_of

        suffix_of(out)
    instant, store = cutoff_of(signals, as_of, engine), open_store()
    with progress_bar("assessing the portfolio") as tell:
        champion = selected_champion(rubric)
        opened, found = assess_signals(signals, instant, engine, champion, tell)
        selection = select_from_signals(only, opened, instant, found, champion)
        known = read_recorded_until_next(store, SnapshotFiles(current_home()), frozenset(found.account_ids), instant)
        standing = known.standing(interventions_from_signals(opened, instant), instant)
    if summary:
        payload = {"as_of": format_instant(found.as_of), **plays_summary(found, standing)}
        write_result(as_json, lambda: payload, lambda console: print_summary(payload, console))
    else:
        _show(found, selection, risks_board(found, standing), RISKS, "risks", out, as_json)


_view(
    "expansions",
    "List the accounts that are ready to expand: signs, points, and each condition of the gate. Only accounts with "
    "green health are proposed.",
)
_view("onboarding", "List the accounts in onboarding, the steps that are overdue, and what to do.")


def _assess(
    signals: str, as_of: str | None, engine: str, rubric: str | None, out: Path | None, only: Chosen
) -> tuple[Assessment, AccountSelection]:
    """Assess the portfolio by the rules and, if there is one, the champion, and select the accounts of the filter."""
    from features.signals.cutoff import cutoff_of
    from models.predictions.table_export import suffix_of

    if out is not None:
        # Check the file type first, since the assessment takes a while.
        suffix_of(out)
    instant = cutoff_of(signals, as_of, engine)
    with progress_bar("assessing the portfolio") as tell:
        champion = selected_champion(rubric)
        opened, found = assess_signals(signals, instant, engine, champion, tell)
        return found, select_from_signals(only, opened, instant, found, champion)


def _show(
    found: Assessment,
    selection: AccountSelection,
    board: pd.DataFrame,
    columns: Mapping[str, str],
    what: str,
    out: Path | None,
    as_json: bool,
) -> None:
    from features.utils.formatting import count_of, moment
    from models.predictions.payload import format_instant
    from models.predictions.table_export import plain_rows
    from serving.cli.tables.applied_filter import print_filter
    from serving.cli.tables.rules import print_rule_table
    from serving.portfolio.rule_tables import no_score_note

    if note := no_score_note(found):
        print_note(note)
    if not selection.whole:
        board = board[[selection.includes(account) for account in board["account_id"]]].reset_index(drop=True)
    at, rubric = format_instant(found.as_of), found.health.rubric.name
    title = f"{what} as of {moment(at)}, by {rubric}: {count_of(len(board), 'account')}"
    about = {
        "as_of": at,
        "rubric": rubric,
        "rules": dict(found.rule_results.versions),
        "filter": selection.account_filter.applied,
    }

    def show(console: Console) -> None:
        print_filter(about, console)
        print_rule_table(board, columns, title, console)

    write_result(
        as_json,
        lambda: about | {"accounts": plain_rows(board)},
        show,
        out,
        frame_writer(board),
    )
