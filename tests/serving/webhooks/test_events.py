"""Events outside the batch: sent once, and without names of people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from models.artifacts.champion_pointer import ChampionChange, ChampionEntry
from serving.store.database import Store
from serving.store.tables import webhook_deliveries
from serving.webhooks.endpoints import add_endpoint
from serving.webhooks.events import DriftFinding, enqueue_drift, enqueue_promotions

AT = datetime(2026, 7, 1, 12, 30, 15, 250_000, tzinfo=UTC)
CHANGE = ChampionChange(
    at=AT, what="promoted", target="churn", champion=ChampionEntry(version="2", folder="bundles/churn/2"), who="reviewer", why="better"
)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with store.begin() as connection:
        add_endpoint(connection, "https://example.com/hook", [])
    yield store
    store.close()


def _bodies(store: Store) -> list[dict[str, object]]:
    with store.read() as connection:
        return [json.loads(body) for body in connection.execute(select(webhook_deliveries.c.body)).scalars()]


def test_each_change_of_the_champion_is_sent_once(listening: Store) -> None:
    assert enqueue_promotions(listening, [CHANGE]) == 1
    assert enqueue_promotions(listening, [CHANGE]) == 0
    back = CHANGE.model_copy(update={"at": AT.replace(hour=13), "what": "rolled_back"})
    assert enqueue_promotions(listening, [CHANGE, back]) == 1
    again = CHANGE.model_copy(update={"at": AT.replace(hour=14)})
    assert enqueue_promotions(listening, [again]) == 1, "the same version, promoted again, is news"
    first = _bodies(listening)[0]
    assert first["type"] == "model.promoted"
    assert first["data"] == {"target": "churn", "version": "2", "what": "promoted", "at": "2026-07-01T12:30:15Z"}


def test_the_person_and_the_reason_are_not_sent(listening: Store) -> None:
    enqueue_promotions(listening, [CHANGE])
    assert not {"reviewer", "better"} & set(json.dumps(_bodies(listening)).replace('"', " ").split())


def test_drift_is_sent_once_for_the_same_signals(listening: Store) -> None:
    finding = DriftFinding("churn", "2", AT, ["the ranking has faded"])
    assert enqueue_drift(listening, [finding]) == 1
    assert enqueue_drift(listening, [finding]) == 0
    assert enqueue_drift(listening, [DriftFinding("churn", "2", AT.replace(day=8), ["the ranking has faded"])]) == 1
    assert enqueue_drift(listening, [DriftFinding("churn", "3", AT, ["the ranking has faded"])]) == 1
    result = _bodies(listening)[0]
    assert (result["type"], result["data"]["reasons"]) == ("drift.detected", ["the ranking has faded"])  # type: ignore[index]
