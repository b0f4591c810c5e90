"""Commands about features: `snapshot`, `features`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.utils.cli import (
    TABLE_FILES,
    AsJson,
    AsOf,
    Engine,
    SignalsArgument,
    mark_uncertain,
    progress_bar,
    write_result,
)
from features.utils.progress import subprogress

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()


@app.command()
def snapshot(
    signals: SignalsArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help=f"A {TABLE_FILES}.")],
    as_of: AsOf = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First date of a series of dates that ends at --as-of.")
    ] = None,
    every: Annotated[int, typer.Option("--every", metavar="DAYS", help="Days between the dates of the series.")] = 7,
    horizon: Annotated[
        int, typer.Option(help="Without contracts, an account is active if it ordered within this number of days.")
    ] = 90,
    engine: Engine = "duckdb",
) -> None:
    """Write the features of every active account as of a date, or of a series of dates."""
    from features.custom.current_catalogue import current_catalogue
    from features.signals.cutoff import cutoff_of
    from features.signals.signals import open_signals
    from features.snapshots.snapshot import snapshot as build_snapshot
    from features.utils.dates import Grid, parse_instant
    from models.home import current_home
    from models.predictions.table_export import formula_note, suffix_of, write_frame

    suffix_of(out)
    catalogue = current_catalogue()
    last = cutoff_of(signals, as_of, engine)
    grid = Grid.ending(last, parse_instant(first), every) if first else Grid.single(last)
    rollups = current_home().require_own().rollups
    with progress_bar("reading") as progress:
        opened = open_signals(signals, last, subprogress(progress, 0.0, 0.5), engine, rollups)
        mark_uncertain(opened.open_questions)
        frame = build_snapshot(
            opened,
            grid,
            horizon_days=horizon,
            catalogue=catalogue,
            rollup_folder=rollups,
            progress=subprogress(progress, 0.5, 1.0),
        )
    write_frame(frame, out)
    typer.echo(f"{len(frame):,} rows of {frame['account_id'].nunique():,} accounts at {grid.n} dates in {out}")
    if note := formula_note(frame, out.suffix):
        typer.echo(f"note: {note}")


@app.command("features")
def list_features(
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the data dictionary as Markdown.")] = False,
) -> None:
    """List all features: description, unit, and how they usually relate to churn and expansion."""
    from features.catalogue.data_dictionary import markdown, tables
    from features.custom.current_catalogue import current_catalogue

    catalogue = current_catalogue()
    if as_markdown and not as_json:
        typer.echo(markdown(catalogue), nl=False)
        return

    def show(console: Console) -> None:
        for table in tables(catalogue):
            console.print(table)
        console.print(f"{len(catalogue)} features, version {catalogue.version}")

    summary = {"version": catalogue.version, "windows": catalogue.windows}
    write_result(as_json, lambda: summary | {"features": catalogue.dictionary()}, show)
