"""Responses are cached as text up to a limit."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.predictions import payload as answers
from serving.snapshots.json_cache import JsonCache


def test_a_cached_text_is_reused() -> None:
    computed: list[int] = []

    def make() -> dict[str, int]:
        computed.append(1)
        return {"n": len(computed)}

    texts = JsonCache()
    assert texts.cached("prediction", "a") is None
    assert json.loads(texts.get("prediction", "a", make=make)) == {"n": 1}
    assert json.loads(texts.get("prediction", "a", make=make)) == {"n": 1}
    assert json.loads(texts.get("prediction", "b", make=make)) == {"n": 2}
    assert texts.cached("prediction", "a") == b'{"n":1}'


def test_a_failed_computation_is_not_cached() -> None:
    texts = JsonCache()
    with pytest.raises(ZeroDivisionError):
        texts.get("a", make=lambda: 1 / 0)
    with pytest.raises(ValueError, match="JSON"):
        texts.get("a", make=lambda: float("nan"))
    assert texts.get("a", make=lambda: "é") == '"é"'.encode()


def test_the_oldest_texts_are_removed_first() -> None:
    texts = JsonCache(limit=25)
    for name in "abc":
        texts.get(name, make=lambda name=name: name * 8)
    assert [texts.cached(name) is not None for name in "abc"] == [False, True, True]
    assert texts.get("long", make=lambda: "x" * 100) == b'"' + b"x" * 100 + b'"'
    assert texts.cached("long") is None, "it is longer than the limit, so it is not cached and replaces nothing"
    assert [texts.cached(name) is not None for name in "bc"] == [True, True]


def test_concurrent_threads_get_the_same_text_and_it_counts_once() -> None:
    texts, begin = JsonCache(limit=1000), Barrier(8)

    def ask(_: int) -> bytes:
        begin.wait()
        return texts.get("a", make=lambda: "x" * 400)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    texts.get("b", make=lambda: "y" * 400)
    assert texts.cached("a") is not None


def test_a_second_request_computes_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [f"/v1/accounts/a07/{what}" for what in ("prediction", "prediction?view=flat", "health")] + [
        "/v1/portfolio"
    ]
    first = [client.get(path).json() for path in paths]

    def fail(*_: Any) -> None:
        raise AssertionError("worked out again")

    monkeypatch.setattr(answers, "_answer", fail)
    monkeypatch.setattr("serving.portfolio.account_health.account_health", fail)
    assert [client.get(path).json() for path in paths] == first
