"""A new champion or snapshot is loaded without a restart; a broken one is refused and the old one stays in use."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from features.catalogue.catalogue import CATALOGUE, Catalogue
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.snapshots import live_state as live_state_module
from serving.snapshots.live_state import LiveStateManager
from serving.snapshots.scored_snapshot import SnapshotCache
from serving.snapshots.snapshot_files import SnapshotFiles

AT = "/v1/accounts/a05/prediction"
QUICK = ServiceSettings(open_locally=True, retry_seconds=0.05, snapshots_in_memory=1)
JULY, JUNE = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def served(own_home: Home) -> Iterator[TestClient]:
    with TestClient(create_app(own_home, QUICK), client=("127.0.0.1", 1)) as client:
        assert client.get("/readyz").json()["status"] == "ready"
        yield client


def test_a_new_champion_answers_the_next_request(served: TestClient, own_home: Home, champions: Any) -> None:
    before = served.get(AT).json()
    champions.promote(own_home, "2", seed=2)
    after = served.get(AT).json()
    assert (before["model"]["version"], after["model"]["version"]) == ("1", "2")
    assert before["churn"]["probability"] != after["churn"]["probability"]
    assert served.get(AT, params={"as_of": "2026-06-01"}).json()["model"]["version"] == "2"
    champions.promote(own_home, "4")
    assert served.get(AT).json()["churn"]["probability"] == before["churn"]["probability"]


def test_no_request_fails_while_champions_change(served: TestClient, own_home: Home, champions: Any) -> None:
    def ask(_: int) -> tuple[int, str]:
        answer = served.get(AT)
        return answer.status_code, answer.json().get("model", {}).get("version")

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(ask, k) for k in range(40)]
        champions.promote(own_home, "2", seed=2)
        futures += [pool.submit(ask, k) for k in range(40)]
        answers = [each.result() for each in futures]
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} <= {"1", "2"}
    assert served.get(AT).json()["model"]["version"] == "2"


def test_requests_use_the_previous_champion_until_a_new_one_is_loaded(
    own_home: Home, champions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_state = LiveStateManager(own_home, QUICK.model_copy(update={"reload_wait_seconds": 0.0}))
    first, load, proceed = live_state.current(), live_state_module.load_champion, threading.Event()
    loads: list[int] = []

    def slow(*arguments: Any) -> Any:
        loads.append(1)
        assert proceed.wait(60)
        return load(*arguments)

    monkeypatch.setattr(live_state_module, "load_champion", slow)
    champions.promote(own_home, "2", seed=2)
    states = [live_state.current() for _ in range(5)]
    assert all(each is first for each in states)
    proceed.set()
    while (state := live_state.current()) is first:
        time.sleep(0.01)
    assert state.champion is not None
    assert state.champion.bundles["churn"].manifest.version == "2"
    assert len(loads) == 1


def test_a_failure_while_reloading_leaves_the_previous_state(
    own_home: Home, champions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_state = LiveStateManager(own_home, QUICK)
    first = live_state.current()
    with monkeypatch.context() as patch:
        patch.setattr(live_state, "_next", lambda *_: {}["secret-value"])
        champions.promote(own_home, "2", seed=2)
        assert live_state.current() is first
    assert live_state.current() is not first


def test_a_broken_champion_is_refused_until_it_is_fixed(served: TestClient, own_home: Home, champions: Any) -> None:
    first = own_home.champion_file.read_bytes()
    champions.promote(own_home, "3", seed=2)
    third = own_home.champion_file.read_bytes()
    model = own_home.bundle_folder("churn", "3") / "model.txt"
    sound = model.read_bytes()
    model.write_bytes(sound + b" ")
    own_home.champion_file.write_bytes(first)
    before = served.get(AT).json()
    assert before["model"]["version"] == "1"
    own_home.champion_file.write_bytes(third)
    assert served.get(AT).json() == before
    response = served.get("/readyz")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    (reason,) = response.json()["reasons"]
    assert "the champion is refused: RENEWCAST_HOME/bundles/churn/3/model.txt was changed" in reason
    assert str(own_home.root) not in reason, "where the home lies is not the caller's business"
    model.write_bytes(sound)
    deadline = time.monotonic() + 60
    while served.get(AT).json()["model"]["version"] != "3":
        assert time.monotonic() < deadline
        time.sleep(QUICK.retry_seconds)
    assert served.get("/readyz").json()["status"] == "ready"


@pytest.mark.parametrize("content", ["", "{", '{"churn": {"version": "9", "folder": "../../etc"}}', "[]"])
def test_a_broken_pointer_is_refused(served: TestClient, own_home: Home, content: str) -> None:
    before = served.get(AT).json()
    own_home.champion_file.write_text(content)
    assert served.get(AT).json() == before
    assert served.get("/readyz").json()["status"] == "degraded"


def test_an_unexpected_error_in_a_bundle_fails_no_request(
    served: TestClient, own_home: Home, champions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise MemoryError("secret-value")

    monkeypatch.setattr(live_state_module, "load_champion", broken)
    champions.promote(own_home, "2")
    assert served.get(AT).status_code == 200
    (reason,) = served.get("/readyz").json()["reasons"]
    assert "MemoryError" in reason
    assert "secret-value" not in reason


def test_newer_and_rescored_snapshots_are_loaded(
    served: TestClient, own_home: Home, publish: Any, frame: pd.DataFrame
) -> None:
    publish(own_home, frame, datetime(2026, 7, 8, tzinfo=UTC))
    assert served.get(AT).json()["as_of"] == "2026-07-08"
    before = served.get(AT).json()["churn"]["probability"]
    publish(own_home, frame.assign(**{"outcomes.nps_last": 0.0}), datetime(2026, 7, 8, tzinfo=UTC))
    assert served.get(AT).json()["churn"]["probability"] != before
    then = served.get(AT, params={"as_of": "2026-06-01"}).json()["prediction_id"]
    publish(own_home, frame, JUNE)
    assert served.get(AT, params={"as_of": "2026-06-01"}).json()["prediction_id"] != then


def test_a_snapshot_that_cannot_be_used_is_refused(served: TestClient, own_home: Home, publish: Any, frame: pd.DataFrame) -> None:
    before = served.get(AT).json()
    publish(own_home, frame, datetime(2026, 7, 8, tzinfo=UTC), Catalogue(tuple(CATALOGUE.values())[:-1]))
    assert served.get(AT).json() == before
    payload = served.get("/readyz").json()
    assert payload["status"] == "degraded"
    assert "version" in payload["reasons"][0]
    assert "renewcast score" in payload["reasons"][0]
    response = served.get(AT, params={"as_of": "2026-07-08"})
    assert response.status_code == 503
    assert response.json()["code"] == "home_unavailable"
    assert str(own_home.root) not in response.text


def test_a_service_with_a_broken_champion_responds_with_503(
    own_home: Home, body_of: Callable[[str], Any]
) -> None:
    (own_home.bundle_folder("churn", "1") / "manifest.json").write_text("{}")
    with TestClient(create_app(own_home, QUICK), client=("127.0.0.1", 1)) as client:
        assert client.get("/livez").status_code == 200
        answers = [client.get(AT), client.get("/readyz"), client.post("/v1/predictions", json=body_of("a05"))]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["code"] == "not_ready"
        assert "manifest.json" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "1"


def test_without_a_champion_the_health_score_is_served(own_home: Home, body_of: Callable[[str], Any]) -> None:
    own_home.champion_file.unlink()
    with TestClient(create_app(own_home, QUICK), client=("127.0.0.1", 1)) as client:
        payload = client.get(AT).json()
        fresh = client.post("/v1/predictions", json=body_of("a05")).json()
        ready = client.get("/readyz").json()
    for answer in (payload, fresh):
        assert answer["churn"]["status"] == answer["expansion"]["status"] == "no_model"
        assert answer["churn"]["probability"] is None
        assert answer["health"]["rubric"] == "five-dimensions"
        assert answer["model"] is None
    assert ready["status"] == "ready"
    assert ready["models"] == {"churn": None, "expansion": None}


def test_without_a_snapshot_only_signals_in_a_body_are_scored(
    own_home: Home, body_of: Callable[[str], Any], client: TestClient
) -> None:
    shutil.rmtree(own_home.snapshots)
    with TestClient(create_app(own_home, QUICK), client=("127.0.0.1", 1)) as bare:
        response = bare.get(AT)
        fresh = bare.post("/v1/predictions", json=body_of("a05")).json()
        ready = bare.get("/readyz").json()
    assert response.status_code == 503
    assert "renewcast score" in response.json()["detail"]
    assert ready["status"] == "degraded"
    assert ready["as_of"] is None
    assert fresh["churn"]["probability"] == client.get(AT).json()["churn"]["probability"]


def test_an_empty_home_is_not_ready_until_something_is_scored(
    tmp_path: Any, scored_home: Any, body_of: Callable[[str], Any], copy_home: Callable[[Home, Any], Home]
) -> None:
    home = Home(tmp_path / "new")
    with TestClient(create_app(home, QUICK), client=("127.0.0.1", 1)) as client:
        for answer in (client.get(AT), client.get("/readyz"), client.post("/v1/predictions", json=body_of("a05"))):
            assert answer.status_code == 503
        copy_home(scored_home.home, home.root)
        assert client.get(AT).json()["churn"]["status"] == "scored"


def test_nothing_is_loaded_while_nothing_changes(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_state = LiveStateManager(own_home, QUICK)
    first = live_state.current()
    monkeypatch.setattr(live_state_module, "load_champion", lambda *_: pytest.fail("loaded again"))
    monkeypatch.setattr(live_state_module, "score_published", lambda *_: pytest.fail("scored again"))
    live_state._reload_at = 0.0
    again = live_state.current()
    assert again.latest is first.latest
    assert again.champion is first.champion


def test_a_change_with_the_same_timestamp_is_detected_later(
    own_home: Home, champions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_state = LiveStateManager(own_home, QUICK)
    monkeypatch.setattr(live_state_module, "TIMESTAMP_RESOLUTION", 3600.0)
    live_state.current()
    assert live_state._reload_at < time.monotonic() + 3601
    monkeypatch.setattr(live_state_module, "TIMESTAMP_RESOLUTION", 0.0)
    live_state._reload_at = 0.0
    live_state.current()
    assert live_state._reload_at == float("inf")


def test_other_dates_are_cached_up_to_the_limit_and_assessed_once(own_home: Home, publish: Any, frame: pd.DataFrame) -> None:
    state = LiveStateManager(own_home, QUICK).current()
    snapshots = state.cached_snapshots
    assert isinstance(snapshots, SnapshotCache)
    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(snapshots.get, [JUNE] * 4))
    assert all(each is states[0] for each in states)
    publish(own_home, frame, datetime(2026, 5, 1, tzinfo=UTC))
    snapshots.get(datetime(2026, 5, 1, tzinfo=UTC))
    assert snapshots.get(JUNE) is not states[0], "one place, which the other date took"


def test_an_earlier_snapshot_that_is_broken_leaves_only_the_change_unknown(own_home: Home) -> None:
    SnapshotFiles(own_home).path(JUNE).write_text("broken")
    with TestClient(create_app(own_home, QUICK), client=("127.0.0.1", 1)) as client:
        payload = client.get(AT).json()
        assert payload["churn"]["change_30d"] is None
        assert payload["churn"]["status"] == "scored"
        assert client.get(AT, params={"as_of": "2026-06-01"}).status_code == 503
