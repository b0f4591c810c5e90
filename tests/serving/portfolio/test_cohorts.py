"""Cohorts over HTTP and as a page: stored retention, and lifetimes from the probabilities."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.kpi.cohort_retention import cohorts
from features.signals.signals import OpenSignals
from serving.portfolio.cohorts import PortfolioCohorts
from serving.snapshots.sidecars import COHORTS, sidecar_path

BROWSER = {"Accept": "text/html"}


def ask(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/portfolio/cohorts", params=query)
    assert answer.status_code == 200, answer.text
    payload: dict[str, Any] = answer.json()
    PortfolioCohorts.model_validate(payload)
    return payload


def test_retention_matches_the_signals(client: TestClient, signals: OpenSignals, scored_home: Any) -> None:
    payload = ask(client)["retention"]
    assert payload == cohorts(signals, scored_home.summary.as_of, 90)
    assert sum(each["accounts"] for each in payload["cohorts"]) == payload["whole"]["accounts"] == 40
    assert payload["whole"]["lost"] == 1, "a39 has churned"


def test_lifetimes_depend_on_margin_and_limit(client: TestClient) -> None:
    usual, half, short = ask(client)["lifetime"], ask(client, margin=0.5)["lifetime"], ask(client, years=0.1)["lifetime"]
    assert half["whole"]["value"] == pytest.approx(usual["whole"]["value"] / 2)
    assert short["whole"]["lifetime_years"] <= 0.1 < usual["whole"]["lifetime_years"]
    values = [each["value"] for each in usual["accounts"]]
    assert values == sorted(values, reverse=True)
    few = ask(client, limit=3)["lifetime"]
    assert few["accounts"] == usual["accounts"][:3]
    assert few["more_accounts"] == len(usual["accounts"]) - 3 + usual["more_accounts"]


@pytest.mark.parametrize("query", ["margin=0", "margin=1.1", "years=0", "years=nan", "limit=-1", "period=year"])
def test_invalid_parameters_are_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/v1/portfolio/cohorts?{query}").status_code == 422


def test_missing_retention_is_null_and_lifetimes_are_returned(client: TestClient) -> None:
    payload = ask(client, as_of="2026-06-01")
    assert payload["retention"] is None
    assert payload["lifetime"]["whole"]["accounts"] > 0
    page = client.get("/cohorts?as_of=2026-06-01", headers=BROWSER)
    assert page.status_code == 200
    assert "not stored with this snapshot" in page.text


def test_an_invalid_sidecar_is_refused_without_a_traceback(own_home: Any, scored_home: Any) -> None:
    from serving.app.app import create_app
    from serving.common.settings import ServiceSettings
    from serving.snapshots.snapshot_files import SnapshotFiles

    path = sidecar_path(SnapshotFiles(own_home), scored_home.summary.as_of, COHORTS)
    path.write_text("{")
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        answer = client.get("/v1/portfolio/cohorts")
    assert answer.status_code >= 500
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_page_matches_the_json(client: TestClient) -> None:
    payload, text = ask(client), client.get("/cohorts", headers=BROWSER).text
    page = re.sub(r' data-label="[^"]*"', "", text)
    for each in payload["retention"]["cohorts"]:
        assert f'<th scope="row">{each["cohort"]}</th><td class="number">{each["accounts"]}</td><td class="number">{each["lost"]}</td>' in page
    assert 'href="/cohorts"' in client.get("/", headers=BROWSER).text
