"""A new snapshot is prepared once in the background, and failing steps are skipped."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from models.home import Home
from serving.app import cache_warmer
from serving.app.cache_warmer import STEPS, CacheWarmer
from serving.common.settings import ServiceSettings
from serving.snapshots import scored_snapshot
from serving.snapshots.live_state import LiveStateManager


def until_done(warmer: CacheWarmer) -> int:
    """Return the number of steps."""
    assert warmer.work() is False, "one look later, so that a snapshot that is replaced at once costs nothing"
    steps = 1
    while warmer.work():
        steps += 1
    return steps


def test_each_snapshot_is_prepared_once_and_again_when_it_is_replaced(own_home: Home, publish: Any, frame: Any, scored_home: Any) -> None:
    live = LiveStateManager(own_home, ServiceSettings(open_locally=True))
    prepared: list[str] = []
    warmer = CacheWarmer(live, {name: lambda scored, name=name: prepared.append(f"{name} {scored.as_of:%m-%d}") for name in ("one", "two")})
    assert warmer.work() is False, "nothing was taken up yet"
    live.current()
    assert until_done(warmer) == 2
    assert [warmer.work() for _ in range(3)] == [False] * 3
    assert prepared == ["one 07-01", "two 07-01"]
    publish(own_home, frame, datetime(2026, 7, 8, tzinfo=UTC))
    live.current()
    until_done(warmer)
    assert prepared[2:] == ["one 07-08", "two 07-08"]


def test_a_failing_step_is_logged_and_the_others_run(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    result: list[tuple[str, Any]] = []
    monkeypatch.setattr(cache_warmer, "log_event", lambda event, *_, **fields: result.append((event, fields.get("step"))))
    live = LiveStateManager(own_home, ServiceSettings(open_locally=True))
    live.current()
    prepared: list[str] = []
    until_done(CacheWarmer(live, {"bad": lambda _: 1 / 0, "good": lambda _: prepared.append("good")}))
    assert prepared == ["good"]
    assert result == [("warm_failed", "bad"), ("warm", None)]


def test_prepared_parts_are_not_computed_again(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveStateManager(own_home, ServiceSettings(open_locally=True))
    scored = live.current().latest
    assert scored is not None
    until_done(CacheWarmer(live))
    for make in ("serving.snapshots.signal_history.SignalHistory", "serving.renewals.published_forecast.forecast_renewals", "serving.html.charts.draw_svg", "serving.worklist.account_view.WorklistAccounts.of"):
        monkeypatch.setattr(make, None)
    for step in STEPS.values():
        step(scored)




def test_answers_are_prepared_in_parts_and_stay_the_same(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scored_snapshot, "PREPARED_AT_ONCE", 7)
    live = LiveStateManager(own_home, ServiceSettings(open_locally=True))
    scored = live.current().latest
    assert scored is not None
    accounts = scored.assessment.account_ids
    assert len(accounts) > 14
    alone = [scored.answer(account) for account in accounts]
    assert not any(scored.has_prepared(account) for account in accounts)
    ran: list[str] = []
    steps = {"answers": lambda each: ran.append("answers") or STEPS["answers"](each), "other": lambda _: ran.append("other")}
    until_done(CacheWarmer(live, steps))
    assert ran[:3] == ["answers", "other", "answers"], "the other steps do not wait for all accounts"
    assert ran.count("answers") == -(-len(accounts) // 7)
    assert all(scored.has_prepared(account) for account in accounts)
    assert json.dumps([scored.answer(account) for account in accounts]) == json.dumps(alone)
    assert json.dumps(list(scored.answers())) == json.dumps(alone)
