"""`worklist`: this week's priorities."""

from __future__ import annotations

from typing import Annotated

import typer

from features.utils.cli import AsJson, AsOf, Engine, OutFile, SignalsArgument, progress_bar, write_result
from features.utils.progress import subprogress
from serving.cli.context import assess_signals, frame_writer, open_store, selected_champion
from serving.cli.filter_options import NO_OPTIONS, Chosen, filter_options, select_from_signals

app = typer.Typer()


@app.command()
@filter_options
def worklist(
    signals: SignalsArgument,
    as_of: AsOf = None,
    capacity: Annotated[int, typer.Option(min=0, help="Number of accounts that the team can work on.")] = 20,
    save_rate: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Assumed share of churning accounts that a play saves, until it has been measured."
        ),
    ] = None,
    out: OutFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """List this week's priorities: what to do and by when.

    Accounts are ordered by the ARR that the plays are expected to save, if their effect was measured with held-out
    accounts or is assumed, else by ARR at risk. The list also shows accounts for which it is too late, and the gain
    over ranking by health score."""
    from features.signals.cutoff import cutoff_of
    from models.home import current_home
    from models.predictions.table_export import suffix_of
    from models.rules.intervention_table import interventions_from_signals
    from models.uplift.account_effects import read_effects
    from serving.cli.tables.worklist import print_worklist
    from serving.scoring.score_portfolio import champion_horizon
    from serving.snapshots.sidecars import accounts_document
    from serving.snapshots.snapshot_files import SnapshotFiles
    from serving.worklist.interventions import read_recorded_until_next
    from serving.worklist.rank import WorklistContext, build_worklist
    from serving.worklist.table import worklist_frame

    if out is not None:
        suffix_of(out)
    instant, champion = cutoff_of(signals, as_of, engine), selected_champion()
    with progress_bar("assessing the portfolio") as tell:
        store = open_store()
        opened, found = assess_signals(signals, instant, engine, champion, subprogress(tell, 0.0, 0.9))
        accounts = accounts_document(opened, instant, champion_horizon(champion))
        selection = select_from_signals(only, opened, instant, found, champion)
        recorded = read_recorded_until_next(store, SnapshotFiles(current_home()), frozenset(found.account_ids), instant)
        team = WorklistContext(
            accounts["accounts"],
            [*interventions_from_signals(opened, instant), *recorded.interventions],
            recorded.snoozed,
            read_effects(current_home().effects_file),
        )
        answer = build_worklist(found, capacity, team, selection, save_rate)
    file = frame_writer(worklist_frame(answer))
    write_result(as_json, lambda: answer, lambda console: print_worklist(answer, console), out, file)
