"""Publishing predictions: once, in one transaction, with each change sent once."""

from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from features.errors import BadRequest
from models.artifacts.champion_pointer import ChampionChange, ChampionEntry
from serving.common.errors import UnknownId
from serving.scoring.publish_predictions import PublishedBatch, publish_batch
from serving.store.database import Store
from serving.store.published_predictions import find_prediction, last_predictions, list_alerts, list_predictions
from serving.store.tables import alerts, webhook_deliveries
from serving.webhooks.endpoints import EVENTS, add_endpoint

Answers = list[dict[str, Any]]


def _answers(as_of: str, of: str, version: str = "1") -> Answers:
    """``of`` describes each account: the bands of its churn risk and its health, and whether the two agree."""
    bands = {"l": "low", "m": "medium", "h": "high", "g": "green", "y": "yellow", "r": "red"}
    result = []
    for i, (churn, health, agree) in enumerate(of.split()):
        result.append(
            {
                "prediction_id": f"prd_{as_of.replace('-', '')}{version}{i}{churn}{health}{'a' if agree == '=' else 'd'}",
                "account_id": f"a{i}",
                "name": f"Account {i}",
                "as_of": as_of,
                "churn": {"band": bands[churn]},
                "expansion": {"model": None},
                "health": {
                    "band": bands[health],
                    "agreement": "agree" if agree == "=" else "model_worse",
                    "explained_by": None if agree == "=" else "usage",
                },
                "alerts": [{"key": f"into_red:{as_of}", "code": "into_red", "raised": True}] if health == "r" else [],
                "model": {"name": "churn", "version": version, "alias": "champion"},
            }
        )
    return result


def _sent_events(store: Store) -> list[tuple[str, dict[str, Any]]]:
    with store.begin() as connection:
        rows = connection.execute(select(webhook_deliveries).order_by(webhook_deliveries.c.event, webhook_deliveries.c.event_id))
        return [(row.event, json.loads(row.body)["data"]) for row in rows]


@pytest.fixture
def listening(store: Store) -> Store:
    with store.begin() as connection:
        add_endpoint(connection, "https://example.com/hook", EVENTS)
    return store


def test_the_same_batch_twice_changes_nothing(listening: Store) -> None:
    week = _answers("2026-07-01", "lg= hr=")
    assert publish_batch(listening, week) == PublishedBatch(2, 1, 2)
    before = _sent_events(listening)
    assert publish_batch(listening, week) == PublishedBatch(0, 0, 0)
    assert publish_batch(listening, list(reversed(copy.deepcopy(week)))) == PublishedBatch(0, 0, 0)
    assert _sent_events(listening) == before


def test_changes_since_the_previous_date_are_sent(listening: Store) -> None:
    publish_batch(listening, _answers("2026-06-01", "lg= mg= hy= lg!"))
    change = ChampionChange(
        at=datetime.now(UTC), what="promoted", target="churn", champion=ChampionEntry(version="2", folder="bundles/churn/2"), who="w", why="y"
    )
    earlier = change.model_copy(update={"at": datetime(2026, 1, 1, tzinfo=UTC)})
    publish_batch(listening, _answers("2026-07-01", "lg= hg= hr= lg! my!", version="2"), [earlier, change])
    response = [(event, data) for event, data in _sent_events(listening) if data.get("as_of") != "2026-06-01"]
    assert [(event, data.get("account_id"), data.get("of")) for event, data in response] == [
        ("batch.completed", None, None),
        ("health.alert", "a2", None),
        ("model.promoted", None, None),
        ("prediction.band_changed", "a1", "churn"),
        ("prediction.band_changed", "a2", "health"),
    ]
    changed = next(data for event, data in response if data.get("of") == "health")
    assert (changed["before"], changed["after"]) == ("yellow", "red")


def test_a_disagreement_is_sent_when_it_opens_and_not_while_it_lasts(listening: Store) -> None:
    for as_of, of in (("2026-06-01", "lg="), ("2026-06-08", "lg!"), ("2026-06-15", "lg!"), ("2026-06-22", "lg="), ("2026-06-29", "lg!")):
        publish_batch(listening, _answers(as_of, of))
    opened = [data["as_of"] for event, data in _sent_events(listening) if event == "health.disagreement_opened"]
    assert opened == ["2026-06-08", "2026-06-29"]


def _changed(store: Store) -> list[tuple[str, str, str, str]]:
    result = [data for event, data in _sent_events(store) if event == "prediction.band_changed"]
    return sorted((data["as_of"], data["account_id"], data["before"], data["after"]) for data in result)


