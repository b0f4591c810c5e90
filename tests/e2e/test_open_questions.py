"""While a mapping has open questions, every result that is computed from it says once that its figures are uncertain."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features import python_api
from features.signals.signals import open_signals
from features.utils.dates import parse_instant
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.scoring.score_portfolio import score
from training.python_api import check

QUESTION = "subscriptions.arr: price may be for one of seats or for all of them"
NOTE = "figures are uncertain: the mapping of the signals has 1 open question; renewcast check lists it"
MAPPING = """
{questions}
[sources.billing]
uri = "billing"

[tables]
accounts = "SELECT id AS account_id, since AS created_at, id AS name FROM billing.clients"
subscriptions = "SELECT id AS account_id, since AS started_at, '2026-11-01' AS renewal_at, 1200.0 AS arr FROM billing.clients"
support = "SELECT id AS account_id, id AS ticket_id, '2026-09-29' AS occurred_at, 'urgent' AS severity FROM billing.clients"
"""
AT = ("--as-of", "2026-09-30")


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mapping with an open question. Next to it is the same one without, and the home."""
    place = tmp_path_factory.mktemp("asking")
    (place / "billing").mkdir()
    (place / "billing" / "clients.csv").write_text("id,since\none,2025-11-01\ntwo,2025-11-01\n")
    (place / "answered.toml").write_text(MAPPING.format(questions=""))
    mapping = place / "asking.toml"
    mapping.write_text(MAPPING.format(questions=f"open_questions = [{json.dumps(QUESTION)}]"))
    return mapping


def _asks_once(result: subprocess.CompletedProcess[str]) -> None:
    assert (result.stdout + result.stderr).count(NOTE) == 1
    assert f"note: {NOTE}" in result.stderr
    assert json.loads(result.stdout)["open_questions"] == [QUESTION]


@pytest.mark.parametrize("command", [("risks", *AT), ("portfolio", *AT), ("leakcheck",)])
def test_a_command_says_it_once_and_its_json_has_the_questions(
    command: tuple[str, ...], asking: Path, renewcast: Any
) -> None:
    name, *options = command
    _asks_once(renewcast(name, asking, *options, "--json", home=asking.parent / "home"))


@pytest.mark.slow
def test_commands_about_the_past_say_it_too(world: Any, renewcast: Any, tmp_path: Path) -> None:
    home, mapping = tmp_path / "home", tmp_path / "asking.toml"
    shutil.copytree(world.home, home, ignore=shutil.ignore_patterns("mlartifacts", "rollups", "store.sqlite*"))
    tables = "".join(f'{file.stem} = "SELECT * FROM own.{file.stem}"\n' for file in world.signals.glob("*.parquet"))
    head = f"open_questions = [{json.dumps(QUESTION)}]\n[sources.own]\nuri = {json.dumps(str(world.signals))}\n"
    mapping.write_text(f"{head}[tables]\n{tables}")
    _asks_once(renewcast("monitor", mapping, "--json", home=home))
    review = renewcast("review", mapping, "--quarter", "2026Q3", "--json", home=home)
    assert review.stderr.count(NOTE) == 1
    assert json.loads(review.stdout)["open_questions"] == [QUESTION]
    folder = Path(json.loads(review.stdout)["folder"])
    assert json.loads((folder / "review.json").read_text())["data_quality"]["troubles"] == [NOTE]
    assert NOTE in (folder / "index.html").read_text()


def test_the_python_api_warns_and_has_the_questions(asking: Path) -> None:
    with pytest.warns(UserWarning, match="figures are uncertain"), python_api.open_signals(asking) as signals:
        assert signals.open_questions == (QUESTION,)
    assert check(asking).open_questions == (QUESTION,)
    with python_api.open_signals(asking.with_name("answered.toml")) as answered:
        assert answered.open_questions == ()


def test_without_open_questions_there_is_no_note(asking: Path, renewcast: Any) -> None:
    answered = renewcast("health", asking.with_name("answered.toml"), *AT, "--json", home=asking.parent / "home")
    assert "uncertain" not in answered.stderr
    assert "open_questions" not in json.loads(answered.stdout)


@pytest.fixture(scope="module")
def client(asking: Path) -> Iterator[TestClient]:
    home, scores = Home(asking.parent / "served"), asking.parent / "scores.csv"
    signals = open_signals(asking)
    summary = score(signals, parse_instant("2026-09-30"), scores, home)
    signals.close()
    assert summary.words().count(f"note: {NOTE}") == 1
    assert "open_questions" not in scores.read_text(), "no cell of the file repeats it"
    app = create_app(home, ServiceSettings(open_locally=True))
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        yield client


@pytest.mark.parametrize(
    "page",
    [
        "/",
        "/worklist",
        "/renewals",
        "/alerts",
        "/trends",
        "/cohorts",
        "/leadership",
        "/accounts/one",
        "/accounts/one/plan",
    ],
)
def test_a_page_says_it_once(page: str, client: TestClient) -> None:
    text = client.get(page).text
    assert text.count("igures are uncertain") == 1
    assert f"F{NOTE[1:]}." in text


def test_what_is_sent_to_a_customer_does_not_say_it(client: TestClient) -> None:
    answer = client.get("/accounts/one/plan", params={"edition": "customer"})
    assert answer.status_code == 200
    assert "uncertain" not in answer.text


def test_the_api_has_the_questions_of_the_portfolio_and_a_warning_of_each_account(client: TestClient) -> None:
    assert client.get("/v1/portfolio").json()["open_questions"] == [QUESTION]
    warnings = client.get("/v1/accounts/one/prediction").json()["warnings"]
    assert {"code": "open_questions", "questions": 1} in warnings
