"""The service's application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from features.errors import RenewcastError
from models.home import Home
from serving.app.cache_warmer import WARM_SECONDS, Warmer
from serving.app.openapi import Described
from serving.app.routes import ROUTES
from serving.common.background_thread import Background
from serving.common.disk_space import Disk
from serving.common.settings import GRACE, ServiceSettings, current_settings
from serving.common.thread_pool import Workers
from serving.http import problem_details
from serving.http.api_keys import list_keys
from serving.http.authentication import Door
from serving.http.idempotency import Idempotency, Repeated, repeat
from serving.http.prometheus import Measured, Metrics
from serving.http.rate_limit import Attempts
from serving.http.request_limits import Edge
from serving.http.security_headers import Sheltered
from serving.review_sign_off import tell_untold
from serving.scoring.job_worker import JobWorker
from serving.snapshots.live_state import Keeper
from serving.store.database import Store
from serving.webhooks.delivery_worker import Courier

DESCRIPTION = """Churn and expansion of B2B customer accounts: calibrated probabilities, health score, and reasons.

Every error is a problem (RFC 9457) with `code` and `errors: [{pointer, code, detail}]`. It never repeats what was sent.
"""

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
        warmer = Background("warm", Warmer(keeper).work, WARM_SECONDS)
        warmer.start()
        yield
        app.state.workers.close()
        await run_in_threadpool(warmer.stop, GRACE)
        await run_in_threadpool(app.state.jobs.stop, GRACE)
        await run_in_threadpool(courier.stop, GRACE)
        store.close()

    app = Described(
        title="Renewcast",
        version=_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        routes=ROUTES,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.home, app.state.settings, app.state.store, app.state.keeper = home, limits, store, keeper
    app.state.disk = Disk(home)
    app.state.attempts = Attempts(limits.sign_ins_a_minute)
    app.state.workers = Workers(limits.workers, limits.waiting)
    problem_details.install(app)
    app.add_exception_handler(Repeated, repeat)
    app.state.metrics = Metrics(keeper)
    # The last one added is the first to see a request.
    app.add_middleware(Idempotency, store=store, settings=limits)
    app.add_middleware(Door, store=store, settings=limits)
    app.add_middleware(Edge, settings=limits)
    app.add_middleware(Sheltered)
    app.add_middleware(Measured, metrics=app.state.metrics)
    return app


def any_key(store: Store) -> bool:
    """Whether anybody is let in; true also where the store cannot be asked."""
    try:
        with store.look() as connection:
            return any(key.revoked_at is None for key in list_keys(connection))
    except RenewcastError:
        # That it cannot is told at /readyz, and by every request that needs it.
        return True


def _version() -> str:
    try:
        return version("renewcast")
    except PackageNotFoundError:
        return "0"
