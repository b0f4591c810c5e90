"""`serve`: run the HTTP service."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on. 0 selects a free port.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of worker processes.")] = 1,
) -> None:
    """Serve the latest scored snapshot and the champion over HTTP.

    Workers that stop are restarted. Rate limits apply per worker."""
    from models.home import current_home
    from serving.server import slim_imports  # noqa: F401 must be imported before the modules that it replaces
    from serving.server.server import run_server

    run_server(host, port, current_home().make_private(), workers)
