"""Commands that show the portfolio as the rules see it: `health`, `risks`, `expansions`, `onboarding`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.utils.cli import AsJson, AsOf, Engine, OutFile, RubricName, SignalsArgument, progress_bar, write_result
from serving.cli.context import champion_at_hand, frame_file, portfolio_at_hand, store_at_hand

if TYPE_CHECKING:
    import pandas as pd

    from models.predictions.assessment import Assessment

app = typer.Typer()


@app.command()
def health(
    signals: SignalsArgument,
    as_of: AsOf,
    rubric: RubricName = None,
    account: Annotated[str | None, typer.Option(metavar="ID", help="One account, its score as a sum.")] = None,
    disagreements: Annotated[
        bool, typer.Option("--disagreements", help="Only where model and score differ, the widest gap first.")
    ] = False,
    out: OutFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Health scores of the portfolio by a rubric, the lowest first; or one account's, to be checked by hand."""
    from models.predictions.payload import answer, row_of
    from models.predictions.table_export import plain_rows
    from serving.cli.tables.rules import DISAGREEMENTS, HEALTH, print_account
    from serving.portfolio.rule_tables import disagreements_board, health_board

    found = _looked(signals, as_of, engine, rubric, out)
    if account is None and disagreements:
        _show(found, disagreements_board(found), DISAGREEMENTS, "model and health score disagree", out, as_json)
        return
    if account is None:
        _show(found, health_board(found), HEALTH, "health", out, as_json)
        return
    row = row_of(found, account)
    parts = found.health.breakdown(row)
    write_result(
        as_json,
        lambda: answer(found, account, scored_at=datetime.now(UTC)) | {"breakdown": plain_rows(parts)},
        lambda console: print_account(found, row, console),
        out,
        frame_file(parts),
    )


def _view(name: str, words: str) -> None:
    """A command that shows one of the rules' views of the portfolio."""

    def command(
        signals: SignalsArgument,
        as_of: AsOf,
        rubric: RubricName = None,
        out: OutFile = None,
        engine: Engine = "duckdb",
        as_json: AsJson = False,
    ) -> None:
        from serving.cli.tables.rules import VIEWS

        board, columns = VIEWS[name]
        found = _looked(signals, as_of, engine, rubric, out)
        _show(found, board(found), columns, name, out, as_json)

    app.command(name, help=words)(command)


@app.command()
def risks(
    signals: SignalsArgument,
    as_of: AsOf,
    rubric: RubricName = None,
    summary: Annotated[
        bool,
        typer.Option("--summary", help="Only the shares: accounts with a play, executive plays, plays at low risk."),
    ] = False,
    out: OutFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Whom to look after: red and yellow first, why, which play, who acts, by when. What is under way, done, snoozed
    or held out has no play to run."""
    from features.errors import BadRequest
    from features.utils.dates import parse_instant
    from models.home import current_home
    from models.predictions.payload import instant_words
    from serving.cli.tables.rules import RISKS, print_summary
    from serving.portfolio.rule_tables import plays_summary, risks_board
    from serving.snapshots.snapshot_files import SnapshotFiles
    from serving.worklist.interventions import interventions_of, recorded_now

    if summary and out is not None:
        raise BadRequest("--out beside --summary", "one of them", "use --json for the shares in a file")
    if out is not None:
        from models.predictions.table_export import suffix_of

        suffix_of(out)
    instant, store = parse_instant(as_of), store_at_hand()
    with progress_bar("looking") as tell:
        opened, found = portfolio_at_hand(signals, instant, engine, champion_at_hand(rubric), tell)
        known = recorded_now(store, SnapshotFiles(current_home()), frozenset(found.account_ids), instant)
        standing = known.standing(interventions_of(opened, instant), instant)
    if summary:
        told = {"as_of": instant_words(found.as_of), **plays_summary(found, standing)}
        write_result(as_json, lambda: told, lambda console: print_summary(told, console))
    else:
        _show(found, risks_board(found, standing), RISKS, "risks", out, as_json)


_view(
    "expansions",
    "Who is ready for more: signs, points, and the gate item by item. Nobody whose health is not green is proposed.",
)
_view("onboarding", "Accounts being onboarded: what should have happened by now and has not, and what to do.")


def _looked(signals: str, as_of: str, engine: str, rubric: str | None, out: Path | None) -> Assessment:
    """The portfolio as the rules (and the champion, if there is one) see it."""
    from features.utils.dates import parse_instant
    from models.predictions.table_export import suffix_of

    if out is not None:
        # Before the portfolio is looked at, which takes a while.
        suffix_of(out)
    with progress_bar("looking") as tell:
        return portfolio_at_hand(signals, parse_instant(as_of), engine, champion_at_hand(rubric), tell)[1]


def _show(
    found: Assessment, board: pd.DataFrame, columns: Mapping[str, str], what: str, out: Path | None, as_json: bool
) -> None:
    from models.predictions.payload import instant_words
    from models.predictions.table_export import plain_rows
    from serving.cli.tables.rules import print_board

    at, rubric = instant_words(found.as_of), found.health.rubric.name
    title = f"{what} as of {at}, by {rubric}: {len(board):,} accounts"
    about = {"as_of": at, "rubric": rubric, "rules": dict(found.judged.versions)}
    write_result(
        as_json,
        lambda: about | {"accounts": plain_rows(board)},
        lambda console: print_board(board, columns, title, console),
        out,
        frame_file(board),
    )
