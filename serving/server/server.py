"""`renewcast serve`: a listening socket, and one or several processes that serve requests on it.

This module imports little, since with several workers the supervisor process needs nothing else.
"""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import sys
import threading
from contextlib import closing
from multiprocessing.connection import Connection
from types import FrameType
from typing import TextIO

import uvicorn

from features.errors import BadRequest
from models.home import Home
from serving.common import json_logs
from serving.common.settings import GRACE, current_settings
from serving.server.worker_supervisor import ALIVE_SECONDS, Supervisor

WORKERS_LIMIT = 64


def run_server(host: str, port: int, home: Home, workers: int = 1) -> None:
    """Serve until SIGINT or SIGTERM, then let running requests finish. Logs go to standard error as JSON lines;
    a terminal first gets one plain line with the address.

    Parameters
    ----------
    host, port : address to listen on. Port 0 selects a free port, which the log names.
    home : the home to serve.
    workers : number of processes that share the socket; see `serving.server.worker_supervisor`.

    Raises
    ------
    BadRequest : the address does not belong to this machine, the port is in use or not allowed, or a setting is wrong.
    HomeError : no worker starts.
    """
    current_settings()
    if not 1 <= workers <= WORKERS_LIMIT:
        raise BadRequest(
            f"invalid number of workers: {workers}", f"1 to {WORKERS_LIMIT}", "choose another number with --workers"
        )
    with closing(_listen(host, port)) as listening:
        json_logs.log_to_stderr()
        json_logs.log_event("listening", host=host, port=listening.getsockname()[1], workers=workers)
        if not _is_loopback(host):
            json_logs.log_event(
                "open_to_the_network", logging.WARNING, reason="keys are required, but connections are not encrypted"
            )
        print_address(host, listening.getsockname()[1], sys.stderr)
        if workers == 1:
            serve_requests(listening, home)
        else:
            Supervisor(run_worker, listening, home, workers).run()
        json_logs.log_event("stopped")


def print_address(host: str, port: int, stream: TextIO) -> None:
    """Say in one line where the service listens and what to open, if the stream is a terminal.

    Logs remain JSON, and a pipe or a file gets only them.
    """
    if not stream.isatty():
        return
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        shown = host
    else:
        # An address for all interfaces is no address to open.
        shown = "localhost" if address.is_unspecified else f"[{host}]" if address.version == 6 else host
    where = "all addresses of this machine" if shown == "localhost" != host else host
    stream.write(
        f"Renewcast listens on {where}, port {port}. Open http://{shown}:{port}/ in a browser. Ctrl+C stops it.\n"
    )
    stream.flush()


def run_worker(listening: socket.socket, home: Home, supervisor: Connection, first: bool) -> None:
    """Serve as one of several processes, until the supervisor has ended.

    Parameters
    ----------
    listening : the socket that all processes share.
    home : the home.
    supervisor : where the process reports to.
    first : whether it is the first process.
    """
    json_logs.log_to_stderr()
    serve_requests(listening, home, supervisor, first)


def serve_requests(
    listening: socket.socket, home: Home, supervisor: Connection | None = None, first: bool = True
) -> None:
    """Serve requests on a socket until the process is stopped.

    Parameters
    ----------
    supervisor : gets a message every few seconds while the process serves; None without a supervisor.
    first : whether this process warns about a deployment without keys.
    """
    # Imported here, since the supervisor process does not need it.
    from serving.server.preload import create_app, has_active_key, limited_protocol

    app = create_app(home)
    if first and not app.state.settings.open_locally and not has_active_key(app.state.store):
        cure = "`renewcast keys create NAME` creates one; with RENEWCAST_OPEN_LOCALLY=true this machine needs none"
        json_logs.log_event("no_keys", logging.WARNING, reason="there is no API key, so no one has access", cure=cure)

    async def alive() -> None:
        if supervisor is not None:
            try:
                supervisor.send_bytes(b"alive")
            except OSError:
                server.should_exit = True

    config = uvicorn.Config(
        app,
        http=limited_protocol(app.state.settings),
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        lifespan="on",
        callback_notify=alive,
        timeout_notify=ALIVE_SECONDS,
    )
    server = _Server(config)
    if supervisor is not None:
        threading.Thread(target=_stop_without, args=(supervisor, server), name="supervisor", daemon=True).start()
    server.run(sockets=[listening])


def _stop_without(supervisor: Connection, server: uvicorn.Server) -> None:
    """Stop the server when the supervisor has ended, since nothing would restart or stop it otherwise."""
    try:
        while True:
            supervisor.recv_bytes()
    except (EOFError, OSError):
        server.should_exit = True


class _Server(uvicorn.Server):
    """Stops on a signal without raising the signal again, so that a requested stop is not a failure."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        if not 0 <= port <= 65535:
            raise OverflowError
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        created = socket.create_server((host, port), family=family, backlog=2048)
        # The protocol is set to TCP, since asyncio otherwise leaves Nagle's algorithm on. A response would then wait
        # 40 ms for the client's delayed acknowledgment.
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=created.detach())
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a valid address"
        raise BadRequest(
            f"cannot listen on {host}, port {port}: {reason}",
            "an address of this machine and a free port",
            "stop the program that listens there, or choose another port with --port",
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
