"""Targets are trained at the same time, reported together, and stopped together."""

from __future__ import annotations

import threading

import pytest

from features.utils.progress import Progress, no_progress
from models.targets import TARGETS, Target
from training.pipeline.parallel_targets import run_in_parallel


def test_two_workers_run_in_parallel() -> None:
    meeting = threading.Barrier(2, timeout=30)

    def work(target: Target, _tell: Progress) -> Target:
        meeting.wait()
        return target

    assert run_in_parallel(TARGETS, work, no_progress, 2) == {target: target for target in TARGETS}


def test_one_worker_runs_targets_in_sequence() -> None:
    under_way: list[Target] = []

    def work(target: Target, _tell: Progress) -> int:
        under_way.append(target)
        count = len(under_way)
        under_way.remove(target)
        return count

    assert run_in_parallel(TARGETS, work, no_progress, 1) == dict.fromkeys(TARGETS, 1)


def test_an_error_in_one_target_cancels_the_other() -> None:
    begun = threading.Event()

    def work(target: Target, tell: Progress) -> None:
        if target == "churn":
            assert begun.wait(30)
            raise ValueError("churn")
        while True:
            begun.set()
            tell(0.5, "searching")

    with pytest.raises(ValueError, match="churn"):
        run_in_parallel(TARGETS, work, no_progress, 2)


def test_progress_covers_all_targets() -> None:
    result: list[float] = []
    run_in_parallel(TARGETS, lambda _target, tell: tell(1.0, "done"), lambda share, _what: result.append(share), 1)
    assert result == [0.5, 1.0]
