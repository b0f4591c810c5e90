"""Cohorts over HTTP and as a page: what was kept when the snapshot was scored, and lifetimes from its probabilities."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.kpi.cohort_retention import cohorts
from features.signals.signals import Signals
from serving.portfolio.cohorts import PortfolioCohorts
from serving.snapshots.sidecars import COHORTS, sidecar_path

BROWSER = {"Accept": "text/html"}


def ask(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/portfolio/cohorts", params=query)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    PortfolioCohorts.model_validate(told)
    return told


def test_retention_is_that_of_the_signals(client: TestClient, signals: Signals, house: Any) -> None:
    told = ask(client)["retention"]
    assert told == cohorts(signals, house.summary.as_of, 90)
    assert sum(each["accounts"] for each in told["cohorts"]) == told["whole"]["accounts"] == 40
    assert told["whole"]["lost"] == 1, "a39 has left"


def test_lifetimes_follow_margin_and_limit(client: TestClient) -> None:
    usual, half, short = ask(client)["lifetime"], ask(client, margin=0.5)["lifetime"], ask(client, years=0.1)["lifetime"]
    assert half["whole"]["value"] == pytest.approx(usual["whole"]["value"] / 2)
    assert short["whole"]["lifetime_years"] <= 0.1 < usual["whole"]["lifetime_years"]
    values = [each["value"] for each in usual["accounts"]]
    assert values == sorted(values, reverse=True)
    few = ask(client, limit=3)["lifetime"]
    assert few["accounts"] == usual["accounts"][:3]
    assert few["more_accounts"] == len(usual["accounts"]) - 3 + usual["more_accounts"]


@pytest.mark.parametrize("query", ["margin=0", "margin=1.1", "years=0", "years=nan", "limit=-1", "period=year"])
def test_what_cannot_be_asked_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/v1/portfolio/cohorts?{query}").status_code == 422


def test_what_was_not_kept_is_not_known_and_the_rest_is_told(client: TestClient) -> None:
    told = ask(client, as_of="2026-06-01")
    assert told["retention"] is None
    assert told["lifetime"]["whole"]["accounts"] > 0
    page = client.get("/cohorts?as_of=2026-06-01", headers=BROWSER)
    assert page.status_code == 200
    assert "Not known of this snapshot" in page.text


def test_what_was_kept_and_is_broken_is_refused_without_a_trace(own_home: Any, house: Any) -> None:
    from serving.app.app import create_app
    from serving.common.settings import ServiceSettings
    from serving.snapshots.snapshot_files import SnapshotFiles

    path = sidecar_path(SnapshotFiles(own_home), house.summary.as_of, COHORTS)
    path.write_text("{")
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        answer = client.get("/v1/portfolio/cohorts")
    assert answer.status_code >= 500
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_page_says_what_the_json_says(client: TestClient) -> None:
    told, page = ask(client), client.get("/cohorts", headers=BROWSER).text
    for each in told["retention"]["cohorts"]:
        assert f'<th scope="row">{each["cohort"]}</th><td class="number">{each["accounts"]}</td><td class="number">{each["lost"]}</td>' in page
    assert 'href="/cohorts"' in client.get("/", headers=BROWSER).text
