"""Background jobs for a whole portfolio: an accepted job is completed even if the process is killed."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.scoring import job_worker
from serving.scoring.job_worker import JobWorker
from serving.snapshots.live_state import LiveStateManager
from serving.store import jobs, tables
from serving.store.database import Store

SETTINGS = ServiceSettings(open_locally=True, retry_seconds=0.05)


def _done(client: TestClient, place: str) -> dict[str, Any]:
    for _ in range(200):
        payload: dict[str, Any] = client.get(place).json()
        if payload["state"] in ("finished", "failed"):
            return payload
        time.sleep(0.05)
    raise AssertionError(payload)


@pytest.fixture
def store(own_home: Home) -> Any:
    opened = Store.of(own_home)
    yield opened
    opened.close()


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet", "xlsx"])
def test_the_result_is_the_file_that_score_writes(own_home: Home, scored_home: Any, tmp_path: Path, form: str) -> None:
    with TestClient(create_app(own_home, SETTINGS), client=("127.0.0.1", 1)) as client:
        accepted = client.post("/v1/jobs", json={"format": form})
        assert accepted.status_code == 202
        assert accepted.headers["location"] == f"/v1/jobs/{accepted.json()['id']}"
        result = _done(client, accepted.headers["location"])
        assert (result["state"], result["rows_done"], result["rows_total"]) == ("finished", 39, 39)
        answer = client.get(result["result"])
        file = tmp_path / f"x.{form}"
        file.write_bytes(answer.content)
        read = {"csv": pd.read_csv, "ndjson": lambda f: pd.read_json(f, lines=True), "parquet": pd.read_parquet, "xlsx": lambda f: pd.read_excel(f, engine="calamine")}[form]
        results, expected = read(file), pd.read_json(scored_home.summary.out, lines=True)
        assert results["account_id"].tolist() == expected["account_id"].tolist()
        assert results["churn_probability"].to_numpy() == pytest.approx(expected["churn_probability"].to_numpy(), nan_ok=True)


def test_a_failed_job_has_a_reason(own_home: Home) -> None:
    with TestClient(create_app(own_home, SETTINGS), client=("127.0.0.1", 1)) as client:
        response = _done(client, client.post("/v1/jobs", json={"as_of": "2020-01-01"}).headers["location"])
        assert response["state"] == "failed"
        assert "no snapshot was scored at this date" in response["reason"]
        assert client.get(f"/v1/jobs/{response['id']}/result").status_code == 404
        assert client.get("/v1/jobs/job_0123").status_code == 404
        assert client.get("/v1/jobs/..%2Fstore.sqlite/result").status_code in (404, 422)


def test_another_worker_completes_the_job_of_a_killed_worker(own_home: Home, store: Store) -> None:
    """A claim that is not renewed expires. After several expired claims the job fails."""
    now = datetime.now(UTC)
    with store.begin() as connection:
        job = jobs.accept(connection, {"format": "csv", "as_of": None}, "a test")
        assert jobs.claim(connection, now - 2 * jobs.CLAIM_DURATION) == replace(job, attempt=1, state="running")
        assert jobs.find(connection, job.id).state == "running"
    assert JobWorker(own_home, LiveStateManager(own_home, SETTINGS), store).work()
    with store.begin() as connection:
        assert jobs.find(connection, job.id).state == "finished"


def test_a_job_waits_while_the_service_is_not_ready(own_home: Home, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    good = own_home.champion_file.read_bytes()
    own_home.champion_file.write_text("{")
    worker = JobWorker(own_home, LiveStateManager(own_home, SETTINGS), store)
    with store.begin() as connection:
        job, late = (jobs.accept(connection, {"format": "csv", "as_of": None}, "a test") for _ in range(2))
    for _ in range(2 * jobs.MAX_ATTEMPTS):
        assert not worker.work()
    with store.read() as connection:
        assert jobs.find(connection, job.id).state == "queued"
    own_home.champion_file.write_bytes(good)
    time.sleep(2 * SETTINGS.retry_seconds)
    assert worker.work()
    own_home.champion_file.write_text("{")
    monkeypatch.setattr(job_worker, "READINESS_TIMEOUT", timedelta(0))
    assert JobWorker(own_home, LiveStateManager(own_home, SETTINGS), store).work()
    with store.read() as connection:
        result = [jobs.find(connection, each.id) for each in (job, late)]
    assert sorted(each.state for each in result) == ["failed", "finished"]


def test_a_job_that_kills_its_workers_fails(store: Store) -> None:
    at = datetime.now(UTC) - timedelta(days=1)
    with store.begin() as connection:
        job = jobs.accept(connection, {"format": "csv", "as_of": None}, "a test")
        for k in range(jobs.MAX_ATTEMPTS):
            assert jobs.claim(connection, at + 2 * k * jobs.CLAIM_DURATION) is not None
        assert jobs.claim(connection, at + 2 * jobs.MAX_ATTEMPTS * jobs.CLAIM_DURATION) is None
        assert jobs.find(connection, job.id).state == "failed"


def test_a_running_job_is_not_taken_from_its_worker(store: Store) -> None:
    now = datetime.now(UTC)
    with store.begin() as connection:
        jobs.accept(connection, {"format": "csv", "as_of": None}, "a test")
        assert jobs.claim(connection, now) is not None
        assert jobs.claim(connection, now + jobs.CLAIM_DURATION / 2) is None


def test_a_claim_lasts_while_its_worker_works(own_home: Home, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the job, however long it takes, and check its progress meanwhile."""
    monkeypatch.setattr(jobs, "CLAIM_DURATION", timedelta(seconds=0.4))
    visited: list[tuple[int, int | None, bool]] = []
    worker = JobWorker(own_home, LiveStateManager(own_home, SETTINGS), store, every=0.05)
    original = job_worker.write_frame

    def slowly(*inputs: Any) -> None:
        time.sleep(1.2)
        with store.begin() as connection:
            result = jobs.find(connection, job.id)
            visited.append((result.rows_done, result.rows_total, jobs.claim(connection, datetime.now(UTC)) is None))
        original(*inputs)

    monkeypatch.setattr(job_worker, "write_frame", slowly)
    with store.begin() as connection:
        job = jobs.accept(connection, {"format": "csv", "as_of": None}, "a test")
    assert worker.work()
    assert visited == [(39, 39, True)]


