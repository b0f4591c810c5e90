"""The service: the application, and a process that runs it."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from importlib.metadata import PackageNotFoundError, version
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from features.errors import BadRequest, RenewcastError
from models.home import Home
from serving import logs, problems, routes
from serving.background import Background
from serving.calibration import tell_untold
from serving.door import Door
from serving.edge import Edge
from serving.idempotency import Idempotency
from serving.job_worker import JobWorker
from serving.keeper import Keeper
from serving.keys import list_keys
from serving.metrics import Measured, Metrics
from serving.pages.headers import Sheltered
from serving.settings import ServiceSettings, current_settings
from serving.store.database import Store
from serving.webhooks.courier import Courier
from serving.workers import Workers

DESCRIPTION = """Churn and expansion of B2B customer accounts: calibrated probabilities, health score, and reasons.

Every error is a problem (RFC 9457) with `code` and `errors: [{pointer, code, detail}]`. It never repeats what was sent.
"""

#: How long (seconds) requests under way may take to end when the service is stopped.
GRACE = 10
#: How often (seconds) deliveries that are due, and jobs of other processes, are looked for.
COURIER_SECONDS, JOBS_SECONDS = 1.0, 2.0


def create_app(home: Home, settings: ServiceSettings | None = None) -> FastAPI:
    """The application for one home.

    It loads the champion and the latest snapshot when it starts, and again when they change. It starts without them
    too: then it answers 503 and /readyz says why.

    Parameters
    ----------
    home : where the champion and the snapshots are.
    settings : the limits; those of the environment if not given.
    """
    limits = settings or current_settings()

    store = Store.of(home, limits.store_address)
    keeper = Keeper(home, limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(keeper.standing)
        await run_in_threadpool(tell_untold, home, store)
        courier = Background("courier", Courier(store, limits.webhooks_anywhere).deliver, COURIER_SECONDS)
        app.state.jobs = Background("jobs", JobWorker(home, keeper, store).work, JOBS_SECONDS)
        courier.start()
        app.state.jobs.start()
        yield
        app.state.workers.close()
        await run_in_threadpool(app.state.jobs.stop, GRACE)
        await run_in_threadpool(courier.stop, GRACE)
        store.close()

    app = FastAPI(
        title="Renewcast",
        version=_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.home, app.state.settings, app.state.store, app.state.keeper = home, limits, store, keeper
    app.state.workers = Workers(limits.workers, limits.waiting)
    app.include_router(routes.router)
    problems.install(app)
    app.state.metrics = Metrics(keeper)
    # The last one added is the first to see a request.
    app.add_middleware(Idempotency, store=store, settings=limits)
    app.add_middleware(Door, store=store, settings=limits)
    app.add_middleware(Edge, settings=limits)
    app.add_middleware(Sheltered)
    app.add_middleware(Measured, metrics=app.state.metrics)
    return app


def run(host: str, port: int, home: Home) -> None:
    """Serve until told to stop (SIGINT or SIGTERM), then let the requests under way come to their end. Logs go to
    standard error as JSON lines. Port 0 takes a free one; the log names it.

    Raises
    ------
    BadRequest : the address is not one of this machine, the port is taken or not allowed, or a setting is wrong.
    """
    app = create_app(home)
    with closing(_listen(host, port)) as listening:
        logs.log_to_stderr()
        logs.tell("listening", host=host, port=listening.getsockname()[1])
        if not _only_here(host):
            logs.tell("open_to_the_network", logging.WARNING, reason="keys are asked for, but nothing is encrypted")
        if not app.state.settings.open_locally and not _any_key(app.state.store):
            cure = "`renewcast keys create NAME` makes one; RENEWCAST_OPEN_LOCALLY=true asks for none on this machine"
            logs.tell("no_keys", logging.WARNING, reason="there is no API key, so nobody is let in", cure=cure)
        config = uvicorn.Config(
            app, access_log=False, log_config=None, server_header=False, timeout_graceful_shutdown=GRACE, lifespan="on"
        )
        _Server(config).run(sockets=[listening])
        logs.tell("stopped")


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
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "that is no address"
        raise BadRequest(
            f"cannot listen on {host}, port {port}: {reason}",
            "an address of this machine and a free port",
            "stop what listens there, or choose another with --port",
        ) from None


def _any_key(store: Store) -> bool:
    try:
        with store.look() as connection:
            return any(key.revoked_at is None for key in list_keys(connection))
    except RenewcastError:
        # What is wrong with the store is told at /readyz and by every request that needs it.
        return True


def _only_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _version() -> str:
    try:
        return version("renewcast")
    except PackageNotFoundError:
        return "0"