def test_a_rescored_date_is_compared_with_its_earlier_batch(listening: Store) -> None:
    publish_batch(listening, _answers("2026-06-01", "lg= lg="))
    publish_batch(listening, _answers("2026-06-08", "hg= lg="))
    first = _changed(listening)
    assert first == [("2026-06-08", "a0", "low", "high")]
    publish_batch(listening, _answers("2026-06-08", "hg= mg=", version="2"))
    assert _changed(listening) == [*first, ("2026-06-08", "a1", "low", "medium")], "what has not changed is not reported again"
    publish_batch(listening, _answers("2026-06-15", "hg= mg=", version="2"))
    assert len(_changed(listening)) == 2


def test_an_older_date_sends_no_changes_and_is_not_the_latest(listening: Store) -> None:
    publish_batch(listening, _answers("2026-06-15", "lg="))
    publish_batch(listening, _answers("2026-06-01", "hr!"))
    assert [event for event, _ in _sent_events(listening)] == ["batch.completed", "batch.completed"]
    publish_batch(listening, _answers("2026-06-22", "lg="))
    assert _changed(listening) == []


def test_a_replaced_batch_can_be_published_again(listening: Store) -> None:
    """After a promotion and a rollback, the predictions of the first champion must be the last in the list."""
    old, new = _answers("2026-07-01", "lg= mg="), _answers("2026-07-01", "hg= mg=", version="2")
    publish_batch(listening, old)
    publish_batch(listening, new)
    with listening.begin() as connection:
        read = list_predictions(connection, None, None, 10)
    assert publish_batch(listening, old) == PublishedBatch(2, 0, 2)
    assert publish_batch(listening, old) == PublishedBatch(0, 0, 0)
    with listening.begin() as connection:
        assert [each["prediction_id"] for each in list_predictions(connection, read.next, None, 10).data] == [a["prediction_id"] for a in old]
        whole = [each["prediction_id"] for each in list_predictions(connection, None, None, 10).data]
    assert whole == [a["prediction_id"] for a in (*new, *old)]
    assert [(before, after) for _, _, before, after in _changed(listening)] == [("high", "low"), ("low", "high")]
    publish_batch(listening, new)
    assert [(before, after) for _, _, before, after in _changed(listening)] == [("high", "low"), ("low", "high"), ("low", "high")]
    assert [event for event, _ in _sent_events(listening)].count("batch.completed") == 4


def test_concurrent_publications_of_a_batch_publish_it_once(listening: Store) -> None:
    week = _answers("2026-07-01", " ".join(["lg=", "hr!"] * 200))
    with ThreadPoolExecutor(4) as pool:
        result = list(pool.map(lambda _: publish_batch(listening, week), range(4)))
    assert sorted(each.predictions for each in result) == [0, 0, 0, 400]


def test_following_next_reads_everything_once(store: Store) -> None:
    publish_batch(store, _answers("2026-06-01", "lg= mg= hy= lg= lg="))
    read: list[str] = []
    cursor: str | None = None
    for week in ("2026-06-08", "2026-06-15", None):
        while True:
            with store.begin() as connection:
                page = list_predictions(connection, cursor, None, 2)
            cursor = page.next
            read += [each["prediction_id"] for each in page.data]
            if not page.data:
                break
        if week:
            publish_batch(store, _answers(week, "lg= hg= hr="))
    assert len(read) == len(set(read)) == 11
    assert read[:5] == [a["prediction_id"] for a in _answers("2026-06-01", "lg= mg= hy= lg= lg=")]


def test_a_prediction_is_returned_as_published(store: Store) -> None:
    (week,) = _answers("2026-07-01", "hr!")
    publish_batch(store, [week])
    publish_batch(store, _answers("2026-07-01", "lg=", version="2"))
    with store.begin() as connection:
        assert find_prediction(connection, week["prediction_id"]) == week
        with pytest.raises(UnknownId):
            find_prediction(connection, "prd_0")


def test_an_alert_is_sent_with_the_name_of_its_account(listening: Store) -> None:
    publish_batch(listening, _answers("2026-07-01", "hr="))
    (sent,) = [data for event, data in _sent_events(listening) if event == "health.alert"]
    assert (sent["account_id"], sent["name"]) == ("a0", "Account 0")
    assert "name" not in sent["alert"]


