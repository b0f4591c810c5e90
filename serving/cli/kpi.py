"""Commands that add the portfolio up: `portfolio`, `cohorts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.utils.cli import (
    AsJson,
    AsOf,
    Engine,
    RubricName,
    SignalsArgument,
    json_file_writer,
    progress_bar,
    write_result,
)
from features.utils.progress import subprogress
from serving.cli.context import champion_at_hand, portfolio_at_hand, signals_at_hand

app = typer.Typer()

JsonFile = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the JSON to a file.")]
PeriodName = Annotated[
    str,
    typer.Option(
        metavar="PERIOD",
        help="year (the trailing twelve months), quarter, month or days such as 90d, up to --as-of.",
    ),
]


@app.command()
def portfolio(
    signals: SignalsArgument,
    as_of: AsOf,
    period: PeriodName = "year",
    rubric: RubricName = None,
    out: JsonFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """The portfolio's measures: retention, churn, health, satisfaction, adoption, renewals, advocates; each with its
    numerator and denominator, last value and target, also by segment, CSM and region. Retention is that of the trailing
    twelve months, next to the last quarter. docs/reference/generated/kpis.md defines them."""
    from features.utils.dates import parse_instant
    from features.utils.periods import period_ending
    from models.home import current_home
    from serving.cli.tables.kpi import print_measures
    from serving.portfolio.kpi_report import measures_told
    from serving.scoring.score_portfolio import horizon_of

    instant = parse_instant(as_of)
    span = period_ending(instant, period)
    champion = champion_at_hand(rubric).at(instant)
    with progress_bar("reading") as tell:
        opened = signals_at_hand(signals, instant, engine, subprogress(tell, 0.0, 0.4))
        told = measures_told(
            opened,
            span,
            champion.rubric,
            horizon_of(champion),
            subprogress(tell, 0.4, 1.0),
            kept=current_home().rollups,
        )
    file = json_file_writer(told, f"{len(told['measures'])} measures as of {told['as_of']}")
    write_result(as_json, lambda: told, lambda console: print_measures(told, console), out, file)


@app.command()
def cohorts(
    signals: SignalsArgument,
    as_of: AsOf,
    margin: Annotated[float, typer.Option(help="Gross margin, a share of ARR, for the lifetime value.")] = 1.0,
    years: Annotated[float, typer.Option(help="Nothing after so many years counts for the lifetime value.")] = 5.0,
    out: JsonFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """How long accounts stay: retention in accounts and ARR by the quarter of their start (Kaplan-Meier), and lifetime
    and its value from the model's churn probabilities."""
    from features.kpi.cohort_retention import cohorts as retained
    from features.utils.dates import parse_instant
    from serving.cli.tables.kpi import print_cohorts
    from serving.portfolio.lifetime_value import check_asked, lifetimes
    from serving.scoring.score_portfolio import horizon_of

    check_asked(margin, years)
    instant, champion = parse_instant(as_of), champion_at_hand()
    with progress_bar("reading") as tell:
        opened, found = portfolio_at_hand(signals, instant, engine, champion, subprogress(tell, 0.0, 0.9))
        tell(0.9, "following the cohorts")
        told = {
            "retention": retained(opened, instant, horizon_of(champion)),
            "lifetime": lifetimes(found, margin, years),
        }
    kept = told["retention"]
    file = json_file_writer(told, f"{len(kept['cohorts'])} cohorts as of {kept['as_of']}")
    write_result(as_json, lambda: told, lambda console: print_cohorts(told, console), out, file)
