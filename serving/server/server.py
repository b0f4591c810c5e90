"""`renewcast serve`: a listening socket, and the process or processes that answer on it.

This file imports little, since with several workers the process that looks after them holds nothing else.
"""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import threading
from contextlib import closing
from multiprocessing.connection import Connection
from types import FrameType

import uvicorn

from features.errors import BadRequest
from models.home import Home
from serving.common import json_logs
from serving.common.settings import GRACE, current_settings
from serving.server.worker_supervisor import ALIVE_SECONDS, Supervisor

WORKERS_LIMIT = 64


def run_server(host: str, port: int, home: Home, workers: int = 1) -> None:
    """Serve until told to stop (SIGINT or SIGTERM), then let the requests under way come to their end. Logs go to
    standard error as JSON lines. Port 0 takes a free one; the log names it.

    Parameters
    ----------
    workers : how many processes answer on the one socket; see `serving.server.worker_supervisor`.

    Raises
    ------
    BadRequest : the address is not one of this machine, the port is taken or not allowed, or a setting is wrong.
    HomeError : no worker comes up.
    """
    current_settings()
    if not 1 <= workers <= WORKERS_LIMIT:
        raise BadRequest(f"{workers} workers", f"1 to {WORKERS_LIMIT}", "choose with --workers")
    with closing(_listen(host, port)) as listening:
        json_logs.log_to_stderr()
        json_logs.log_event("listening", host=host, port=listening.getsockname()[1], workers=workers)
        if not _is_loopback(host):
            json_logs.log_event(
                "open_to_the_network", logging.WARNING, reason="keys are asked for, but nothing is encrypted"
            )
        if workers == 1:
            serve_requests(listening, home)
        else:
            Supervisor(run_worker, listening, home, workers).run()
        json_logs.log_event("stopped")


def run_worker(listening: socket.socket, home: Home, supervisor: Connection, first: bool) -> None:
    """One of several processes: serves, and tells ``supervisor`` so; stops when that one is gone."""
    json_logs.log_to_stderr()
    serve_requests(listening, home, supervisor, first)


def serve_requests(
    listening: socket.socket, home: Home, supervisor: Connection | None = None, first: bool = True
) -> None:
    """Answer on a socket until told to stop.

    Parameters
    ----------
    supervisor : is told every few seconds that requests are taken; without it, nobody is.
    first : whether it is this process that warns of a deployment without keys.
    """
    # Only here, since the process that looks after the workers does without.
    from serving.server.preload import create_app, has_active_key, limited_protocol

    app = create_app(home)
    if first and not app.state.settings.open_locally and not has_active_key(app.state.store):
        cure = "`renewcast keys create NAME` makes one; RENEWCAST_OPEN_LOCALLY=true asks for none on this machine"
        json_logs.log_event("no_keys", logging.WARNING, reason="there is no API key, so nobody is let in", cure=cure)

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
    """Stop the server once the supervisor is gone: nobody would start it anew or stop it."""
    try:
        while True:
            supervisor.recv_bytes()
    except (EOFError, OSError):
        server.should_exit = True


class _Server(uvicorn.Server):
    """Stops on a signal without raising it once more, so that a stop that was asked for is no failure."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        if not 0 <= port <= 65535:
            raise OverflowError
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.create_server((host, port), family=family, backlog=2048)
        # Named as TCP, without which asyncio leaves Nagle's algorithm on: an answer then waits 40 ms for the caller's
        # delayed acknowledgement.
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "that is no address"
        raise BadRequest(
            f"cannot listen on {host}, port {port}: {reason}",
            "an address of this machine and a free port",
            "stop what listens there, or choose another with --port",
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