def test_alerts_of_earlier_releases_have_no_name(store: Store) -> None:
    publish_batch(store, _answers("2026-07-01", "hr="))
    with store.begin() as connection:
        connection.execute(alerts.update().values(document='{"key": "k", "code": "into_red", "raised": true}'))
        assert list_alerts(connection, None, 10).data == [
            {"account_id": "a0", "name": None, "key": "k", "code": "into_red", "raised": True}
        ]


def test_alerts_are_stored_once_and_read_by_account(store: Store) -> None:
    publish_batch(store, _answers("2026-07-01", "hr= hr= lg="))
    publish_batch(store, _answers("2026-07-01", "hr! hr= lg=", version="2"))
    with store.begin() as connection:
        everything = list_alerts(connection, None, 10)
        assert [(alert["account_id"], alert["name"]) for alert in everything.data] == [("a0", "Account 0"), ("a1", "Account 1")]
        assert len(list_alerts(connection, None, 10, "a1").data) == 1
        assert list_alerts(connection, everything.next, 10).data == []


@pytest.mark.parametrize("cursor", ["", "s", "x1", "s-1", "s1.5", "s" + "9" * 30])
def test_an_unknown_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(BadRequest), store.begin() as connection:
        list_predictions(connection, cursor, None, 1)


def test_a_failed_batch_stores_nothing(listening: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("serving.scoring.publish_predictions.enqueue", fails)
    with pytest.raises(KeyboardInterrupt):
        publish_batch(listening, _answers("2026-07-01", "hr="))
    monkeypatch.undo()
    with listening.begin() as connection:
        assert list_predictions(connection, None, None, 10).data == []
        assert list_alerts(connection, None, 10).data == []
    assert _sent_events(listening) == []


def test_alerts_of_accounts_on_which_a_play_runs_wait_until_it_has_ended(listening: Store) -> None:
    """What is no longer active then is not published at all."""
    week = _answers("2026-07-01", "lr= lr= lr=")
    result = publish_batch(listening, week, running={"a0", "a1"})
    assert (result.alerts, result.suppressed) == (1, 2)
    assert "1 alerts (2 more are suppressed while plays run)" in result.words()
    later = _answers("2026-07-08", "lr= lg= lr=")
    # The alerts of the first date are still active; a1 is better.
    for place in (0, 2):
        later[place]["alerts"] = [{**week[place]["alerts"][0], "raised": False}]
    assert publish_batch(listening, later, running={"a0"}).alerts == 0, "still running"
    ended = _answers("2026-07-15", "lr= lg= lr=", version="2")
    for place in (0, 2):
        ended[place]["alerts"] = later[place]["alerts"]
    with listening.read() as connection:
        before = list_alerts(connection, None, 10)
    assert publish_batch(listening, ended).alerts == 1
    assert publish_batch(listening, ended).alerts == 0
    with listening.read() as connection:
        assert [alert["account_id"] for alert in list_alerts(connection, None, 10).data] == ["a2", "a0"]
        assert [alert["account_id"] for alert in list_alerts(connection, before.next, 10).data] == ["a0"], "readers of the stream get it"
    sent = [data["account_id"] for event, data in _sent_events(listening) if event == "health.alert"]
    assert sorted(sent) == ["a0", "a2"]


def test_the_last_prediction_before_an_instant_of_each_account(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One published again counts as it was last; one at the instant counts; a later or an older one does not."""
    monkeypatch.setattr("serving.store.published_predictions.ACCOUNTS_AT_ONCE", 2)
    publish_batch(store, _answers("2026-03-01", "lg= lg= lg= lg="))
    publish_batch(store, _answers("2026-06-01", "mg= mg= mg="))
    publish_batch(store, _answers("2026-06-08", "hr= hr= hr="))
    publish_batch(store, _answers("2026-06-01", "my= my= my=", version="2"))
    until = {
        "a0": datetime(2026, 6, 8, tzinfo=UTC),
        "a1": datetime(2026, 6, 7, tzinfo=UTC),
        "a2": datetime(2026, 9, 9, tzinfo=UTC),
        "a3": datetime(2026, 6, 8, tzinfo=UTC),
        "never": datetime(2026, 6, 8, tzinfo=UTC),
    }
    with store.read() as connection:
        found = last_predictions(connection, until, timedelta(days=90))
    assert {account: (each["as_of"], each["health"]["band"]) for account, each in found.items()} == {
        "a0": ("2026-06-08", "red"),
        "a1": ("2026-06-01", "yellow"),
    }
