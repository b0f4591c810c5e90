"""The FastAPI application of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from features.errors import RenewcastError
from models.home import Home
from models.portfolio_settings import use_portfolio_settings
from serving.app.cache_warmer import WARM_SECONDS, CacheWarmer
from serving.app.openapi import RenewcastAPI
from serving.app.routes import ROUTES
from serving.common.background_thread import BackgroundThread
from serving.common.disk_space import Disk
from serving.common.settings import GRACE, ServiceSettings, current_settings
from serving.common.thread_pool import ThreadPool
from serving.http import problem_details
from serving.http.api_keys import list_keys
from serving.http.authentication import AuthenticationMiddleware
from serving.http.idempotency import IdempotencyMiddleware, ReplayedResponse, replay_response
from serving.http.prometheus import Metrics, MetricsMiddleware
from serving.http.rate_limit import SignInLimiter
from serving.http.request_limits import RequestLimitsMiddleware
from serving.http.security_headers import SecurityHeadersMiddleware
from serving.pages.page_view import OtherAddress, redirect_to_address
from serving.review_sign_off import notify_missed_approvals
from serving.scoring.job_worker import JobWorker
from serving.snapshots.live_state import LiveStateManager
from serving.store.database import Store
from serving.webhooks.delivery_worker import DeliveryWorker

DESCRIPTION = """Churn and expansion of B2B customer accounts: calibrated probabilities, health score, and reasons.

Every error is a problem (RFC 9457) with `code` and `errors: [{pointer, code, detail}]`. It never repeats sent values.
"""

#: How often (seconds) due deliveries and queued jobs are checked.
DELIVERY_SECONDS, JOBS_SECONDS = 1.0, 2.0


def create_app(home: Home, settings: ServiceSettings | None = None) -> FastAPI:
    """Create the application for one home.

    It loads the champion and the latest snapshot when it starts, and again when they change. Without them it also
    starts, but responds with 503, and /readyz gives the reason.

    Parameters
    ----------
    home : contains the champion and the snapshots.
    settings : limits and options; by default those of the environment.
    """
    limits = settings or current_settings()
    use_portfolio_settings(home)
    store = Store.of(home, limits.store_address)
    live = LiveStateManager(home, limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(live.current)
        await run_in_threadpool(notify_missed_approvals, home, store)
        delivery_worker = DeliveryWorker(store, limits.webhooks_anywhere)
        # The name is part of the log event courier_failed.
        deliveries = BackgroundThread("courier", delivery_worker.deliver, DELIVERY_SECONDS)
        app.state.jobs = BackgroundThread("jobs", JobWorker(home, live, store).work, JOBS_SECONDS)
        deliveries.start()
        app.state.jobs.start()
        warmer = BackgroundThread("warm", CacheWarmer(live).work, WARM_SECONDS)
        warmer.start()
        yield
        app.state.workers.close()
        await run_in_threadpool(warmer.stop, GRACE)
        await run_in_threadpool(app.state.jobs.stop, GRACE)
        await run_in_threadpool(deliveries.stop, GRACE)
        store.close()

    app = RenewcastAPI(
        title="Renewcast",
        version=_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        routes=ROUTES,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.home, app.state.settings, app.state.store, app.state.live = home, limits, store, live
    app.state.disk = Disk(home)
    app.state.attempts = SignInLimiter(limits.sign_ins_a_minute)
    app.state.workers = ThreadPool(limits.workers, limits.waiting)
    problem_details.install_error_handlers(app)
    app.add_exception_handler(ReplayedResponse, replay_response)
    app.add_exception_handler(OtherAddress, redirect_to_address)
    app.state.metrics = Metrics(live)
    # The middleware that is added last handles a request first.
    app.add_middleware(IdempotencyMiddleware, store=store, settings=limits)
    app.add_middleware(AuthenticationMiddleware, store=store, settings=limits)
    app.add_middleware(RequestLimitsMiddleware, settings=limits)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(MetricsMiddleware, metrics=app.state.metrics)
    return app


def has_active_key(store: Store) -> bool:
    """Return whether there is a valid API key. True also if the store cannot be read."""
    try:
        with store.read() as connection:
            return any(key.revoked_at is None for key in list_keys(connection))
    except RenewcastError:
        # /readyz reports this error, and so does every request that needs the store.
        return True


def _version() -> str:
    try:
        return version("renewcast")
    except PackageNotFoundError:
        return "0"
