"""`serve`: the service."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer on the one port.")] = 1,
) -> None:
    """Serve the latest scored snapshot and the champion over HTTP. A worker that ends is started again; limits of
    requests a minute hold for each worker."""
    from features.utils.private_files import make_tree_private
    from models.home import current_home
    from serving.server import slim_imports  # noqa: F401 it is to come before all that it leaves out
    from serving.server.server import run_server

    make_tree_private(current_home().root)
    run_server(host, port, current_home(), workers)
