"""What changed for one account between two scored dates, over HTTP."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from features.errors import UnknownAccount
from models.artifacts.champion import load_champion
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.portfolio.account_changes import account_changes
from serving.snapshots.scored_snapshot import score_published
from serving.snapshots.snapshot_files import SnapshotFiles

SETTINGS = ServiceSettings(open_locally=True, retry_seconds=0.05)
MAY = datetime(2026, 5, 20, tzinfo=UTC)


def _changes(client: TestClient, account: str, **query: str) -> Any:
    payload = client.get(f"/v1/accounts/{account}/changes", params=query)
    assert payload.status_code == 200, payload.text
    return payload.json()


def test_the_changes_are_those_of_both_predictions_and_add_up(client: TestClient) -> None:
    moved = 0
    for account in (f"a{i:02}" for i in range(30)):
        changes = _changes(client, account)
        assert (changes["since"], changes["as_of"]) == ("2026-06-01", "2026-07-01"), "about 30 days before"
        for target in ("churn", "expansion"):
            change = changes[target]
            for when, date in (("before", "2026-06-01"), ("now", "2026-07-01")):
                answer = client.get(f"/v1/accounts/{account}/prediction", params={"as_of": date}).json()[target]
                assert {name: change[when][name] for name in ("status", "probability", "interval", "band")} == {
                    name: answer[name] for name in ("status", "probability", "interval", "band")
                }
                assert change[when]["raw_log_odds"] == pytest.approx(answer["explained"]["raw_log_odds"], abs=1e-9)
            assert change["change"] == change["now"]["probability"] - change["before"]["probability"]
            total = math.fsum(driver["contribution_log_odds"] for driver in change["drivers"]) + change["rest_log_odds"]
            assert total == pytest.approx(change["change_log_odds"], abs=1e-9)
            # Only the NPS answers of the two dates differ.
            assert {driver["code"] for driver in change["drivers"]} <= {"outcomes.nps_last"}
            moved += len(change["drivers"])
    assert moved > 10


def test_the_sentence_names_the_change_and_its_driver(client: TestClient) -> None:
    changes = [_changes(client, f"a{i:02}")["churn"] for i in range(30)]
    change = next(each for each in changes if each["drivers"] and abs(each["change"]) > 0.01)
    probabilities = [f"{100 * change[when]['probability']:.1f}%" for when in ("before", "now")]
    assert change["text"].startswith(f"Churn {probabilities[0]} → {probabilities[1]}: latest NPS answer: 2 of 10 → ")


def test_an_account_without_a_prediction_at_one_date(own_home: Home, frame: pd.DataFrame, publish: Callable[..., Path]) -> None:
    publish(own_home, frame[frame["account_id"] != "a05"].reset_index(drop=True), MAY)
    snapshots, champion = SnapshotFiles(own_home), load_champion(own_home)
    may, july = (score_published(snapshots, champion, date).assessment for date in (MAY, snapshots.dates()[-1]))
    joined = account_changes(may, july, "a05")
    probability = july.target_scores["churn"].probability[july.places["a05"]]
    assert joined["churn"]["before"]["status"] == "not_active"
    assert joined["churn"]["text"] == f"Churn {100 * probability:.1f}%, no prediction at 20 May 2026 (not active)"
    assert (joined["churn"]["change"], joined["churn"]["drivers"], joined["health"]["change"]) == (None, [], None)
    left = account_changes(july, may, "a05")
    assert left["churn"]["text"] == f"Churn {100 * probability:.1f}%, no prediction at 20 May 2026 (not active)"
    young = account_changes(july, july, "a38")["churn"]
    assert young["text"].count("less than 7 days as a customer") == 2
    with pytest.raises(UnknownAccount):
        account_changes(may, july, "nothing")


def test_any_two_dates_can_be_compared(own_home: Home, frame: pd.DataFrame, publish: Callable[..., Path]) -> None:
    publish(own_home, frame.assign(**{"support.tickets_91d": 40.0}), MAY)
    with TestClient(create_app(own_home, SETTINGS), client=("127.0.0.1", 1)) as client:
        first = _changes(client, "a05", since="2026-05-20", as_of="2026-06-01")["churn"]
        second = _changes(client, "a05", since="2026-06-01")["churn"]
        whole = _changes(client, "a05", since="2026-05-20")["churn"]
        assert first["now"] == second["before"]
        assert whole["change_log_odds"] == pytest.approx(first["change_log_odds"] + second["change_log_odds"], abs=1e-9)
        for query, status in (
            ({"since": "2026-07-01"}, 422),
            ({"since": "2026-07-02"}, 422),
            ({"since": "2026-05-21"}, 404),
            ({"as_of": "2026-05-20"}, 404),
        ):
            problem = client.get("/v1/accounts/a05/changes", params=query)
            assert problem.status_code == status, (query, problem.text)
        assert client.get("/v1/accounts/nothing/changes").status_code == 404
