"""Computed values are cached up to a limit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from serving.snapshots.compute_once_cache import ComputeOnceCache


def test_a_value_is_computed_once_and_the_least_recently_used_is_removed() -> None:
    stored, created = ComputeOnceCache(2), list[str]()

    def ask(name: str) -> str:
        return stored.get(name, lambda: (created.append(name), name)[1])

    assert [ask(name) for name in "aab"] == list("aab")
    assert created == ["a", "b"]
    ask("a")
    ask("c")
    assert ask("a") == "a"
    assert created == ["a", "b", "c"]
    ask("b")
    assert created == ["a", "b", "c", "b"]


def test_a_failed_computation_is_tried_again() -> None:
    cache = ComputeOnceCache()
    for _ in range(2):
        try:
            cache.get("x", lambda: 1 // 0)
        except ZeroDivisionError:
            continue
    assert cache.get("x", lambda: 7) == 7


def test_concurrent_requests_compute_a_value_once() -> None:
    stored, begun, go_on, created = ComputeOnceCache(), threading.Event(), threading.Event(), list[int]()

    def make() -> int:
        begun.set()
        assert go_on.wait(10)
        created.append(1)
        return 7

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(stored.get, "x", make)
        assert begun.wait(10)
        second = pool.submit(stored.get, "x", make)
        assert stored.get("y", lambda: 8) == 8, "no one else waits"
        go_on.set()
        assert (first.result(10), second.result(10)) == (7, 7)
    assert created == [1]
