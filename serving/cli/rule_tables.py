"""Commands that assess the portfolio by the rules: `health`, `risks`, `expansions`, `onboarding`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.utils.cli import AsJson, AsOf, Engine, OutFile, RubricName, SignalsArgument, progress_bar, write_result
from serving.cli.context import assess_signals, frame_writer, open_store, selected_champion

if TYPE_CHECKING:
    import pandas as pd

    from models.predictions.assessment import Assessment

app = typer.Typer()


@app.command()
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
) -> None:
    """Show the health scores of all accounts, lowest first, or the calculation of one account's score."""
    from models.predictions.account_lookup import find_account
    from models.predictions.payload import account_answer, account_row
    from models.predictions.table_export import plain_rows
    from serving.cli.tables.rules import DISAGREEMENTS, HEALTH, print_account
    from serving.portfolio.rule_tables import disagreements_board, health_board

    found = _assess(signals, as_of, engine, rubric, out)
    if account is None and disagreements:
        _show(found, disagreements_board(found), DISAGREEMENTS, "model and health score disagree", out, as_json)
        return
    if account is None:
        _show(found, health_board(found), HEALTH, "health", out, as_json)
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
    ) -> None:
        from serving.cli.tables.rules import VIEWS

        board, columns = VIEWS[name]
        found = _assess(signals, as_of, engine, rubric, out)
        _show(found, board(found), columns, name, out, as_json)

    app.command(name, help=words)(command)


@app.command()
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
) -> None:
    """List the accounts that need attention: reasons, play, owner and due date, red and yellow accounts first.

    Accounts whose play is in progress, done or snoozed, and accounts in the control group, show no play."""
    from features.errors import BadRequest
    from features.sources.cutoff import cutoff_of
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
    if out is not None:
        from models.predictions.table_export import suffix_of

        suffix_of(out)
    instant, store = cutoff_of(signals, as_of), open_store()
    with progress_bar("assessing the portfolio") as tell:
        opened, found = assess_signals(signals, instant, engine, selected_champion(rubric), tell)
        known = read_recorded_until_next(store, SnapshotFiles(current_home()), frozenset(found.account_ids), instant)
        standing = known.standing(interventions_from_signals(opened, instant), instant)
    if summary:
        payload = {"as_of": format_instant(found.as_of), **plays_summary(found, standing)}
        write_result(as_json, lambda: payload, lambda console: print_summary(payload, console))
    else:
        _show(found, risks_board(found, standing), RISKS, "risks", out, as_json)


_view(
    "expansions",
    "List the accounts that are ready to expand: signs, points, and each condition of the gate. Only accounts with "
    "green health are proposed.",
)
_view("onboarding", "List the accounts in onboarding, the steps that are overdue, and what to do.")


def _assess(signals: str, as_of: str | None, engine: str, rubric: str | None, out: Path | None) -> Assessment:
    """Assess the portfolio by the rules and, if there is one, the champion."""
    from features.sources.cutoff import cutoff_of
    from models.predictions.table_export import suffix_of

    if out is not None:
        # Check the file type first, since the assessment takes a while.
        suffix_of(out)
    with progress_bar("assessing the portfolio") as tell:
        return assess_signals(signals, cutoff_of(signals, as_of), engine, selected_champion(rubric), tell)[1]


def _show(
    found: Assessment, board: pd.DataFrame, columns: Mapping[str, str], what: str, out: Path | None, as_json: bool
) -> None:
    from models.predictions.payload import format_instant
    from models.predictions.table_export import plain_rows
    from serving.cli.tables.rules import print_rule_table

    at, rubric = format_instant(found.as_of), found.health.rubric.name
    title = f"{what} as of {at}, by {rubric}: {len(board):,} accounts"
    about = {"as_of": at, "rubric": rubric, "rules": dict(found.rule_results.versions)}
    write_result(
        as_json,
        lambda: about | {"accounts": plain_rows(board)},
        lambda console: print_rule_table(board, columns, title, console),
        out,
        frame_writer(board),
    )
