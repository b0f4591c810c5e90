"""`webhooks …`: manage webhook endpoints."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from features.utils.cli import AsJson, write_result
from serving.cli.context import open_store

app = typer.Typer(help="Manage webhook endpoints.", no_args_is_help=True)
EndpointId = Annotated[str, typer.Argument(metavar="ID", help="Endpoint id from `renewcast webhooks list`.")]


@app.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(help="https://HOST/PATH")],
    event: Annotated[
        list[str] | None,
        typer.Option(help="Event to send; repeat for several (default: all). `list` shows the events."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add an endpoint that receives events. Its signing secret is shown only once."""
    from serving.common.settings import current_settings
    from serving.webhooks.endpoints import add_endpoint

    with open_store().begin() as connection:
        endpoint, secret = add_endpoint(connection, url, event or [], current_settings().webhooks_anywhere)
    words = f"{endpoint.id} receives {', '.join(endpoint.events)}. Its secret, shown only once:\n\n    {secret}\n"
    payload = {"id": endpoint.id, "url": url, "events": list(endpoint.events), "secret": secret}
    write_result(as_json, lambda: payload, lambda _: typer.echo(words))


@app.command("list")
def list_webhooks(as_json: AsJson = False) -> None:
    """List all endpoints, their pending deliveries, and why an endpoint is disabled."""
    from serving.cli.tables.admin import print_endpoints
    from serving.webhooks.endpoints import list_endpoints

    with open_store().read() as connection:
        found = list_endpoints(connection)
    print_endpoints(found, as_json)


@app.command("enable")
def enable_webhook(endpoint_id: EndpointId) -> None:
    """Enable a disabled endpoint. It receives events from now on."""
    from serving.webhooks.endpoints import enable_endpoint

    with open_store().begin() as connection:
        enable_endpoint(connection, endpoint_id)
    typer.echo(f"{endpoint_id} is enabled")


@app.command("remove")
def remove_webhook(endpoint_id: EndpointId) -> None:
    """Remove an endpoint and its pending deliveries."""
    from serving.webhooks.endpoints import remove_endpoint

    with open_store().begin() as connection:
        remove_endpoint(connection, endpoint_id)
    typer.echo(f"{endpoint_id} is removed")


@app.command("rotate-key")
def rotate_key() -> None:
    """Encrypt the secrets of all endpoints with a new key. The secrets themselves do not change."""
    from serving.store.encryption import VARIABLE
    from serving.webhooks.endpoints import reencrypt_secrets

    store = open_store()
    if not os.environ.get(VARIABLE):
        store.cipher.add_key()
    with store.begin() as connection:
        many = reencrypt_secrets(connection)
    store.cipher.forget_other_keys()
    typer.echo(f"the secrets of {many} endpoints are encrypted with the new key")
