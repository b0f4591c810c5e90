"""Commands that generate and validate signals: `simulate`, `check`, `leakcheck`."""

from __future__ import annotations

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
    mark_uncertain,
    progress_bar,
    write_result,
)

app = typer.Typer()


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write the tables to.")],
    accounts: Annotated[int, typer.Option(help="Number of accounts.")] = 500,
    weeks: Annotated[int, typer.Option(help="Number of weeks of history.")] = 156,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
    preset: Annotated[
        str,
        typer.Option(help="Market: mixed-b2b, enterprise-annual, smb-monthly, usage-based or orders."),
    ] = "mixed-b2b",
    noise: Annotated[float, typer.Option(help="Share of the differences in risk that no signal shows, 0 to 1.")] = 0.0,
    signal: Annotated[float, typer.Option(help="Effect of the signals: 1 is full, 0 is none.")] = 1.0,
    drift: Annotated[float, typer.Option(help="Change per year of what drives churn, 0 to 1.")] = 0.0,
    trend: Annotated[float, typer.Option(help="Increase per year of the log-odds of churn, -1 to 1.")] = 0.0,
    monthly_share: Annotated[
        float | None, typer.Option(help="Share of monthly contracts, 0 to 1.", show_default="that of the preset")
    ] = None,
    annual_churn: Annotated[
        float | None,
        typer.Option(help="Share of accounts that leave in a year, 0.01 to 0.9.", show_default="that of the preset"),
    ] = None,
    held_out_share: Annotated[float, typer.Option(help="Share of plays that are held out at random, 0 to 1.")] = 0.25,
    tools: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Also write the portfolio to this new folder as exports of Stripe, Salesforce, Zendesk and Segment.",
        ),
    ] = None,
    additions: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="PART",
            help="Add an optional part: products, parents (companies), pulse (judgments of CSMs), costs (of "
            "acquisition), notices, statuses (trials and pauses) or efforts (surveys of customer effort); repeat for "
            "several. Other values stay the same.",
        ),
    ] = None,
    play_effect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLAY=SHARE",
            help="Share of the churn by choice that a play prevents in the quarter after it starts; repeat for "
            "several. Other plays then have no effect.",
            show_default="plays improve the hidden state",
        ),
    ] = None,
) -> None:
    """Generate a synthetic B2B portfolio.

    The true probabilities are written to OUT-truth.parquet."""
    from training.simulation import MarketOptions
    from training.simulation import simulate as generate
    from training.simulation.tools.write import require_new, write_tools

    if tools is not None:
        require_new(tools)
    options = MarketOptions(
        preset=preset,
        noise=noise,
        signal=signal,
        drift=drift,
        trend=trend,
        monthly_share=monthly_share,
        annual_churn=annual_churn,
        held_out_share=held_out_share,
        play_effects=_play_effects(play_effect),
    )
    with progress_bar("simulating") as progress:
        summary = generate(out, accounts, weeks, seed, progress=progress, options=options, additions=additions or ())
    typer.echo(summary.text())
    if tools is not None:
        written = write_tools(summary.folder, tools, summary.end)
        typer.echo(f"{len(written)} tables of four tools in {tools}; next: renewcast connect {tools}/*")


def _play_effects(given: list[str] | None) -> dict[str, float] | None:
    """Parse ``PLAY=SHARE``."""
    from features.errors import BadRequest

    if not given:
        return None
    effects = {}
    for text in given:
        play, _, share = text.partition("=")
        try:
            effects[play.strip()] = float(share)
        except ValueError:
            raise BadRequest("--play-effect is not valid", "PLAY=SHARE, such as low_adoption=0.4") from None
    return effects


@app.command()
def check(
    signals: SignalsArgument,
    data_through: DataThrough = None,
    engine: Engine = "duckdb",
    full: Annotated[
        bool, typer.Option("--full", help="Also list columns, missing values, and accounts by feed.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the full report, with pictures, as one HTML file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report on signals: what was read and left out, how far each feed reaches, and what the data are enough for.

    The last line is to compare with your own figures. The exit code is 2 if the signals break the data contract."""
    from features.sources.open_source import open_source
    from features.utils.dates import parse_cutoff
    from training.cli.tables.check import print_check
    from training.source_report.report import report_on_source

    through = None if data_through is None else parse_cutoff(data_through)
    with progress_bar("checking") as progress:
        report = report_on_source(open_source(signals, engine), through, progress)
    if html is not None:
        from features.utils.atomic_files import write_file
        from training.source_report.html.render import render

        write_file(html, render(report))
    write_result(as_json, report.as_dict, lambda console: print_check(report, console, full=full, html=html))
    if not report.report.ok:
        raise typer.Exit(USER_MISTAKE)


@app.command()
def leakcheck(
    signals: SignalsArgument,
    data_through: DataThrough = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Check for leakage: snapshots that change when later data changes, and features that reveal the outcome.

    The exit code is 1 if leakage is found. Every training runs the same check and stops if it fails."""
    from features.custom.current_catalogue import current_catalogue
    from features.utils.dates import parse_cutoff
    from training.cli.tables.leakage import print_leaks
    from training.leakage.check import check_source_for_leaks

    through = None if data_through is None else parse_cutoff(data_through)
    with progress_bar("checking for leakage") as progress:
        report = check_source_for_leaks(
            signals, current_catalogue(), data_through=through, progress=progress, engine=engine
        )
    mark_uncertain(report.open_questions)
    write_result(as_json, report.as_dict, lambda console: print_leaks(report, console))
    if not report.ok:
        raise typer.Exit(FAILED_CHECK)
