"""The worklist over HTTP: largest ARR at risk first, without accounts in progress, with recorded actions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from models.home import Home
from models.predictions.table_export import write_frame
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.store.database import Store
from serving.worklist.account_view import WorklistAccounts
from serving.worklist.schemas import WorklistResponse
from serving.worklist.table import WORKLIST_COLUMNS, worklist_frame

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)


def ask(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/worklist", params=query)
    assert answer.status_code == 200, answer.text
    payload: dict[str, Any] = answer.json()
    WorklistResponse.model_validate(payload)
    return payload


def at_home(home: Home) -> TestClient:
    return TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1))


@pytest.fixture(scope="module")
def some_home(champions: Any, publish: Any, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two accounts renew tomorrow, the others far away."""
    home = Home(tmp_path_factory.mktemp("work") / "home")
    champions.promote(home, "1")
    until = [1.0] * 2 + [200.0] * (len(champions.frame) - 2)
    publish(home, champions.frame.assign(**{"contract.days_to_renewal": until}), AS_OF)
    return home


@pytest.fixture(scope="module")
def client(some_home: Home) -> Iterator[TestClient]:
    with at_home(some_home) as opened:
        yield opened


def test_a_file_has_every_field_also_with_several_reasons(client: TestClient, tmp_path: Path) -> None:
    payload = ask(client, capacity=1000)
    for item in payload["accounts"]:
        item["play"]["because"] = ["churn_high", "competitor"]
    write_frame(worklist_frame(payload), tmp_path / "worklist.csv")
    frame = pd.read_csv(tmp_path / "worklist.csv")
    assert set(frame.columns) == set(WORKLIST_COLUMNS)
    assert set(frame["play_because"]) == {"churn_high; competitor"}
    assert frame["play_act"].tolist() == [item["play"]["act"] for item in payload["accounts"]]


def test_the_most_arr_at_risk_comes_first(client: TestClient) -> None:
    payload = ask(client, capacity=1000)
    values = [item["arr_at_risk"] for item in payload["accounts"] if item["arr_at_risk"] is not None]
    assert values == sorted(values, reverse=True)
    assert payload["ordered_by"] == "arr_at_risk"
    assert [item["rank"] for item in payload["accounts"]] == list(range(1, len(payload["accounts"]) + 1))
    for item in payload["accounts"]:
        if item["arr_at_risk"] is not None:
            assert item["arr_at_risk"] == pytest.approx(item["churn_probability"] * item["arr"])


def test_capacity_only_limits_the_list(client: TestClient) -> None:
    full, few, none = ask(client, capacity=1000), ask(client, capacity=5), ask(client, capacity=0)
    assert few["accounts"] == full["accounts"][:5]
    assert few["more_accounts"] == len(full["accounts"]) - 5
    assert none["accounts"] == []
    assert set(none["reached_arr_at_risk"].values()) == {0.0, full["reached_arr_at_risk"]["everyone"]}
    for order in ("worklist", "by_health_score", "at_random"):
        assert full["reached_arr_at_risk"][order] == pytest.approx(full["reached_arr_at_risk"]["everyone"])


def test_no_other_ranking_covers_more(client: TestClient) -> None:
    for capacity in (1, 5, 20):
        reached = ask(client, capacity=capacity)["reached_arr_at_risk"]
        assert reached["worklist"] >= reached["by_health_score"] - 1e-9
        assert reached["worklist"] >= reached["at_random"] - 1e-9
        accounts = ask(client, capacity=capacity)["accounts"]
        assert reached["worklist"] == pytest.approx(np.nansum([a["arr_at_risk"] or 0.0 for a in accounts]))


def test_too_late_accounts_take_no_capacity(client: TestClient) -> None:
    payload = ask(client, capacity=1000)
    late, listed = {a["account_id"] for a in payload["too_late"]}, {a["account_id"] for a in payload["accounts"]}
    assert payload["too_late_accounts"] == len(late)
    assert not late & listed
    assert all(a["renewal_at"] == "2026-07-02" for a in payload["too_late"])


