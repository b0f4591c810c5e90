"""`keys …`: manage API keys."""

from __future__ import annotations

from typing import Annotated

import typer

from features.utils.cli import AsJson, write_result
from serving.cli.context import open_store

app = typer.Typer(help="Manage API keys of the service.", no_args_is_help=True)


@app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Name of the person or system that uses the key.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="predict, write or admin; repeat for several (default: predict).")
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            metavar="CSM",
            help="The CSM whose accounts the pages show first after signing in with the key. It restricts nothing.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key. It is shown only once, because only its hash is stored."""
    from features.utils.formatting import and_list
    from serving.http.api_keys import create_key as make

    with open_store().begin() as connection:
        key, secret = make(connection, name, scope or ["predict"], owner)
    scopes = sorted(key.scopes)
    granted = f"the scope{'' if len(scopes) == 1 else 's'} {and_list(scopes)}"
    words = f"{key.id} has {granted}. The key, shown only once:\n\n    {secret}\n"
    payload = {"id": key.id, "name": key.name, "scopes": scopes, "owner": key.owner, "key": secret}
    write_result(as_json, lambda: payload, lambda _: typer.echo(words))


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all API keys, including revoked ones. The secrets are not shown."""
    from models.home import current_home
    from serving.cli.tables.admin import print_keys
    from serving.common.settings import current_settings
    from serving.store.key_records import read_key_records

    home = current_home().require_own()
    found = read_key_records(home.store_file) if current_settings().store_address is None else None
    if found is None:
        from serving.http.api_keys import list_keys as every

        with open_store().read() as connection:
            found = every(connection)
    print_keys(found, as_json)


@app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID", help="Key id from `renewcast keys list`.")]) -> None:
    """Revoke an API key. It stops working with the next request."""
    from serving.http.api_keys import revoke_key as take_back

    with open_store().begin() as connection:
        key = take_back(connection, key_id)
    typer.echo(f"{key.id} ({key.name}) is revoked")
