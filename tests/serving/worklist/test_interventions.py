"""Interventions over HTTP: who did what is recorded, no concurrent change is lost, and results follow from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.home import Home
from models.rules.intervention_effects import InterventionRecord, report_interventions
from models.rules.intervention_results import MIN_CLOSED, results_by_alert, results_by_play
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.http.api_keys import create_key
from serving.schemas.predictions import Problem
from serving.store.database import Store
from serving.store.records import Author, store_record
from serving.worklist.intervention_history import find_intervention
from serving.worklist.intervention_schemas import (
    ActiveAlerts,
    InterventionPage,
    InterventionResponse,
    InterventionResults,
)

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
PEOPLE = ("Ada", "Grace")


@pytest.fixture(scope="module")
def home(scored_home: Any, copy_home: Callable[[Home, Path], Home], tmp_path_factory: pytest.TempPathFactory) -> Home:
    return copy_home(scored_home.home, tmp_path_factory.mktemp("worked") / "home")


@pytest.fixture(scope="module")
def keys(home: Home) -> dict[str, dict[str, str]]:
    """Headers of two people who may write, and of one who may read."""
    scopes = {**dict.fromkeys(PEOPLE, ("predict", "write")), "Reader": ("predict",)}
    with Store.of(home).begin() as connection:
        return {name: {"X-API-Key": create_key(connection, name, granted)[1]} for name, granted in scopes.items()}


@pytest.fixture(scope="module")
def client(home: Home, keys: dict[str, dict[str, str]]) -> Iterator[TestClient]:
    with TestClient(create_app(home, ServiceSettings()), headers=keys["Ada"]) as opened:
        yield opened


_unused = iter(f"x{number}" for number in range(10_000))


@pytest.fixture
def account() -> str:
    """An account that no other test uses."""
    return next(_unused)


def start(client: TestClient, account: str, **more: Any) -> str:
    at = more.pop("at", datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    answer = client.post("/v1/interventions", json={"account_id": account, "occurred_at": at, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["etag"] == '"1"'
    intervention_id: str = answer.json()["id"]
    return intervention_id


def change(client: TestClient, intervention_id: str, version: int | None, body: dict[str, Any], **more: Any) -> Any:
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    return client.patch(f"/v1/interventions/{intervention_id}", json=body, headers={**headers, **more.get("headers", {})})


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def test_an_intervention_goes_from_start_to_close_and_its_history_says_who(client: TestClient, keys: Any, account: str) -> None:
    key = start(client, account, play="low_engagement", assignee="Ada", note="called")
    steps = [
        ({"assignee": "Grace"}, ["assigned"], "open"),
        ({"snoozed_until": in_days(7), "note": "on leave"}, ["snoozed"], "snoozed"),
        ({"snoozed_until": None}, ["resumed"], "open"),
        ({"note": "a second\ncall"}, ["noted"], "open"),
        ({"result": "no_effect"}, ["closed"], "closed"),
        ({"result": "saved", "arr": 1200.0}, ["corrected"], "closed"),
        ({"note": "signed"}, ["noted"], "closed"),
    ]
    for version, (body, actions, state) in enumerate(steps, 2):
        who = PEOPLE[version % 2]
        answer = change(client, key, version - 1, body, headers=keys[who])
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == f'"{version}"'
        payload = answer.json()
        InterventionResponse.model_validate(payload, strict=True)
        assert (payload["state"], payload["version"]) == (state, version)
        last = payload["history"][-1]
        assert (last["by"], last["actions"], last["note"]) == (who, actions, body.get("note"))
    read = client.get(f"/v1/interventions/{key}")
    assert read.json() == payload
    assert read.headers["etag"] == answer.headers["etag"]
    assert (payload["result"], payload["arr"], payload["assignee"]) == ("saved", 1200.0, "Grace")
    assert [entry["version"] for entry in payload["history"]] == list(range(1, 9))
    page = client.get("/v1/interventions", params={"account_id": account}).json()
    InterventionPage.model_validate(page, strict=True)
    assert page == {"data": [payload], "more": 0}
    assert client.get("/v1/interventions", params={"account_id": account, "state": "open"}).json()["data"] == []


def test_of_two_concurrent_changes_the_second_gets_the_first_and_loses_nothing(client: TestClient, keys: Any, account: str) -> None:
    key = start(client, account, play="low_engagement")
    assert change(client, key, 1, {"note": "first"}, headers=keys["Ada"]).status_code == 200
    refused = change(client, key, 1, {"note": "second", "result": "lost"}, headers=keys["Grace"])
    assert (refused.status_code, refused.json()["code"]) == (412, "changed_meanwhile")
    Problem.model_validate(refused.json(), strict=True)
    current = refused.json()["current"]
    assert current == client.get(f"/v1/interventions/{key}").json()
    assert (current["history"][-1]["by"], current["history"][-1]["note"]) == ("Ada", "first")
    again = change(client, key, current["version"], {"note": "second", "result": "lost"}, headers=keys["Grace"])
    assert [entry["note"] for entry in again.json()["history"]] == [None, "first", "second"]


def test_many_people_change_one_intervention_and_every_note_is_stored_once(client: TestClient, keys: Any, account: str) -> None:
    """Each repeats a refused change for the present version, as a person does."""
    key, threads, notes = start(client, account), 6, 4
    begin, refusals = threading.Barrier(threads), []

    def write(thread: int) -> None:
        begin.wait()
        for number in range(notes):
            version = client.get(f"/v1/interventions/{key}").json()["version"]
            while (answer := change(client, key, version, {"note": f"{thread}-{number}"}, headers=keys[PEOPLE[thread % 2]])).status_code == 412:
                refusals.append(thread)
                version = answer.json()["current"]["version"]
            assert answer.status_code == 200, answer.text

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, range(threads)))
    history = client.get(f"/v1/interventions/{key}").json()["history"][1:]
    assert sorted(entry["note"] for entry in history) == sorted(f"{t}-{n}" for t in range(threads) for n in range(notes))
    assert [entry["version"] for entry in history] == list(range(2, threads * notes + 2))
    assert refusals, "the changes did overlap"


def test_people_who_start_at_the_same_time_start_one_intervention(client: TestClient, account: str) -> None:
    body = {"account_id": account, "occurred_at": "2026-07-02T09:00:00Z", "play": "low_engagement", "refuse_if_under_way": True}
    begin = threading.Barrier(4)

    def post(_: int) -> Any:
        begin.wait()
        return client.post("/v1/interventions", json=body)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(post, range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    (started,) = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer.status_code == 409:
            assert (answer.json()["code"], answer.json()["current"]["id"]) == ("already_under_way", started)
    assert change(client, started, 1, {"result": "lost"}).status_code == 200
    assert client.post("/v1/interventions", json=body).status_code == 201, "another one after it was closed"


def test_changes_that_do_not_fit_are_refused(client: TestClient, keys: Any, account: str) -> None:
    key = start(client, account)
    for body, pointer in (
        ({}, ""),
        ({"result": None}, ""),
        ({"result": "won"}, "/result"),
        ({"snoozed_until": in_days(0)}, "/snoozed_until"),
        ({"snoozed_until": in_days(91)}, "/snoozed_until"),
        ({"assignee": ""}, "/assignee"),
        ({"arr": -1}, "/arr"),
        ({"assignee": "a", "MARKER": 1}, ""),
    ):
        answer = change(client, key, 1, body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert change(client, key, None, {"note": "a"}).json()["code"] == "version_missing"
    assert client.patch(f"/v1/interventions/{key}", json={"note": "a"}, headers={"If-Match": "*"}).status_code == 422
    assert change(client, "int_unknown", 1, {"note": "a"}).status_code == 404
    assert change(client, key, 1, {"note": "a"}, headers=keys["Reader"]).status_code == 403
    assert client.get(f"/v1/interventions/{key}", headers=keys["Reader"]).json()["version"] == 1
    assert change(client, key, 1, {"assignee": None}).json()["version"] == 1, "nothing has changed"
    assert change(client, key, 1, {"result": "saved"}).status_code == 200
    assert "is closed" in change(client, key, 2, {"assignee": "Ada"}).json()["detail"]
    held = start(client, f"{account}-held", held_out=True)
    assert "held out" in change(client, held, 1, {"result": "saved"}).json()["detail"]
    assert change(client, held, 1, {"note": "asked about it"}).status_code == 200


def test_outcomes_close_interventions_once_and_raise_their_version(client: TestClient, account: str) -> None:
    first = start(client, account, play="low_adoption", at=AS_OF)
    second = start(client, account, play="low_engagement", at=AS_OF + timedelta(days=1))
    outcome = {"account_id": account, "occurred_at": "2026-07-10", "result": "no_effect"}
    assert client.post("/v1/outcomes", json=outcome).status_code == 201
    states = {key: client.get(f"/v1/interventions/{key}").json() for key in (first, second)}
    assert [states[key]["state"] for key in (first, second)] == ["open", "closed"], "the latest one"
    assert (states[second]["closed_at"], states[second]["result"], states[second]["version"]) == ("2026-07-10", "no_effect", 2)
    assert change(client, second, 1, {"note": "a"}).status_code == 412, "the outcome is a change"
    assert client.post("/v1/outcomes", json={**outcome, "result": "expanded"}).status_code == 201
    assert client.get(f"/v1/interventions/{first}").json()["state"] == "open"
    named = {**outcome, "result": "lost", "intervention_id": first, "arr": 10.0, "note": "moved"}
    assert client.post("/v1/outcomes", json=named).status_code == 201
    closed = client.get(f"/v1/interventions/{first}").json()
    assert (closed["result"], closed["arr"], closed["history"][-1]["note"]) == ("lost", 10.0, "moved")


def test_outcomes_that_earlier_releases_stored_still_close_interventions(client: TestClient, home: Home, account: str) -> None:
    with Store.of(home).begin() as connection:
        who = Author("key_gone", "Someone")
        started = store_record(connection, "intervention", account, AS_OF, {"play": "low_adoption"}, who)
        store_record(connection, "outcome", account, AS_OF + timedelta(days=3), {"result": "saved"}, who)
        assert find_intervention(connection, started.id).result == "saved"
    assert client.get(f"/v1/interventions/{started.id}").json()["closed_at"] == "2026-07-04"


def test_a_deleted_record_takes_its_changes_with_it(client: TestClient, home: Home, account: str) -> None:
    """No note of a person remains when the record of an account is erased."""
    from serving.store.tables import intervention_changes, records

    key = start(client, account, note="personal")
    assert change(client, key, 1, {"note": "more personal"}).status_code == 200
    with Store.of(home).begin() as connection:
        connection.execute(records.delete().where(records.c.account_id == account))
        assert connection.execute(intervention_changes.select().where(intervention_changes.c.intervention_id == key)).all() == []


def test_an_alerted_account_is_off_the_list_of_alerts_while_a_play_runs_and_after(client: TestClient) -> None:
    before = client.get("/v1/alerts/active").json()
    ActiveAlerts.model_validate(before, strict=True)
    assert before["suppressed_accounts"] == 0
    first = before["accounts"][0]
    keys = [alert["key"] for alert in first["alerts"]]
    key = start(client, first["account_id"], play="low_engagement")
    assert client.get(f"/v1/interventions/{key}").json()["alerts"] == keys, "the alerts that led to it"
    after = client.get("/v1/alerts/active").json()
    assert first["account_id"] not in {each["account_id"] for each in after["accounts"]}
    assert after["suppressed_accounts"] == 1
    (suppressed,) = client.get("/v1/alerts/active?suppressed=true").json()["accounts"]
    assert client.get("/v1/alerts/active?state=under_way").json()["accounts"] == [suppressed]
    assert (suppressed["account_id"], suppressed["state"], suppressed["suppressed"]) == (first["account_id"], "under_way", True)
    for code in {alert["code"] for alert in first["alerts"]}:
        listed = client.get("/v1/alerts/active", params={"code": code}).json()["accounts"]
        assert {alert["code"] for each in listed for alert in each["alerts"]} <= {code}
    assert change(client, key, 1, {"result": "saved"}).status_code == 200
    closed = client.get("/v1/alerts/active").json()
    assert (closed["suppressed_accounts"], closed["done_accounts"], closed["accounts"]) == (0, 1, after["accounts"])
    (done,) = client.get("/v1/alerts/active?state=done").json()["accounts"]
    assert (done["account_id"], done["state"], done["suppressed"]) == (first["account_id"], "done", False)
    results = client.get("/v1/interventions:results").json()
    InterventionResults.model_validate(results, strict=True)
    worked = {each["code"]: each for each in results["by_alert"]}
    assert all(worked[key.partition(":")[0]]["saved"] == 1 for key in keys)
    assert all(each["precision"] is None and each["why_unknown"] for each in worked.values())


def _closed(result: str, many: int, play: str = "low_engagement", alerts: tuple[str, ...] = ()) -> list[InterventionRecord]:
    return [
        InterventionRecord(f"{play}{result}{i}", AS_OF, False, AS_OF, result, play=play, alerts=alerts)  # type: ignore[arg-type]
        for i in range(many)
    ]


def test_rates_are_known_from_a_stated_number_of_closed_interventions_on() -> None:
    held = InterventionRecord("h", AS_OF, True, play="low_engagement", alerts=("into_red",))
    still = InterventionRecord("o", AS_OF, False, play="low_engagement", alerts=("into_red",))
    both = ("into_red", "churn_risk")
    records = [held, still, *_closed("saved", 9, alerts=both), *_closed("lost", 5, alerts=both), *_closed("no_effect", 5)]
    (play,) = results_by_play(records)
    assert (play.open, play.saved, play.lost, play.no_effect, play.closed) == (1, 9, 5, 5, MIN_CLOSED - 1)
    assert play.rate is None
    assert play.why_unknown == f"14 saved or lost, {MIN_CLOSED} needed"
    more = [*records, *_closed("no_effect", 1, "low_engagement_"), *_closed("no_effect", 6, "other", ("into_red",))]
    known = {each.name: each for each in results_by_alert(more)}
    assert known["into_red"].rate is not None
    assert (known["into_red"].rate.value, known["into_red"].rate.of) == (0.7, 20), "14 of 20 were saved or lost"
    assert known["into_red"].rate.low < 0.7 < known["into_red"].rate.high
    assert known["churn_risk"].rate is None
    assert (known["score_drop"].closed, known["score_drop"].open) == (0, 0)
    assert known["churn_risk"].why_unknown == f"14 closed, {MIN_CLOSED} needed"
    (first, *_) = results_by_play([*records, *_closed("lost", 6, "low_engagement")])
    assert first.rate is not None
    assert (first.rate.value, first.rate.of) == (pytest.approx(9 / 20), 20), "those without effect do not count"
    report = report_interventions([*_closed("saved", 3), *_closed("lost", 1), *_closed("no_effect", 4)])
    assert report.save_rate is not None
    assert (report.save_rate.value, report.save_rate.of) == (0.75, 4)
