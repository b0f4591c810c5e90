"""The rules through the command line: the terminal, JSON, files and the scored portfolio agree."""

from __future__ import annotations

import csv
import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings

AT = "2026-09-30"


@pytest.fixture(scope="module")
def few(renewcast: Any, tmp_path_factory: pytest.TempPathFactory, world: Any) -> Path:
    """Return a small portfolio of sixty accounts, next to a home that accepts it."""
    place = tmp_path_factory.mktemp("few") / "signals"
    renewcast("simulate", place, "--accounts", "60", "--weeks", "40", "--seed", "4", home=world.home)
    shutil.copytree(world.home, place.parent / "home")
    same = ("--same-portfolio", "--why", "a smaller portfolio is quicker", "--by", "the tests")
    renewcast("home", place, *same, home=place.parent / "home")
    return place


@pytest.fixture(scope="module")
def health(world: Any, renewcast: Any) -> dict[str, Any]:
    result = renewcast("health", world.signals, "--as-of", AT, "--json", home=world.home)
    return dict(json.loads(result.stdout))


def _scores(world: Any) -> dict[str, dict[str, str]]:
    with world.scores.open(encoding="utf-8", newline="") as file:
        return {row["account_id"]: row for row in csv.DictReader(file)}


def test_health_agrees_with_the_scored_file(world: Any, health: dict[str, Any]) -> None:
    scored = _scores(world)
    assert health["rubric"] == "five-dimensions"
    assert set(health["rules"]) == {"alerts", "warnings", "onboarding", "expansion", "plays", "segments", "lifecycle"}
    assert {row["account_id"] for row in health["accounts"]} == set(scored)
    for row in health["accounts"]:
        scores = scored[row["account_id"]]
        assert (row["health_score"] is None) == (scores["health_score"] == "")
        assert row["health_score"] is None or row["health_score"] == float(scores["health_score"])
        assert row["health_band"] == scores["health_band"]
        assert (row["segment"] or "") == scores["segment"]
    assert sum(row["meant_churn"] is not None for row in health["accounts"]) > 0.9 * len(scored)


def test_lower_scores_have_meant_more_churn(health: dict[str, Any]) -> None:
    pairs = sorted((row["health_score"], row["meant_churn"]) for row in health["accounts"] if row["meant_churn"] is not None)
    assert all(one[1] >= two[1] for one, two in pairwise(pairs))
    assert pairs[0][1] > pairs[-1][1]


def test_one_account_adds_up_by_hand(world: Any, renewcast: Any, health: dict[str, Any]) -> None:
    row = next(row for row in health["accounts"] if row["health_score"] is not None)
    result = renewcast("health", world.signals, "--as-of", AT, "--account", row["account_id"], "--json", home=world.home)
    payload = json.loads(result.stdout)
    parts = [part for part in payload["breakdown"] if part["points"] is not None]
    assert sum(part["weight"] for part in parts) == pytest.approx(100)
    assert sum(part["weight"] * part["points"] / 100 for part in parts) == pytest.approx(row["health_score"], abs=0.05)
    assert payload["health"]["history"][-1] == {"as_of": AT, "score": row["health_score"], "band": row["health_band"]}


@pytest.mark.slow
def test_another_rubric_can_be_selected(world: Any, renewcast: Any, few: Path) -> None:
    name = "adoption-engagement-business-relationship"
    payload = json.loads(renewcast("health", few, "--as-of", AT, "--rubric", name, "--json", home=few.parent / "home").stdout)
    assert payload["rubric"] == name
    assert {"adoption_points", "business_points"} <= set(payload["accounts"][0])
    result = renewcast("health", few, "--as-of", AT, "--rubric", "astrology", home=few.parent / "home", expect=2)
    assert "there is no rubric astrology" in result.stderr


@pytest.mark.slow
def test_risks_expansions_and_onboarding_write_files(world: Any, renewcast: Any, few: Path, tmp_path: Path) -> None:
    boards = {}
    for command in ("risks", "expansions", "onboarding"):
        out = tmp_path / f"{command}.parquet"
        renewcast(command, few, "--as-of", AT, "--out", out, home=few.parent / "home")
        boards[command] = pd.read_parquet(out)
    bands = boards["risks"]["health_band"].tolist()
    assert bands == sorted(bands, key=["red", "yellow", "green", "insufficient_data"].index)
    assert boards["risks"]["play"].notna().any()
    proposed = boards["expansions"]["proposed"]
    assert (boards["expansions"].loc[proposed, "health_band"] == "green").all()
    assert boards["expansions"]["points"].max() > 0
    assert (boards["onboarding"]["day"] <= 180).all()


