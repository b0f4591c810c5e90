"""The application."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import current_default_thread_limiter
from fastapi.testclient import TestClient

from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.store.database import Store


def test_creating_the_application_opens_nothing(tmp_path: Path) -> None:
    create_app(Home(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_process_with_all_threads_waiting_is_alive(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        current = client.app.state.live.current  # type: ignore[attr-defined]

        def slow() -> Any:
            begun.set()
            go_on.wait(10)
            return current()

        def one_thread() -> None:
            current_default_thread_limiter().total_tokens = 1

        assert client.portal is not None
        client.portal.call(one_thread)
        monkeypatch.setattr(client.app.state.live, "current", slow)  # type: ignore[attr-defined]
        with ThreadPoolExecutor(1) as pool:
            ready = pool.submit(client.get, "/readyz")
            assert begun.wait(10)
            assert client.get("/livez").json() == {"status": "alive"}
            assert not ready.done()
            go_on.set()
            assert ready.result().status_code == 200


def test_an_unreachable_store_is_reported_by_readyz(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        assert client.get("/v1/alerts").status_code == 200
        assert client.get("/readyz").json()["status"] == "ready"
        monkeypatch.setattr(client.app.state.store, "_engine", Store("postgresql://u@127.0.0.1:1/d")._engine)  # type: ignore[attr-defined]
        assert client.get("/v1/alerts").status_code == 503
        payload = client.get("/readyz").json()
        assert (payload["status"], payload["reasons"]) == ("degraded", ["the store cannot be reached"])
