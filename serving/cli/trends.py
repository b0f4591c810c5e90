"""`trends`: the KPIs of the portfolio at every published date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from features.utils.cli import AsJson, json_file_writer, write_result
from serving.cli.context import published_state
from serving.cli.filter_options import NO_OPTIONS, Chosen, filter_options, select_published
from serving.cli.table_files import TablesFile, check_tables_file, tables_writer

if TYPE_CHECKING:
    from serving.html.exports import Tables

app = typer.Typer()


@app.command()
@filter_options
def trends(
    as_of: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The last date to show (UTC; default: the last one that was published)."),
    ] = None,
    period: Annotated[Literal["quarter", "year"], typer.Option(help="The period that ends at each date.")] = "year",
    limit: Annotated[int, typer.Option(min=1, max=260, help="Maximum number of dates, the latest ones.")] = 26,
    out: TablesFile = None,
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """Show the portfolio's KPIs at every date that `score --publish` published, oldest first.

    The values are those that were stored then; a later correction of the data does not change them. With a filter they
    are of its accounts, including those that have left. No signals are read: the same values are on the trends page and
    at /v1/portfolio/measures/trend. `changes` says what changed the ARR at risk between two dates."""
    from features.utils.dates import parse_cutoff
    from features.utils.formatting import count_of
    from serving.cli.tables.kpi import print_kpi_trend
    from serving.portfolio.kpi_trend import kpi_trend

    check_tables_file(out)
    state = published_state()
    scored = state.scored(None if as_of is None else parse_cutoff(as_of))
    chosen = select_published(only, scored).account_filter
    payload = kpi_trend(scored, state.dates(), period, limit, chosen)
    json_file = json_file_writer(
        payload, f"{len(payload['measures'])} KPIs at {count_of(len(payload['dates']), 'date')}"
    )

    def tables() -> Tables:
        from serving.pages.exports.trends import kpi_trend_tables

        return kpi_trend_tables(payload)

    file = tables_writer(tables, ("kpis",), None, json_file)
    write_result(as_json, lambda: payload, lambda console: print_kpi_trend(payload, console), out, file)
