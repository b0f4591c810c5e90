"""The background service of `renewcast demo`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from features.errors import HomeError

PATIENCE_SECONDS = 60
"""The service has failed if it is not ready within this time."""


def start(place: Path, port: int) -> str:
    """Start the service and wait until it is ready.

    Requests from this machine need no API key.

    Parameters
    ----------
    place : the folder of its log and process id.
    port : the port.

    Returns
    -------
    str
        The address of the service.

    Raises
    ------
    HomeError : the port is in use, the service stopped, or it is not ready in time.
    """
    with socket.socket() as asked:
        # Otherwise another server on this port would be mistaken for the service.
        if asked.connect_ex(("127.0.0.1", port)) == 0:
            raise HomeError(f"port {port} is already in use", "a free port", "choose another with --port")
    url = f"http://127.0.0.1:{port}"
    log = place / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "renewcast", "serve", "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # Only requests from this machine need no key.
            env=os.environ | {"RENEWCAST_OPEN_LOCALLY": "true"},
        )
    # Imported here because every command imports this module.
    from urllib.request import ProxyHandler, build_opener

    # Never use a proxy for this machine's own address.
    opener = build_opener(ProxyHandler({}))

    file = place / "serve.pid"
    file.write_text(str(process.pid), encoding="utf-8")
    for _ in range(PATIENCE_SECONDS * 5):
        if process.poll() is not None:
            file.unlink()
            raise HomeError(
                f"the service stopped during start-up; the reason is in {log}",
                "a free port",
                "choose another with --port",
            )
        with contextlib.suppress(OSError), opener.open(f"{url}/readyz", timeout=5) as answer:
            if answer.status == 200:
                return url
        time.sleep(0.2)
    stop(place)
    raise HomeError(f"the service was not ready within {PATIENCE_SECONDS} seconds; see {log}")


def stop(place: Path) -> None:
    """Stop the service that `start` started for ``place``, if it is still running."""
    file = place / "serve.pid"
    if file.is_file():
        with contextlib.suppress(ValueError, ProcessLookupError, PermissionError):
            os.kill(int(file.read_text(encoding="utf-8")), signal.SIGTERM)
        file.unlink()
