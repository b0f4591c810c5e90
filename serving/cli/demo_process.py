"""A service that is left running, as a process of its own, once the command that began it has ended."""

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
"""A service that is not ready by then has failed."""


def start(place: Path, port: int) -> str:
    """Start the service, wait until it is ready, and give its address. Its log and its process id lie in ``place``.

    It lets this machine in without a key.

    Raises
    ------
    HomeError : the port is taken, it has stopped at once, or it is not ready in time.
    """
    with socket.socket() as asked:
        # Else that which answers there would be taken for the service.
        if asked.connect_ex(("127.0.0.1", port)) == 0:
            raise HomeError(f"something answers on port {port} already", "a free port", "choose another with --port")
    url = f"http://127.0.0.1:{port}"
    log = place / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "renewcast", "serve", "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # It is looked at from this machine; elsewhere a key is asked for.
            env=os.environ | {"RENEWCAST_OPEN_LOCALLY": "true"},
        )
    # Only here: every command imports this file.
    from urllib.request import ProxyHandler, build_opener

    # No proxy knows this machine's own addresses.
    opener = build_opener(ProxyHandler({}))

    file = place / "serve.pid"
    file.write_text(str(process.pid), encoding="utf-8")
    for _ in range(PATIENCE_SECONDS * 5):
        if process.poll() is not None:
            file.unlink()
            raise HomeError(f"the service stopped at once; {log} says why", "a free port", "choose another with --port")
        with contextlib.suppress(OSError), opener.open(f"{url}/readyz", timeout=5) as answer:
            if answer.status == 200:
                return url
        time.sleep(0.2)
    stop(place)
    raise HomeError(f"the service was not ready within {PATIENCE_SECONDS} seconds; {log} says more")


def stop(place: Path) -> None:
    """Stop the service that `start` left running for ``place``, if it still runs."""
    file = place / "serve.pid"
    if file.is_file():
        with contextlib.suppress(ValueError, ProcessLookupError, PermissionError):
            os.kill(int(file.read_text(encoding="utf-8")), signal.SIGTERM)
        file.unlink()
