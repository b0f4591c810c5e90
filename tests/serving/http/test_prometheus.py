"""Prometheus metrics: requests by path template, the current state, and no account ids."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings

MARKER = "Zq7-secret"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(client: TestClient) -> Samples:
    """Return the metrics as Prometheus' own parser reads them."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation and family.name.startswith("renewcast_") for family in families)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def of(result: Samples, name: str, **labels: str) -> float | None:
    return result.get((f"renewcast_{name}", tuple(sorted(labels.items()))))


@pytest.fixture
def counted(own_home: Home) -> Iterator[TestClient]:
    """An application without any requests so far."""
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True, retry_seconds=0.05)), client=("127.0.0.1", 1)) as client:
        yield client


def test_requests_are_counted_and_timed_by_template_method_and_status(counted: TestClient) -> None:
    for account in ("a05", "a17", MARKER):
        counted.get(f"/v1/accounts/{account}/prediction")
    counted.get(f"/{MARKER}")
    counted.delete("/v1/predictions")
    counted.request(MARKER, "/livez")
    metrics = samples(counted)
    at = {"method": "GET", "route": "/v1/accounts/{account_id}/prediction"}
    assert of(metrics, "requests_total", **at, status="200") == 2
    assert of(metrics, "requests_total", **at, status="404") == 1
    assert of(metrics, "requests_total", method="GET", route="unmatched", status="404") == 1
    assert of(metrics, "requests_total", method="DELETE", route="/v1/predictions", status="405") == 1
    assert of(metrics, "requests_total", method="other", route="/livez", status="405") == 1
    assert of(metrics, "request_seconds_count", **at) == of(metrics, "request_seconds_bucket", **at, le="+Inf") == 3
    buckets = [v for (name, labels), v in metrics.items() if name == "renewcast_request_seconds_bucket" and ("route", at["route"]) in labels]
    assert buckets == sorted(buckets), "each bucket holds the smaller ones"
    total = of(metrics, "request_seconds_sum", **at)
    assert total is not None
    assert 0 < total < math.inf
    assert not any(secret in str(metrics) for secret in (MARKER, "a05"))


def test_a_running_request_is_in_flight(counted: TestClient) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @counted.app.get("/waits")  # type: ignore[attr-defined]
    async def waits() -> None:
        begun.set()
        await go_on.wait()

    @counted.app.get("/ends")  # type: ignore[attr-defined]
    async def ends() -> None:
        await begun.wait()
        go_on.set()

    assert of(samples(counted), "requests_in_flight") == 1, "this one"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(counted.get, "/waits")
        while not begun.is_set():
            time.sleep(0.01)
        assert of(samples(counted), "requests_in_flight") == 2
        counted.get("/ends")
        waiting.result()
    assert of(samples(counted), "requests_in_flight") == 1


def test_the_champion_and_the_snapshot_are_metrics(counted: TestClient) -> None:
    metrics = samples(counted)
    for target in ("churn", "expansion"):
        assert of(metrics, "champion_info", target=target, version="1") == 1
    assert of(metrics, "snapshot_accounts") == 39
    age = (datetime.now(UTC) - datetime(2026, 7, 1, tzinfo=UTC)).total_seconds()
    assert of(metrics, "snapshot_age_seconds") == pytest.approx(age, abs=60)
    assert of(metrics, "degraded") == 0


def test_a_new_champion_replaces_the_old_one_in_the_metrics(counted: TestClient, own_home: Home, champions: Any) -> None:
    samples(counted)
    champions.promote(own_home, "2", targets=("churn",))
    metrics = samples(counted)
    assert of(metrics, "champion_info", target="churn", version="2") == 1
    assert of(metrics, "champion_info", target="churn", version="1") is None
    assert of(metrics, "champion_info", target="expansion", version="1") is None


def test_a_broken_bundle_is_counted_while_the_old_one_stays(counted: TestClient, own_home: Home, champions: Any) -> None:
    assert of(samples(counted), "refusals_total", what="champion") == 0
    champions.promote(own_home, "2")
    (own_home.bundle_folder("churn", "2") / "model.txt").write_text("broken")
    metrics = samples(counted)
    assert (of(metrics, "refusals_total", what="champion") or 0) >= 1
    assert of(metrics, "refusals_total", what="snapshot") == 0
    assert of(metrics, "degraded") == 1
    assert of(metrics, "champion_info", target="churn", version="1") == 1


def test_an_empty_home_has_metrics_without_an_age(tmp_path: Any) -> None:
    with TestClient(create_app(Home(tmp_path), ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        metrics = samples(client)
    assert of(metrics, "snapshot_age_seconds") is None
    assert of(metrics, "snapshot_accounts") is None
    assert of(metrics, "degraded") == 1


def test_two_applications_in_one_process_count_separately(counted: TestClient, client: TestClient) -> None:
    counted.get("/livez")
    before = of(samples(client), "requests_total", method="GET", route="/livez", status="200")
    counted.get("/livez")
    assert of(samples(client), "requests_total", method="GET", route="/livez", status="200") == before
    assert of(samples(counted), "requests_total", method="GET", route="/livez", status="200") == 2


def test_an_unexpected_error_is_counted_as_500(counted: TestClient) -> None:
    @counted.app.get("/broken")  # type: ignore[attr-defined]
    def broken() -> None:
        raise RuntimeError(MARKER)

    counted.get("/broken")
    assert of(samples(counted), "requests_total", method="GET", route="/broken", status="500") == 1
