"""Commands that summarize the portfolio: `portfolio`, `cohorts`, `leadership`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import BadRequest
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
from serving.cli.context import assess_signals, open_home_signals, selected_champion
from serving.cli.filter_options import (
    NO_OPTIONS,
    Chosen,
    attributes_from_signals,
    filter_options,
    parse_filter,
    select_for_kpis,
)
from serving.cli.table_files import TablesFile, check_tables_file, table_help, tables_writer
from serving.schemas.divisions import DIVISIONS, Division, ExclusiveDivision

if TYPE_CHECKING:
    from serving.html.exports import Tables

app = typer.Typer()

PORTFOLIO_TABLES = ("kpis", "groups")
COHORT_TABLES = ("retention", "lifetime", "accounts")
LEADERSHIP_TABLES = ("bridge", "kpis", "groups", "cohorts", "forecast", "capacity", "csms", "economics")
PeriodName = Annotated[
    str,
    typer.Option(
        metavar="PERIOD",
        help="year (the trailing twelve months), quarter, month or days such as 90d, ending at --as-of.",
    ),
]


@app.command()
@filter_options
def portfolio(
    signals: SignalsArgument,
    as_of: AsOf = None,
    period: PeriodName = "year",
    rubric: RubricName = None,
    by: Annotated[
        Division | None,
        typer.Option(
            help="Print only these groups (default: segment, and parent and product if the source has them). JSON has "
            "all.",
        ),
    ] = None,
    out: TablesFile = None,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", help=table_help(*PORTFOLIO_TABLES))] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """Show the portfolio's KPIs: retention, churn, health, satisfaction, adoption, renewals and advocates.

    Each KPI has its numerator and denominator, previous value and target, for the portfolio and by segment, CSM,
    region, parent company and product. Each group also has its ARR at risk, and each product its users. Retention
    covers the trailing twelve months, with the last quarter next to it. The definitions are in
    docs/reference/generated/kpis.md."""
    from features.signals.cutoff import cutoff_of
    from features.utils.formatting import moment
    from features.utils.periods import period_ending
    from models.home import current_home
    from serving.cli.tables.kpi import print_kpis
    from serving.portfolio.account_list import AccountList
    from serving.portfolio.kpi_filter import KpiFilter
    from serving.portfolio.kpi_report import kpi_report
    from serving.portfolio.portfolio_groups import portfolio_groups
    from serving.scoring.score_portfolio import assess_date, champion_horizon
    from serving.snapshots.account_attributes import AccountAttributes
    from serving.snapshots.sidecars import accounts_document, products_document

    check_tables_file(out, table, PORTFOLIO_TABLES)
    instant = cutoff_of(signals, as_of, engine)
    span = period_ending(instant, period)
    with progress_bar("reading") as tell:
        opened = open_home_signals(signals, instant, engine, subprogress(tell, 0.0, 0.4))
        champion = selected_champion(rubric).for_signals(opened).at(instant)
        rollups, days = current_home().require_own().rollups, champion_horizon(champion)
        found = assess_date(opened, instant, champion, rollups)
        documents = [make(opened, instant, days) for make in (accounts_document, products_document)]
        kept, selected, applied = None, None, None
        if only:
            if found is None:
                raise BadRequest("no account is active at this date, so there is nothing to filter", "another --as-of")
            attributes = AccountAttributes.of(found, *documents)
            chosen = parse_filter(only, attributes)
            selected, applied = attributes.require(chosen).rows, chosen.applied
            kept = KpiFilter.of(attributes, chosen)
        payload = kpi_report(
            opened,
            span,
            champion.rubric,
            days,
            subprogress(tell, 0.6, 1.0),
            frames={} if found is None else {instant: found.frame},
            rollup_folder=rollups,
            only=kept,
        )
        roster = None if found is None else AccountList(found, *documents)
        groups = {name: [] if roster is None else portfolio_groups(roster, name, selected) for name in DIVISIONS}
        horizon = days if "churn" in champion.bundles else None
        payload |= {"horizon_days": horizon, "groups": groups, "filter": applied}
    json_file = json_file_writer(payload, f"{len(payload['measures'])} KPIs as of {moment(payload['as_of'])}")

    def tables() -> Tables:
        from serving.pages.exports.lists import groups_table, kpis_table

        wanted: Division = by or "segment"
        return {
            "kpis": lambda: kpis_table(payload["measures"]),
            "groups": lambda: groups_table(wanted, groups[wanted]),
        }

    file = tables_writer(tables, PORTFOLIO_TABLES, table, json_file)
    write_result(as_json, lambda: payload, lambda console: print_kpis(payload, console, by), out, file)


@app.command()
@filter_options
def cohorts(
    signals: SignalsArgument,
    as_of: AsOf = None,
    margin: Annotated[float, typer.Option(help="Gross margin as a share of ARR, for the lifetime value.")] = 1.0,
    years: Annotated[float, typer.Option(help="Maximum number of years that count toward the lifetime value.")] = 5.0,
    out: TablesFile = None,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", help=table_help(*COHORT_TABLES))] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """Show retention by starting quarter (Kaplan-Meier, in accounts and ARR), and the lifetime and lifetime value that
    follow from the model's churn probabilities."""
    from features.kpi.cohort_retention import account_lives, retention_of
    from features.signals.cutoff import cutoff_of
    from features.utils.formatting import count_of, moment
    from serving.cli.tables.kpi import print_cohorts
    from serving.portfolio.cohorts import retention_of_selected
    from serving.portfolio.lifetime_value import check_parameters, lifetimes
    from serving.scoring.score_portfolio import champion_horizon
    from serving.snapshots.account_attributes import AccountSelection

    check_tables_file(out, table, COHORT_TABLES)
    check_parameters(margin, years)
    instant, champion = cutoff_of(signals, as_of, engine), selected_champion()
    with progress_bar("reading") as tell:
        opened, found = assess_signals(signals, instant, engine, champion, subprogress(tell, 0.0, 0.9))
        tell(0.9, "computing cohort retention")
        lives = account_lives(opened, instant, champion_horizon(champion))
        if only:
            attributes = attributes_from_signals(opened, instant, found, champion)
            chosen = parse_filter(only, attributes)
            selection = attributes.require(chosen)
            retention, unknown = retention_of_selected(lives, instant, opened.contractual, attributes, chosen)
        else:
            selection = AccountSelection.everyone(found)
            retention, unknown = retention_of(lives, instant, opened.contractual), None
        life = lifetimes(found, margin, years, selection.rows)
        payload = {
            "retention": retention,
            "retention_unknown": unknown,
            "lifetime": life,
            "filter": selection.account_filter.applied,
        }
    count = 0 if retention is None else len(retention["cohorts"])
    json_file = json_file_writer(payload, f"{count_of(count, 'cohort')} as of {moment(instant)}")

    def tables() -> Tables:
        from serving.pages.exports.lists import cohort_tables

        return cohort_tables(payload, life["accounts"])

    file = tables_writer(tables, COHORT_TABLES, table, json_file)
    write_result(as_json, lambda: payload, lambda console: print_cohorts(payload, console), out, file)


