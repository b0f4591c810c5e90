"""Prometheus metrics of the service. Labels never contain account ids: routes are path templates.

With several workers, request metrics cover all of them, including those that have ended. The state (champion,
snapshot, refusals) comes from the worker that answers the request; all workers read the same home.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.targets import TARGETS
from serving.common.settings import SHARED_METRICS
from serving.snapshots.live_state import LiveStateManager

#: A look-up takes milliseconds, scoring signals in a body half a second, and the longest request the time limit.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: Other methods are counted together, since callers can invent any number of methods.
LABELED_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one application, in a separate registry, so that one process can hold several applications."""

    def __init__(self, live: LiveStateManager) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route")
        self.requests = Counter(
            "renewcast_requests", "Requests answered.", (*labels, "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "renewcast_request_seconds",
            "Duration of requests in seconds.",
            labels,
            buckets=BUCKETS,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "renewcast_requests_in_flight",
            "Requests in progress.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        if SHARED_METRICS in os.environ:
            # The metrics of all workers instead of this worker's only.
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        self._registry.register(_LiveStateCollector(live))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format. Like any request, this may load changes in the home."""
        return generate_latest(self._registry)


class _LiveStateCollector(Collector):
    """Metrics of the current state. Without a champion or a snapshot, their metrics have no sample (not zero)."""

    def __init__(self, live: LiveStateManager) -> None:
        self._live = live

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering does not load the home."""
        return []

    def collect(self) -> Iterator[Metric]:
        state = self._live.current()
        champion = InfoMetricFamily("renewcast_champion", "The champion, by target.", labels=["target"])
        bundles = {} if state.champion is None else state.champion.bundles
        for target in TARGETS:
            if target in bundles:
                champion.add_metric([target], {"version": bundles[target].manifest.version})
        yield champion
        accounts = GaugeMetricFamily("renewcast_snapshot_accounts", "Accounts of the latest scored snapshot.")
        age = GaugeMetricFamily("renewcast_snapshot_age_seconds", "Time since the as_of of the latest snapshot.")
        if state.latest is not None:
            accounts.add_metric([], len(state.latest.assessment.frame))
            age.add_metric([], (datetime.now(UTC) - state.latest.as_of).total_seconds())
        yield accounts
        yield age
        refusals = CounterMetricFamily(
            "renewcast_refusals",
            "Number of times a broken champion or snapshot was refused. Every attempt to load it counts.",
            labels=["what"],
        )
        for what, times in sorted(self._live.refusals.items()):
            refusals.add_metric([what], times)
        yield refusals
        yield GaugeMetricFamily(
            "renewcast_degraded",
            "1 if something is refused or missing, as reported by /readyz.",
            bool(state.reasons),
        )


class MetricsMiddleware:
    """ASGI middleware that counts and times requests. It is outermost, so that it sees the responses of all others."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def send_and_count(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, send_and_count)
            finally:
                method = scope["method"] if scope["method"] in LABELED_METHODS else "other"
                route = getattr(scope.get("route"), "path_format", None) or "unmatched"
                self._metrics.requests.labels(method, route, str(status or "none")).inc()
                self._metrics.seconds.labels(method, route).observe(time.perf_counter() - began)
