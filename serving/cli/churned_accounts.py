"""`churned`: the accounts that churned in a period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from features.utils.cli import AsJson, json_file_writer, write_result
from serving.cli.context import open_store, published_state
from serving.cli.filter_options import NO_OPTIONS, Chosen, filter_options, select_published
from serving.cli.table_files import TablesFile, check_tables_file, table_help, tables_writer

if TYPE_CHECKING:
    from serving.html.exports import Tables

app = typer.Typer()

TABLES = ("churned", "by-reason")


@app.command()
@filter_options
def churned(
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="The published date (UTC; default: the latest).")
    ] = None,
    period: Annotated[Literal["quarter", "year"], typer.Option(help="The period that ends at the date.")] = "year",
    limit: Annotated[int, typer.Option(min=0, help="Maximum number of accounts to list; a table has all.")] = 20,
    out: TablesFile = None,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", help=table_help(*TABLES))] = None,
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """List the accounts that churned: when, why, the lost ARR, and what was predicted before they left.

    They are the step *Churn* of the bridge of ARR, as `score --publish` stored it. Health and churn probability are
    those of the last prediction that was published at most 90 days before the end. No signals are read: the same list
    is on the page /churned and at /v1/portfolio/churned."""
    from features.utils.dates import parse_cutoff
    from features.utils.formatting import count_of
    from serving.cli.tables.churned_accounts import print_churned
    from serving.portfolio.churned_accounts import published_churned

    check_tables_file(out, table, TABLES)
    scored = published_state().scored(None if as_of is None else parse_cutoff(as_of))
    chosen = select_published(only, scored).account_filter
    whole = published_churned(scored, open_store(), period, chosen)
    more = max(len(whole["accounts"]) - limit, 0)
    payload = {**whole, "accounts": whole["accounts"][:limit], "more_accounts": more}

    def tables() -> Tables:
        from serving.pages.exports.lists import churned_tables

        return churned_tables(whole, whole["accounts"])

    json_file = json_file_writer(payload, count_of(payload["churned_accounts"], "churned account"))
    file = tables_writer(tables, TABLES, table, json_file)
    write_result(as_json, lambda: payload, lambda console: print_churned(payload, console), out, file)
