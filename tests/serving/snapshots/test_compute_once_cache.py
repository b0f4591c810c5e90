"""Computed values are cached up to a limit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from serving.snapshots.compute_once_cache import ComputeOnceCache


def test_a_value_is_computed_once_and_the_least_recently_used_is_removed() -> None:
    kept, made = ComputeOnceCache(2), list[str]()

    def ask(name: str) -> str:
        return kept.get(name, lambda: (made.append(name), name)[1])

    assert [ask(name) for name in "aab"] == list("aab")
    assert made == ["a", "b"]
    ask("a")
    ask("c")
    assert ask("a") == "a"
    assert made == ["a", "b", "c"]
    ask("b")
    assert made == ["a", "b", "c", "b"]


def test_a_failed_computation_is_tried_again() -> None:
    kept = ComputeOnceCache()
    for _ in range(2):
        try:
            kept.get("x", lambda: 1 // 0)
        except ZeroDivisionError:
            continue
    assert kept.get("x", lambda: 7) == 7


def test_concurrent_requests_compute_a_value_once() -> None:
    kept, begun, go_on, made = ComputeOnceCache(), threading.Event(), threading.Event(), list[int]()

    def make() -> int:
        begun.set()
        assert go_on.wait(10)
        made.append(1)
        return 7

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get, "x", make)
        assert begun.wait(10)
        second = pool.submit(kept.get, "x", make)
        assert kept.get("y", lambda: 8) == 8, "no one else waits"
        go_on.set()
        assert (first.result(10), second.result(10)) == (7, 7)
    assert made == [1]
