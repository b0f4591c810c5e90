"""Commands that make signals up and look at them: `simulate`, `check`, `leakcheck`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from features.utils.cli import (
    FAILED_CHECK,
    USER_MISTAKE,
    AsJson,
    DataThrough,
    Engine,
    SignalsArgument,
    progress_bar,
    write_result,
)
from features.utils.progress import subprogress

app = typer.Typer()


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write the tables to.")],
    accounts: Annotated[int, typer.Option(help="How many accounts.")] = 500,
    weeks: Annotated[int, typer.Option(help="How many weeks of history.")] = 156,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
) -> None:
    """Make up a B2B SaaS portfolio in the contract's tables, with the true probabilities beside it
    (OUT-truth.parquet)."""
    from training.simulation import simulate as make

    with progress_bar("simulating") as tell:
        summary = make(out, accounts=accounts, weeks=weeks, seed=seed, progress=tell)
    typer.echo(summary.text())


@app.command()
def check(
    signals: SignalsArgument, data_through: DataThrough = None, engine: Engine = "duckdb", as_json: AsJson = False
) -> None:
    """Hold signals against the data contract, and say whether there is enough of them to train on."""
    from features.feed_health.feed_health import feed_health
    from features.signals.validation import check as hold
    from features.sources.open_source import open_source
    from features.utils.dates import parse_instant
    from training.cli.tables.check import print_check
    from training.config import TrainConfig
    from training.dataset.data_verdict import broken_contract_verdict, verdict
    from training.dataset.sufficiency_check import check_sufficiency

    through = parse_instant(data_through) if data_through else None
    with progress_bar("checking") as tell:
        source = open_source(signals, engine)
        report = hold(source, through)
        tell(0.2, "looking at the feeds")
        feeds = feed_health(source, through)
        config = TrainConfig()
        enough = check_sufficiency(source, config, subprogress(tell, 0.4, 1.0), through) if report.ok else None
    if enough is None:
        said = broken_contract_verdict(len(report.errors), config.horizon_days)
    else:
        feeds = feeds.with_kept(enough.kept)
        report = replace(report, findings=(*report.findings, *enough.findings))
        said = verdict(enough, feeds)
    facts = enough.facts if enough else {}
    told = {
        **report.as_dict(),
        "sufficiency": {target: fact.as_dict() for target, fact in facts.items()},
        "feeds": feeds.as_dict(),
        "horizons": [horizon.as_dict() for horizon in enough.horizons] if enough else [],
        "verdict": said.as_dict(),
    }
    write_result(as_json, lambda: told, lambda console: print_check(report, feeds, enough, said, console))
    if not report.ok:
        raise typer.Exit(USER_MISTAKE)


@app.command()
def leakcheck(
    signals: SignalsArgument,
    data_through: DataThrough = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Look for leaks: snapshots that change with what comes later, features that know the outcome. Exit code 1 if any
    is found. Every training does the same, and stops at one."""
    from features.custom.current_catalogue import current_catalogue
    from features.utils.dates import parse_instant
    from training.cli.tables.leakage import print_leaks
    from training.leakage.check import check_source_for_leaks as look

    through = parse_instant(data_through) if data_through else None
    with progress_bar("looking for leaks") as tell:
        report = look(signals, current_catalogue(), data_through=through, progress=tell, engine=engine)
    write_result(as_json, report.as_dict, lambda console: print_leaks(report, console))
    if not report.ok:
        raise typer.Exit(FAILED_CHECK)
