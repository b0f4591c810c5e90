"""`interventions …`: start, change and list interventions, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.errors import BadRequest
from features.utils.cli import AsJson, json_file_writer, write_result
from serving.cli.context import open_store, published_state
from serving.cli.filter_options import NO_OPTIONS, Chosen, filter_options, select_published
from serving.cli.table_files import TablesFile, check_tables_file, table_help, tables_writer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from models.predictions.account_lookup import AccountNames
    from serving.html.exports import Tables
    from serving.store.records import Author

app = typer.Typer(help="Start, change and list interventions, and show their results.", no_args_is_help=True)

InterventionId = Annotated[str, typer.Argument(metavar="ID", help="Id from `renewcast interventions list`.")]
Assignee = Annotated[str | None, typer.Option("--assignee", metavar="NAME", help="The person who runs the play.")]
Note = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="A note for the history.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Your name (default: your user name).")]
RESULT_TABLES = ("by-play", "by-alert", "responses")
_STATES = ("open", "snoozed", "closed", "held_out")


@app.command("list")
@filter_options
def list_all(
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="ACCOUNT", help="Only those of this account (id, name, or its beginning)."),
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="open, snoozed, closed or held_out (default: all).")
    ] = None,
    assignee: Annotated[
        str | None, typer.Option("--assignee", metavar="NAME", help="Only those of this person.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="Maximum number of interventions; a table has all.")
    ] = 100,
    out: TablesFile = None,
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """List recorded interventions, those that began last first.

    The latest snapshot of the home has the names of accounts, and decides which of them a filter selects."""
    from features.utils.formatting import count_of
    from features.utils.workbook import MAX_ROWS
    from models.predictions.account_lookup import find_account
    from serving.cli.tables.interventions import print_interventions
    from serving.worklist.intervention_history import read_interventions
    from serving.worklist.intervention_lists import list_interventions

    check_tables_file(out)
    if state is not None and state not in _STATES:
        raise BadRequest("there is no such state", ", ".join(_STATES))
    published = published_state()
    accounts = select_published(only, published.scored(None)).ids if only else None
    names: AccountNames = {} if published.latest is None else published.latest.assessment.known_names
    with open_store().read() as connection:
        # An account with recorded interventions need not be in the snapshot, but is then known by its id only.
        if account is not None and published.latest is not None and not read_interventions(connection, account):
            account = find_account(account, names, published.latest.assessment.places)
        most = limit if out is None or out.suffix == ".json" else MAX_ROWS
        found = list_interventions(connection, account, state, assignee, most, accounts)  # type: ignore[arg-type]

    def tables() -> Tables:
        from serving.pages.exports.work import interventions_table

        return {"interventions": lambda: interventions_table("Interventions", found["data"], names.get)}

    file = tables_writer(
        tables, ("interventions",), None, json_file_writer(found, count_of(len(found["data"]), "intervention"))
    )
    write_result(as_json, lambda: found, lambda console: print_interventions(found, names, console), out, file)


@app.command("show")
def show(intervention_id: InterventionId, as_json: AsJson = False) -> None:
    """Show an intervention with its history: who did what and when."""
    from serving.cli.tables.interventions import print_intervention
    from serving.worklist.intervention_history import find_intervention

    with open_store().read() as connection:
        found = find_intervention(connection, intervention_id).as_dict()
    write_result(as_json, lambda: found, lambda console: print_intervention(found, console))


@app.command("start")
def start(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="Account id or name, or the beginning of its name.")
    ],
    play: Annotated[str | None, typer.Option("--play", metavar="NAME", help="The play, as in the worklist.")] = None,
    assignee: Assignee = None,
    note: Note = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Start a play for an account. It is refused if an intervention of the account is under way.

    The account must be in the latest snapshot of the home, if there is one."""
    from datetime import UTC, datetime

    from serving.portfolio.account_search import account_by_name
    from serving.schemas.interventions import InterventionRequest
    from serving.worklist.intervention_changes import start_intervention

    state = published_state()
    if state.latest is not None:
        account = account_by_name(state.latest, account)
    fields = {"account_id": account, "occurred_at": datetime.now(UTC).isoformat(), "play": play, "assignee": assignee}
    request = _validated(InterventionRequest, {**fields, "note": note, "refuse_if_under_way": True})
    started = start_intervention(open_store(), _author(by), request, state)  # type: ignore[arg-type]
    _print_changed(started.as_dict(), as_json)


@app.command("change")
def change(
    intervention_id: InterventionId,
    assignee: Assignee = None,
    snooze_until: Annotated[
        str | None, typer.Option("--snooze-until", metavar="DATE", help="The day on which it returns to the list.")
    ] = None,
    close: Annotated[
        str | None, typer.Option("--close", metavar="RESULT", help="Close it as saved, lost or no_effect.")
    ] = None,
    arr: Annotated[float | None, typer.Option("--arr", help="The ARR that was saved or lost.")] = None,
    note: Note = None,
    version: Annotated[
        int | None,
        typer.Option(
            "--version", min=1, help="Refuse the change if the intervention has another version.", show_default="any"
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Assign, snooze or close an intervention, or add a note."""
    from serving.schemas.interventions import InterventionChange
    from serving.worklist.intervention_changes import change_intervention

    given = {"assignee": assignee, "snoozed_until": snooze_until, "result": close, "arr": arr, "note": note}
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        raise BadRequest("there is nothing to change", "--assignee, --snooze-until, --close, --arr or --note")
    request = _validated(InterventionChange, values)
    changed = change_intervention(open_store(), _author(by), intervention_id, request, version)  # type: ignore[arg-type]
    _print_changed(changed.as_dict(), as_json)


@app.command("results")
@filter_options
def results(
    out: TablesFile = None,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", help=table_help(*RESULT_TABLES))] = None,
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """Show how interventions ended: the plain save rate of each play, the precision of each alert rule, and the time
    from alerts to the first response.

    Interventions in the signals of the latest snapshot count as well."""
    from features.utils.formatting import moment
    from serving.cli.tables.interventions import print_results
    from serving.worklist.published_worklist import published_results

    check_tables_file(out, table, RESULT_TABLES)
    scored = published_state().scored(None)
    payload = published_results(scored, open_store(), select_published(only, scored))

    def tables() -> Tables:
        from serving.pages.exports.work import results_tables

        return results_tables(payload)

    json_file = json_file_writer(payload, f"the results of interventions as of {moment(payload['as_of'])}")
    file = tables_writer(tables, RESULT_TABLES, table, json_file)
    write_result(as_json, lambda: payload, lambda console: print_results(payload, console), out, file)


def _author(by: str | None) -> Author:
    from models.artifacts.home_portfolio import current_user
    from serving.store.records import Author

    return Author("cli", current_user(by))


def _validated(model: type[BaseModel], fields: Mapping[str, Any]) -> BaseModel:
    """Return a request, or raise the error for its first invalid field, without what was typed."""
    from pydantic import ValidationError

    try:
        return model.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "the command"
        raise BadRequest(f"{name.replace('_', ' ')} cannot be used", first["msg"]) from None


def _print_changed(payload: dict[str, Any], as_json: bool) -> None:
    from serving.cli.tables.interventions import print_intervention

    write_result(as_json, lambda: payload, lambda console: print_intervention(payload, console))
