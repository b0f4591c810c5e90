"""`changes`: what changed between two dates, for the portfolio or one account."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import BadRequest
from features.utils.cli import AsJson, AsOf, Engine, SignalsArgument, json_file_writer, progress_bar, write_result
from features.utils.progress import subprogress
from serving.cli.context import open_home_signals, selected_champion
from serving.cli.filter_options import NO_OPTIONS, Chosen, filter_options, select_from_signals
from serving.cli.table_files import TablesFile, check_tables_file, table_help, tables_writer

if TYPE_CHECKING:
    from serving.html.exports import Tables

app = typer.Typer()

TABLES = ("accounts", "parts")


@app.command()
@filter_options
def changes(
    signals: SignalsArgument,
    as_of: AsOf = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="The earlier date (default: 30 days before --as-of).")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Show one account: its id, its name, or the name's beginning."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Maximum number of accounts to list; a table has all.")] = 20,
    out: TablesFile = None,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", help=table_help(*TABLES))] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """Compare two dates: what changed the ARR at risk, which accounts changed it most, and what drove them.

    Both dates are scored with the champion, each with what was known then, so that a change comes from the accounts and
    not from a new model. The parts add up to the change. The filter is that of the later date. With --account, churn,
    expansion and health of one account."""
    from features.signals.cutoff import cutoff_of
    from features.utils.dates import parse_cutoff
    from features.utils.formatting import moment
    from models.home import current_home
    from models.predictions.account_lookup import find_account
    from models.predictions.payload import CHANGE_DAYS
    from serving.cli.tables.changes import print_account_changes, print_portfolio_changes
    from serving.portfolio.account_changes import account_changes
    from serving.portfolio.portfolio_changes import first_changes, portfolio_changes
    from serving.scoring.score_portfolio import assess_date

    check_tables_file(out, table, TABLES)
    of_tables = out is not None and out.suffix != ".json"
    if account is not None and of_tables:
        raise BadRequest("--account has no table", "a .json file", "leave out --account, or write a .json file")
    instant = cutoff_of(signals, as_of, engine)
    earlier = instant - timedelta(days=CHANGE_DAYS) if since is None else parse_cutoff(since)
    if earlier >= instant:
        raise BadRequest("--since is not before --as-of", "an earlier date", "correct --since")
    with progress_bar("reading") as tell:
        opened = open_home_signals(signals, instant, engine, subprogress(tell, 0.0, 0.4))
        champion, rollups = selected_champion().for_signals(opened), current_home().require_own().rollups
        tell(0.4, "assessing the earlier date")
        before = assess_date(opened, earlier, champion, rollups)
        tell(0.7, "assessing the later date")
        now = assess_date(opened, instant, champion, rollups)
    if before is None or now is None:
        raise BadRequest("no account is active at one of the dates", "two dates with accounts", "choose other dates")
    if account is not None:
        if only:
            raise BadRequest("--account with a filter", "one of them", "leave out --account or the filter")
        names = {**before.known_names, **now.known_names}
        payload = account_changes(before, now, find_account(account, names, now.places))
        file = json_file_writer(payload, f"the changes of one account as of {moment(payload['as_of'])}")
        write_result(as_json, lambda: payload, lambda console: print_account_changes(payload, console), out, file)
        return
    selection = select_from_signals(only, opened, instant, now, champion)
    applied = selection.account_filter.applied
    # A table has all accounts; what is printed has those that changed most.
    every = len(before.account_ids) + len(now.account_ids) if of_tables else limit
    complete = portfolio_changes(before, now, every, selection.includes, applied)
    whole = first_changes(complete, limit) if of_tables else complete

    def tables() -> Tables:
        from serving.pages.exports.trends import change_tables

        return change_tables(complete)

    json_file = json_file_writer(whole, f"the changes from {moment(whole['since'])} to {moment(whole['as_of'])}")
    file = tables_writer(tables, TABLES, table, json_file)
    write_result(as_json, lambda: whole, lambda console: print_portfolio_changes(whole, console), out, file)
