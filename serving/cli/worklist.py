"""`worklist`: whom to work this week."""

from __future__ import annotations

from typing import Annotated

import typer

from features.utils.cli import AsJson, AsOf, Engine, OutFile, SignalsArgument, progress_bar, write_result
from features.utils.progress import subprogress
from serving.cli.context import champion_at_hand, frame_file, portfolio_at_hand, store_at_hand

app = typer.Typer()


@app.command()
def worklist(
    signals: SignalsArgument,
    as_of: AsOf,
    capacity: Annotated[int, typer.Option(min=0, help="Accounts that the team can work.")] = 20,
    csm: Annotated[str | None, typer.Option("--csm", metavar="NAME", help="This CSM's accounts only.")] = None,
    save_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Assume that plays keep this share of who would leave, until it is measured."),
    ] = None,
    out: OutFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Whom to work this week: the most ARR at risk first, what to do, by when, who is too late, and what it gains
    against working by health score."""
    from features.utils.dates import parse_instant
    from models.home import current_home
    from models.predictions.table_export import suffix_of
    from serving.cli.tables.worklist import print_worklist, worklist_frame
    from serving.scoring.score_portfolio import horizon_of
    from serving.snapshots.sidecars import accounts_document
    from serving.snapshots.snapshot_files import SnapshotFiles
    from serving.worklist.interventions import interventions_of, recorded_now
    from serving.worklist.rank import Team, worklist_of

    if out is not None:
        suffix_of(out)
    instant, champion = parse_instant(as_of), champion_at_hand()
    with progress_bar("looking") as tell:
        store = store_at_hand()
        opened, found = portfolio_at_hand(signals, instant, engine, champion, subprogress(tell, 0.0, 0.9))
        people = accounts_document(opened, instant, horizon_of(champion))["accounts"]
        told = recorded_now(store, SnapshotFiles(current_home()), frozenset(found.account_ids), instant)
        team = Team(people, [*interventions_of(opened, instant), *told.interventions], told.snoozed)
        answer = worklist_of(found, capacity, team, csm, save_rate)
    file = frame_file(worklist_frame(answer))
    write_result(as_json, lambda: answer, lambda console: print_worklist(answer, console), out, file)
