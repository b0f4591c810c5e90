"""Accounts are found and shown by their names; addresses of the API take ids only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.signals.signals import OpenSignals
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.scoring.score_portfolio import score
from serving.store.database import Store

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
NAMES = {"a00": "Acme Corp", "a01": "Acme Ltd", "a02": "Brisk", "a39": "Cobalt"}
"""a39 has left."""
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory, make_signals: Callable[..., OpenSignals], tables: dict[str, list[dict[str, Any]]]) -> Path:
    """Score a company of which three active accounts have names, next to its home."""
    root = tmp_path_factory.mktemp("named")
    named = [row | {"name": NAMES.get(row["account_id"])} for row in tables["accounts"]]
    home = Home(root / "home")
    store = Store.of(home.ensure(), None)
    score(make_signals(tables | {"accounts": named}, "2026-07-01"), AS_OF, root / "rows.ndjson", home, store=store)
    return root / "rows.ndjson"


@pytest.fixture(scope="module")
def client(scores: Path) -> Iterator[TestClient]:
    app = create_app(Home(scores.parent / "home"), ServiceSettings(open_locally=True, retry_seconds=0.05))
    with TestClient(app, client=("127.0.0.1", 1), follow_redirects=False) as opened:
        yield opened


def test_a_search_finds_one_account_or_lists_candidates(client: TestClient) -> None:
    def search(name: str) -> dict[str, Any]:
        return dict(client.get("/v1/accounts", params={"name": name}).json())

    acme = [{"account_id": "a00", "name": "Acme Corp"}, {"account_id": "a01", "name": "Acme Ltd"}]
    assert search("acme corp")["account"] == search("a00")["account"] == acme[0]
    assert search("bri")["account"] == {"account_id": "a02", "name": "Brisk"}
    assert search("a05")["account"] == {"account_id": "a05", "name": None}
    assert (search("acme")["account"], search("acme")["candidates"]) == (None, acme)
    assert search("Acme Crop")["candidates"][0] == acme[0]
    assert (search("cobalt")["account"], search("a39")["account"]) == (None, None)
    assert client.get("/v1/accounts").status_code == 422


@pytest.mark.parametrize("report", ["", "/qbr", "/plan"])
def test_a_name_in_the_address_of_a_page_leads_to_the_account(client: TestClient, report: str) -> None:
    answer = client.get(f"/accounts/acme%20corp{report}", headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/accounts/a00{report}")
    page = client.get(answer.headers["location"], headers=PAGE)
    assert page.status_code == 200
    assert "Acme Corp" in page.text
    several = client.get(f"/accounts/acme{report}", headers=PAGE)
    assert several.status_code == 404
    assert 'href="/accounts/a00">Acme Corp (a00)</a>' in several.text
    assert "Acme Ltd (a01)" in several.text
    gone = client.get(f"/accounts/a39{report}", headers=PAGE)
    assert gone.status_code == 404


def test_a_date_stays_in_the_address(client: TestClient) -> None:
    answer = client.get("/accounts/brisk", params={"as_of": "2026-07-01"}, headers=PAGE)
    assert answer.headers["location"] == "/accounts/a02?as_of=2026-07-01"


@pytest.mark.parametrize("resource", ["prediction", "health", "hierarchy", "plan"])
def test_addresses_of_the_api_take_ids_only(client: TestClient, resource: str) -> None:
    assert client.get(f"/v1/accounts/a00/{resource}").status_code == 200
    answer = client.get(f"/v1/accounts/Acme Corp/{resource}")
    assert answer.status_code == 404
    assert "Acme" not in answer.text


def test_answers_and_files_have_the_name(client: TestClient, scores: Path) -> None:
    assert client.get("/v1/accounts/a00/prediction").json()["name"] == "Acme Corp"
    assert client.get("/v1/accounts/a05/prediction").json()["name"] is None
    assert client.get("/v1/accounts/a00/prediction?view=flat").json()["name"] == "Acme Corp"
    assert client.get("/v1/accounts/a00/health").json()["name"] == "Acme Corp"
    rows = {row["account_id"]: row["name"] for row in map(json.loads, scores.read_text(encoding="utf-8").splitlines())}
    assert {account: name for account, name in rows.items() if name is not None} == {
        a: NAMES[a] for a in ("a00", "a01", "a02")
    }
    alerts = client.get("/v1/alerts").json()["data"]
    assert alerts
    assert all(each["name"] == NAMES.get(each["account_id"]) for each in alerts)