@app.command()
@filter_options
def leadership(
    signals: SignalsArgument,
    as_of: AsOf = None,
    by: Annotated[ExclusiveDivision, typer.Option(help="The groups.")] = "segment",
    margin: Annotated[
        float, typer.Option(help="Gross margin as a share of ARR, for lifetime value and payback.")
    ] = 1.0,
    years: Annotated[float, typer.Option(help="Maximum number of years that count toward the lifetime value.")] = 5.0,
    rubric: RubricName = None,
    out: TablesFile = None,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", help=table_help(*LEADERSHIP_TABLES))] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """Show the bridge of ARR and retention over the trailing twelve months, the renewal forecast, and unit economics.

    The bridge goes from the ARR at the start over new, expanded, contracted and churned ARR to that at the end. It adds
    up in total, by group and by the year in which accounts began. CSMs are compared with the accounts per CSM of each
    segment. Lifetime value is set against the cost of acquisition where `accounts` has `acquisition_cost`. The
    definitions are in docs/reference/generated/kpis.md."""
    from features.signals.cutoff import cutoff_of
    from features.utils.formatting import moment
    from models.home import current_home
    from serving.cli.tables.leadership import print_leadership
    from serving.leadership.report import leadership_report
    from serving.leadership.report_from_signals import leadership_inputs
    from serving.portfolio.lifetime_value import check_parameters

    check_tables_file(out, table, LEADERSHIP_TABLES)
    check_parameters(margin, years)
    instant, champion = cutoff_of(signals, as_of, engine), selected_champion(rubric)
    with progress_bar("reading") as tell:
        opened, found = assess_signals(signals, instant, engine, champion, subprogress(tell, 0.0, 0.5))
        selection, kept = select_for_kpis(only, opened, instant, found, champion)
        inputs = leadership_inputs(opened, found, current_home(), champion, selection, subprogress(tell, 0.5, 1.0))
        payload = leadership_report(inputs, found, selection, kept, by, margin, years)
    json_file = json_file_writer(payload, f"the leadership report as of {moment(payload['as_of'])}")

    def tables() -> Tables:
        from serving.pages.exports.leadership import leadership_tables

        return leadership_tables(payload)

    file = tables_writer(tables, LEADERSHIP_TABLES, table, json_file)
    write_result(as_json, lambda: payload, lambda console: print_leadership(payload, console), out, file)
