"""`webhooks …`: who is told of what happens."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from features.utils.cli import AsJson, write_result
from serving.cli.context import store_at_hand

app = typer.Typer(help="Webhooks: who is told of what happens.", no_args_is_help=True)
EndpointId = Annotated[str, typer.Argument(metavar="ID", help="As `renewcast webhooks list` tells it.")]


@app.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(help="https://HOST/PATH")],
    event: Annotated[
        list[str] | None, typer.Option(help="Several times for several (default: all); `list` tells which there are.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell an address of what happens. The secret that signs its deliveries is shown this once."""
    from serving.common.settings import current_settings
    from serving.webhooks.endpoints import add_endpoint

    with store_at_hand().begin() as connection:
        endpoint, secret = add_endpoint(connection, url, event or [], current_settings().webhooks_anywhere)
    words = f"{endpoint.id} is told of {', '.join(endpoint.events)}. Its secret, shown this once:\n\n    {secret}\n"
    told = {"id": endpoint.id, "url": url, "events": list(endpoint.events), "secret": secret}
    write_result(as_json, lambda: told, lambda _: typer.echo(words))


@app.command("list")
def list_webhooks(as_json: AsJson = False) -> None:
    """All endpoints, how many deliveries wait for each, and which are disabled and why."""
    from serving.cli.tables.admin import print_endpoints
    from serving.webhooks.endpoints import list_endpoints

    with store_at_hand().read() as connection:
        found = list_endpoints(connection)
    print_endpoints(found, as_json)


@app.command("enable")
def enable_webhook(endpoint_id: EndpointId) -> None:
    """Tell a disabled endpoint of what happens from now on."""
    from serving.webhooks.endpoints import enable_endpoint

    with store_at_hand().begin() as connection:
        enable_endpoint(connection, endpoint_id)
    typer.echo(f"{endpoint_id} is told again")


@app.command("remove")
def remove_webhook(endpoint_id: EndpointId) -> None:
    """Forget an endpoint and what waits for it."""
    from serving.webhooks.endpoints import remove_endpoint

    with store_at_hand().begin() as connection:
        remove_endpoint(connection, endpoint_id)
    typer.echo(f"{endpoint_id} is removed")


@app.command("rotate-key")
def rotate_key() -> None:
    """Encrypt the secrets of all endpoints with a new key. The secrets themselves stay as they are."""
    from serving.store.encryption import VARIABLE
    from serving.webhooks.endpoints import reencrypt_secrets

    store = store_at_hand()
    if not os.environ.get(VARIABLE):
        store.cipher.add_key()
    with store.begin() as connection:
        many = reencrypt_secrets(connection)
    store.cipher.forget_other_keys()
    typer.echo(f"the secrets of {many} endpoints are encrypted with the new key")