def test_a_worker_without_its_claim_changes_nothing(own_home: Home, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.begin() as connection:
        job = jobs.accept(connection, {"format": "csv", "as_of": None}, "a test")
    second, files = JobWorker(own_home, LiveStateManager(own_home, SETTINGS), store), job_worker.write_frame

    def taken_over(*inputs: Any) -> None:
        monkeypatch.setattr(job_worker, "write_frame", files)
        with store.begin() as connection:
            connection.execute(tables.jobs.update().values(running_until=datetime.now(UTC)))
        assert second.work()
        files(*inputs)

    monkeypatch.setattr(job_worker, "write_frame", taken_over)
    assert JobWorker(own_home, LiveStateManager(own_home, SETTINGS), store).work()
    with store.read() as connection:
        result = jobs.find(connection, job.id)
    assert (result.state, result.attempt, result.file) == ("finished", 2, f"{job.id}-2.csv")
    assert [file.name for file in job_worker.jobs_folder(own_home).iterdir()] == [result.file]


def test_the_number_of_waiting_jobs_is_limited(store: Store, own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_QUEUED", 0)
    with TestClient(create_app(own_home, SETTINGS), client=("127.0.0.1", 1)) as client:
        response = client.post("/v1/jobs", json={})
        assert (response.status_code, response.json()["code"]) == (503, "busy")


def test_old_jobs_are_deleted_with_their_files(store: Store, own_home: Home) -> None:
    worker = JobWorker(own_home, LiveStateManager(own_home, SETTINGS), store)
    with store.begin() as connection:
        job = jobs.accept(connection, {"format": "csv", "as_of": None}, "a test")
    assert worker.work()
    (file,) = (own_home.root / "jobs").iterdir()
    with store.begin() as connection:
        assert jobs.delete_expired(connection, datetime.now(UTC)) == []
        assert jobs.delete_expired(connection, datetime.now(UTC) + 2 * jobs.RETENTION) == [file.name]
    assert job.id in file.name
