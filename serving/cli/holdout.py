"""`holdout …`: design a trial of plays, and assign accounts at random. `renewcast.py` adds `holdout effect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import BadRequest
from features.utils.cli import TABLE_FILES, AsJson, AsOf, Engine, SignalsArgument, progress_bar, write_result
from features.utils.progress import subprogress
from serving.cli.context import assess_signals, frame_writer, open_store, selected_champion

if TYPE_CHECKING:
    from datetime import datetime

    from features.utils.progress import Progress
    from models.predictions.assessment import Assessment
    from serving.worklist.rank import WorklistContext

app = typer.Typer(help="Measure the effect of plays with accounts that are held out at random.", no_args_is_help=True)

PlayOption = Annotated[str | None, typer.Option("--play", metavar="NAME", help="Only accounts with this play.")]
CsmOption = Annotated[str | None, typer.Option("--csm", metavar="NAME", help="Only the accounts of this CSM.")]
ShareOption = Annotated[float, typer.Option("--share", help="Share of accounts that are held out, 0.05 to 0.95.")]
TRIAL_LENGTH = 100


def assessed_context(
    signals: str, instant: datetime, engine: str, tell: Progress
) -> tuple[Assessment, WorklistContext]:
    """Assess the portfolio, and read its people and interventions.

    Parameters
    ----------
    signals : the address of the signals.
    instant : only what was known before counts.
    engine : the query engine.
    tell : called with the share done.

    Raises
    ------
    RenewcastError : for the reasons of `serving.cli.context.assess_signals`.
    """
    from models.home import current_home
    from models.rules.intervention_table import interventions_from_signals
    from models.uplift.account_effects import read_effects
    from serving.scoring.score_portfolio import champion_horizon
    from serving.snapshots.sidecars import accounts_document
    from serving.snapshots.snapshot_files import SnapshotFiles
    from serving.worklist.interventions import read_recorded_until_next
    from serving.worklist.rank import WorklistContext

    champion, store = selected_champion(), open_store()
    opened, found = assess_signals(signals, instant, engine, champion, subprogress(tell, 0.0, 0.9))
    people = accounts_document(opened, instant, champion_horizon(champion))["accounts"]
    recorded = read_recorded_until_next(store, SnapshotFiles(current_home()), frozenset(found.account_ids), instant)
    interventions = [*interventions_from_signals(opened, instant), *recorded.interventions]
    effects = read_effects(current_home().effects_file)
    return found, WorklistContext(people, interventions, recorded.snoozed, effects)


@app.command()
def design(
    signals: SignalsArgument,
    as_of: AsOf = None,
    save_rate: Annotated[
        float,
        typer.Option("--save-rate", help="Effect to detect: share of churning accounts that the play saves, up to 1."),
    ] = 0.3,
    share: ShareOption = 0.2,
    power: Annotated[float, typer.Option(help="Probability to detect the effect, 0.5 to 0.99.")] = 0.8,
    per_week: Annotated[
        float | None,
        typer.Option(
            "--per-week", help="New accounts with a play per week.", show_default="that of past interventions"
        ),
    ] = None,
    play: PlayOption = None,
    csm: CsmOption = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Design a trial: how many accounts and weeks it takes to measure the effect of plays, and what it costs.

    The accounts are those of the worklist, with the churn probabilities of the model."""
    from features.signals.cutoff import cutoff_of
    from serving.cli.tables.holdout import print_design
    from serving.worklist.holdout import design_document, require_range

    settings = {"save_rate": save_rate, "share": share, "power": power, "per_week": per_week}
    for name, value in settings.items():
        require_range(name, value, f"--{name.replace('_', '-')}")
    instant = cutoff_of(signals, as_of, engine)
    with progress_bar("assessing the portfolio") as tell:
        found, context = assessed_context(signals, instant, engine, tell)
        payload = design_document(found, context, save_rate, share, power, per_week, play, csm)
    write_result(as_json, lambda: payload, lambda console: print_design(payload, console))


@app.command()
def assign(
    signals: SignalsArgument,
    trial: Annotated[str, typer.Option("--trial", metavar="NAME", help="Name of the trial.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help=f"A {TABLE_FILES}.")],
    as_of: AsOf = None,
    share: ShareOption = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same assignment.")] = 0,
    accounts: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum number of accounts, most ARR at risk first.", show_default="all"),
    ] = None,
    play: PlayOption = None,
    csm: CsmOption = None,
    engine: Engine = "duckdb",
) -> None:
    """Assign accounts at random, to their play or to no action, and write the assignment to a file.

    The draw is stratified by play and churn probability. The rows of both arms belong in the table `interventions`:
    append the file to it. Accounts that the trial has assigned before, or that are in an intervention, are left out."""
    from features.signals.cutoff import cutoff_of
    from features.utils.formatting import count_of
    from models.predictions.table_export import suffix_of
    from serving.worklist.holdout import assignment_frame, require_range

    suffix_of(out)
    require_range("share", share, "--share")
    if not trial.strip() or len(trial) > TRIAL_LENGTH or not trial.isprintable():
        raise BadRequest("the name of the trial is not valid", f"1 to {TRIAL_LENGTH} printable characters")
    instant = cutoff_of(signals, as_of, engine)
    with progress_bar("assessing the portfolio") as tell:
        found, context = assessed_context(signals, instant, engine, tell)
        frame = assignment_frame(found, context, trial, share, seed, accounts, play, csm)
    typer.echo(frame_writer(frame)(out))
    held_out = int(frame["held_out"].sum())
    typer.echo(f"{count_of(len(frame) - held_out, 'account')} to treat, {held_out:,} to hold out")
    typer.echo("append the rows to the table interventions")