def test_an_unknown_account_is_a_users_mistake(world: Any, renewcast: Any, few: Path) -> None:
    result = renewcast("health", few, "--as-of", AT, "--account", "unknown", home=few.parent / "home", expect=2)
    assert "no account has this id or name" in result.stderr


@pytest.mark.slow
def test_disagreements_are_explained(world: Any, renewcast: Any) -> None:
    result = renewcast("health", world.signals, "--as-of", AT, "--disagreements", "--json", home=world.home)
    rows = json.loads(result.stdout)["accounts"]
    assert all(row["agreement"] in ("model_worse", "model_better") for row in rows)
    assert [abs(row["gap"]) for row in rows] == sorted((abs(row["gap"]) for row in rows), reverse=True)
    assert sum(row["explained_by"] is not None for row in rows) >= 0.9 * len(rows)


@pytest.mark.slow
def test_kpis_are_shown_in_the_terminal_and_as_json(few: Path, renewcast: Any, world: Any, tmp_path: Path) -> None:
    text = renewcast("portfolio", few, "--as-of", AT, home=few.parent / "home").stdout
    assert "Net revenue retention" in text
    out = tmp_path / "measures.json"
    renewcast("portfolio", few, "--as-of", AT, "--period", "90d", "--out", out, home=few.parent / "home")
    payload = json.loads(out.read_text(encoding="utf-8"))
    assert (payload["as_of"], payload["period"]["start"]) == (AT, "2026-07-02")
    assert {m["measure"] for m in payload["measures"] if m["unknown"] is None} >= {"nrr", "grr", "mean_health", "nps", "csat"}
    refused = renewcast("portfolio", few, "--as-of", AT, "--period", "week", home=few.parent / "home", expect=2)
    assert "month, quarter, year" in refused.stderr


@pytest.mark.slow
def test_a_review_and_a_plan_are_written_as_a_page_and_json(few: Path, renewcast: Any, world: Any, tmp_path: Path) -> None:
    account = json.loads(renewcast("health", few, "--as-of", AT, "--json", home=few.parent / "home").stdout)["accounts"][0]["account_id"]
    renewcast("qbr", few, account, "--quarter", "2026Q3", "--out", tmp_path, home=few.parent / "home")
    renewcast("plan", few, account, "--as-of", AT, "--out", tmp_path, home=few.parent / "home")
    review = json.loads((tmp_path / f"{account}-qbr-2026Q3.json").read_text(encoding="utf-8"))
    assert (review["account_id"], review["complete"], review["edition"]) == (account, False, "internal")
    assert (tmp_path / f"{account}-qbr-2026Q3.pptx").read_bytes().startswith(b"PK")
    (page,) = tmp_path.glob(f"{account}-s*-plan-{AT}.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    refused = renewcast("qbr", few, "unknown", "--quarter", "2026Q3", home=few.parent / "home", expect=2)
    assert "no account has this id or name" in refused.stderr
    assert "2026Q3" in renewcast("qbr", few, account, "--quarter", "summer", home=few.parent / "home", expect=2).stderr


@pytest.mark.slow
def test_the_command_and_the_api_give_the_same_review_in_both_editions(
    world: Any, renewcast: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RENEWCAST_FEATURES", str(world.own_features))
    home = Path(shutil.copytree(world.home, tmp_path / "home"))
    with TestClient(create_app(Home(home), ServiceSettings(open_locally=True)), base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        with world.scores.open(encoding="utf-8", newline="") as file:
            account = next(csv.DictReader(file))["account_id"]
        for command, params in (("qbr", {"quarter": "2026Q3"}), ("plan", {"as_of": AT})):
            option = [f"--{name.replace('_', '-')}={value}" for name, value in params.items()]
            printed = renewcast(command, world.signals, account, *option, "--edition", "customer", "--json", home=home)
            answer = client.get(f"/v1/accounts/{account}/{command}", params={**params, "edition": "customer"})
            assert answer.status_code == 200, answer.text
            assert json.loads(printed.stdout) == answer.json()
