"""The reviews over HTTP: who may see and sign them, and that scores follow without a restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import renewcast
from features.signals import Signals
from models.home import Home
from models.rubric import load_rubric
from models.rubric_history import read_history, sha256
from models.signoff import approve
from serving import calibration
from serving.app import create_app
from serving.batch import score
from serving.companion import MEASURES, read_companion
from serving.keys import create_key
from serving.published import Snapshots
from serving.settings import ServiceSettings
from serving.store.database import Store
from serving.store.tables import webhook_deliveries
from serving.webhooks.endpoints import add_endpoint

NAME = "2026Q2-five-dimensions-0000abcd"
DATA = "duckdb-1:abc"
WEIGHTS = {"usage": 35.0, "engagement": 20.0, "support": 15.0, "outcomes": 20.0, "relationship": 10.0}
BODY = {"author": "author", "reviewer": "reviewer", "owner": "owner", "effective": "2026-07-02"}
LATER = datetime(2026, 7, 8, tzinfo=UTC)


@pytest.fixture
def home(own_home: Home) -> Home:
    champion = own_home.champion_file
    from models.champion import load_champion

    bundle = load_champion(own_home).bundles["churn"]
    assert champion.is_file()
    decided = {"answer": "change", "words": "change", "reasons": ["so the evidence says"]}
    told = {
        "schema_version": 1, "id": NAME, "quarter": "2026Q2", "created_at": "2026-07-01T08:00:00Z",
        "decision": {"headline": "Change <the weights>.", "weights": decided, "bands": decided, "effective": "2026-07-02"},
        "sign_off": {
            "rubric": "five-dimensions", "version": "2026Q3", "model": "1", "signals": "signals",
            "data_through": "2026-07-01T00:00:00+00:00",
            "hashes": {"data": DATA, "rubric": sha256(load_rubric().text), "model": bundle.fingerprint},
            "proposed_weights": WEIGHTS, "proposed_bands": {"green": 70.0, "yellow": 40.0, "red": 0.0},
            "meaning": None, "earliest_effective": "2026-07-01",
        },
    }  # fmt: skip
    folder = own_home.reviews / NAME
    folder.mkdir(parents=True)
    (folder / "review.json").write_text(json.dumps(told))
    page = '<!doctype html><html lang="en"><head><title>a review</title><style>p{color:red}</style></head><body><!--sign-off--></body></html>'
    (folder / "index.html").write_text(page)
    return own_home


@pytest.fixture
def client(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    # What the data say is the fingerprint's test's business; reading them is the end-to-end test's.
    monkeypatch.setattr(calibration, "data_now", lambda *_: DATA)
    settings = ServiceSettings(open_locally=True, retry_seconds=0.05)
    with TestClient(create_app(home, settings), client=("127.0.0.1", 1)) as opened:
        yield opened


@pytest.fixture
def admin(home: Home) -> dict[str, str]:
    with Store.of(home).begin() as connection:
        return {"X-API-Key": create_key(connection, "admin", ["admin"])[1]}


def test_the_list_the_document_and_the_pages(client: TestClient) -> None:
    listed = client.get("/v1/reviews").json()
    assert [(each["id"], each["state"]) for each in listed["data"]] == [(NAME, "open")]
    told = client.get(f"/v1/reviews/{NAME}").json()
    assert (told["state"], told["review"]["id"]) == ("open", NAME)
    board = client.get("/reviews").text
    assert "Change &lt;the weights&gt;." in board
    page = client.get(f"/reviews/{NAME}")
    assert "<style" not in page.text
    assert 'id="sign-form"' in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    style = client.get(f"/reviews/{NAME}/style.css")
    assert (style.text, style.headers["content-type"]) == ("p{color:red}", "text/css; charset=utf-8")
    assert client.get("/v1/reviews/2020Q1-none-00000000").status_code == 404
    assert client.get("/v1/reviews/..%2f..%2fetc").status_code in (404, 422)


def test_only_an_admin_s_key_signs(client: TestClient, home: Home) -> None:
    address = f"/v1/reviews/{NAME}/approval"
    assert client.post(address, json=BODY).status_code == 403, "nobody on this machine without a key either"
    with Store.of(home).begin() as connection:
        _, secret = create_key(connection, "reader", ["predict", "write"])
    assert client.post(address, json=BODY, headers={"X-API-Key": secret}).status_code == 403
    assert read_history(home).decisions == ()


def test_one_person_is_refused(client: TestClient, admin: dict[str, str]) -> None:
    told = client.post(f"/v1/reviews/{NAME}/approval", json=BODY | {"reviewer": "AUTHOR"}, headers=admin)
    assert told.status_code == 422
    assert "same person" in told.json()["detail"]


def test_a_signature_is_told_once_and_scores_follow_without_a_restart(
    client: TestClient, home: Home, admin: dict[str, str], publish: Callable[..., Path], frame: pd.DataFrame
) -> None:
    store = Store.of(home)
    with store.begin() as connection:
        add_endpoint(connection, "https://example.com/hook", ["calibration.approved"], True)
    account = "a00"
    publish(home, frame, LATER)
    # Scores of the eighth were given by now, so the version begins later.
    early = client.post(f"/v1/reviews/{NAME}/approval", json=BODY, headers=admin)
    assert "scores of 2026-07-08 were given already" in early.json()["detail"]
    told = client.post(f"/v1/reviews/{NAME}/approval", json=BODY | {"effective": "2026-07-09"}, headers=admin)
    assert told.status_code == 201, told.text
    assert told.json()["version"]["version"] == "2026Q3.1"
    publish(home, frame, datetime(2026, 7, 15, tzinfo=UTC))
    versions = {
        day: client.get(f"/v1/accounts/{account}/health", params={"as_of": day}).json()["rubric_version"]
        for day in ("2026-07-01", "2026-07-08", "2026-07-15")
    }
    assert versions == {"2026-07-01": "2026Q3", "2026-07-08": "2026Q3", "2026-07-15": "2026Q3.1"}
    # Told again, as a start after a crash does, it is still one delivery, under the decision's own id.
    calibration.tell_untold(home, store)
    with store.look() as connection:
        rows: list[Any] = connection.execute(webhook_deliveries.select()).all()
    assert [(row.event, row.event_id) for row in rows] == [("calibration.approved", told.json()["id"])]
    again = client.post(f"/v1/reviews/{NAME}/approval", json=BODY, headers=admin)
    assert (again.status_code, again.json()["code"]) == (409, "already_decided")
    assert "retry_after" not in again.json()


def test_what_changed_since_is_a_conflict(client: TestClient, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "data_now", lambda *_: "duckdb-1:other")
    told = client.post(f"/v1/reviews/{NAME}/approval", json=BODY, headers=admin)
    assert (told.status_code, told.json()["code"]) == (409, "changed_since_review")


def test_the_published_batch_adds_up_by_the_version_in_force(home: Home, signals: Signals, tmp_path: Path) -> None:
    approve(home, NAME, author="author", reviewer="reviewer", owner="owner", effective="2026-07-02", data_fingerprint=DATA)
    score(signals, LATER, tmp_path / "rows.csv", home, store=Store.of(home))
    told = read_companion(Snapshots(home), LATER, MEASURES)
    assert told is not None
    assert {each["rubric_version"] for each in told.values()} == {read_history(home).decisions[-1].version.version}


def test_the_measures_command_adds_up_by_the_version_in_force(
    home: Home, tables: Any, to_arrow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(home, NAME, author="author", reviewer="reviewer", owner="owner", effective="2026-07-02", data_fingerprint=DATA)
    for name, rows in tables.items():
        pq.write_table(to_arrow(name, rows), tmp_path / f"{name}.parquet")
    monkeypatch.setattr("models.home.current_home", lambda: home)

    def version(as_of: str, *more: str) -> str:
        asked = ["portfolio", str(tmp_path), "--as-of", as_of, "--period", "month", "--json", *more]
        done = CliRunner().invoke(renewcast.app, asked)
        assert done.exit_code == 0, done.output
        return str(json.loads(done.stdout)["rubric_version"])

    approved = read_history(home).decisions[-1].version.version
    assert approved != "2026Q3"
    assert (version("2026-07-01"), version("2026-07-02")) == ("2026Q3", approved)
    assert version("2026-07-02", "--rubric", "five-dimensions") == approved
