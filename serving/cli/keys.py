"""`keys …`: who may call the service."""

from __future__ import annotations

from typing import Annotated

import typer

from features.utils.cli import AsJson, write_result
from serving.cli.context import store_at_hand

app = typer.Typer(help="API keys: who may call the service, and for what.", no_args_is_help=True)


@app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="predict, write or admin; several times for several (default: predict).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once: only a digest of it is kept."""
    from serving.http.api_keys import create_key as make

    with store_at_hand().begin() as connection:
        key, secret = make(connection, name, scope or ["predict"])
    scopes = sorted(key.scopes)
    words = f"{key.id} may {', '.join(scopes)}. The key, shown this once:\n\n    {secret}\n"
    told = {"id": key.id, "name": key.name, "scopes": scopes, "key": secret}
    write_result(as_json, lambda: told, lambda _: typer.echo(words))


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """All keys, revoked ones too; never the keys themselves."""
    from serving.cli.tables.admin import print_keys
    from serving.http.api_keys import list_keys as every

    with store_at_hand().read() as connection:
        found = every(connection)
    print_keys(found, as_json)


@app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `renewcast keys list` tells it.")]) -> None:
    """Take a key back. It is refused from the next request on."""
    from serving.http.api_keys import revoke_key as take_back

    with store_at_hand().begin() as connection:
        key = take_back(connection, key_id)
    typer.echo(f"{key.id} ({key.name}) is revoked")