def test_an_assumed_save_rate_is_labeled(client: TestClient) -> None:
    payload = ask(client, capacity=5, save_rate=0.25)
    assert (payload["save_rate"]["source"], payload["ordered_by"]) == ("assumed", "expected_saved_arr")
    assert payload["saved_arr"]["worklist"] == pytest.approx(0.25 * payload["reached_arr_at_risk"]["worklist"])
    assert payload["accounts"][0]["expected_saved_arr"] == pytest.approx(0.25 * payload["accounts"][0]["arr_at_risk"])
    assert ask(client, capacity=5)["saved_arr"]["worklist"] is None, "unknown is not zero"


def test_a_recorded_intervention_is_under_way_until_its_outcome(own_home: Home) -> None:
    with at_home(own_home) as client:
        before = ask(client, capacity=3)
        first, second, third = (item["account_id"] for item in before["accounts"])
        body = {"occurred_at": "2026-06-25T09:00:00Z", "play": "check-in"}
        response = client.post("/v1/interventions", json={"account_id": first, **body})
        assert response.status_code == 201
        client.post("/v1/interventions", json={"account_id": second, **body, "held_out": True})
        during = ask(client, capacity=3)
        assert next(item["account_id"] for item in during["accounts"]) == third
        assert (during["under_way"], during["held_out"], during["interventions"]["open"]) == (1, 1, 1)
        outcome = {"account_id": first, "occurred_at": "2026-06-30T09:00:00Z", "result": "saved"}
        client.post("/v1/outcomes", json=outcome | {"intervention_id": response.json()["id"]})
        after = ask(client, capacity=3)
    assert (after["under_way"], after["interventions"]["saved"]) == (0, 1)
    assert after["interventions"]["save_rate"]["value"] == 1.0
    assert first in {item["account_id"] for item in after["accounts"]}
    assert after["interventions"]["effect"] is None


def test_actions_of_other_processes_show_immediately_and_the_snapshot_is_read_once(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    view = WorklistAccounts.of
    monkeypatch.setattr(WorklistAccounts, "of", lambda *args: (reads.append(1), view(*args))[1])
    with at_home(own_home) as one, at_home(own_home) as other:
        # Background preparation has finished.
        first = ask(one, capacity=3)["accounts"][0]["account_id"]
        assert ask(other, capacity=3)["accounts"][0]["account_id"] == first
        reads_before = len(reads)
        other.post("/v1/interventions", json={"account_id": first, "occurred_at": "2026-06-25T09:00:00Z", "play": "check-in"})
        for client in (one, other):
            payload = ask(client, capacity=3)
            assert payload["under_way"] == 1
            assert first not in {item["account_id"] for item in payload["accounts"]}
            listed = client.get("/worklist?capacity=10").text.partition('id="list"')[2]
            assert first not in listed.partition("Too late for a play")[0]
        assert len(reads) == reads_before
        assert ask(one, capacity=3) == ask(one, capacity=3)


def test_a_store_without_versions_is_read_each_time(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "version", lambda _: None)
    with at_home(own_home) as client:
        first = ask(client, capacity=3)["accounts"][0]["account_id"]
        client.post("/v1/interventions", json={"account_id": first, "occurred_at": "2026-06-25T09:00:00Z", "play": "check-in"})
        assert ask(client, capacity=3)["under_way"] == 1


def test_a_csm_sees_only_their_accounts(own_home: Home, scored_home: Any) -> None:
    with at_home(own_home) as client:
        assert client.get("/v1/worklist", params={"csm": "a999"}).status_code == 422
        assert client.get("/v1/worklist", params={"capacity": -1}).status_code == 422
        assert client.get("/v1/worklist", params={"save_rate": 2}).status_code == 422


def test_without_a_model_accounts_are_ranked_by_health(own_home: Home) -> None:
    own_home.champion_file.unlink()
    with at_home(own_home) as client:
        payload = ask(client, capacity=1000)
    scores = [item["health_score"] for item in payload["accounts"] if item["health_score"] is not None]
    assert payload["ordered_by"] == "health"
    assert scores == sorted(scores)
    assert payload["reached_arr_at_risk"]["worklist"] is None
