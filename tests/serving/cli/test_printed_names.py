"""A name from outside never makes a line of its own in what commands print, whatever line feeds and tabs it holds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.utils.console import Console
from models.artifacts.champion import load_champion
from models.home import Home
from serving.app.app import create_app
from serving.cli.tables.account_reports import print_account_report
from serving.cli.tables.renewals import print_renewals
from serving.cli.tables.rules import DISAGREEMENTS, HEALTH, RISKS, print_rule_table
from serving.cli.tables.worklist import print_worklist
from serving.common.settings import ServiceSettings
from serving.portfolio.rule_tables import disagreements_board, health_board, risks_board
from serving.scoring.score_portfolio import assess_portfolio

NAMES = {"name", "csm", "account_id", "segment", "value", "text", "who", "notes", "missing"}
HOSTILE = st.text(st.sampled_from("ab \n\t\r\x0b\x0c\x85\u2028\u2029\x1b\u202e"), min_size=1, max_size=20).filter(str.strip)


@pytest.fixture(scope="module")
def payload(scored_home: Any, signals: Any) -> dict[str, Any]:
    """The JSON output of the commands."""
    home: Home = scored_home.home
    results: dict[str, Any] = {}
    with TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        paths = {"worklist": "/v1/worklist", "renewals": "/v1/renewals", "plan": "/v1/accounts/a05/plan"}
        for name, path in paths.items():
            answer = client.get(path)
            if answer.status_code == 200:
                results[name] = answer.json()
    assessed = assess_portfolio(signals, scored_home.summary.as_of, home, load_champion(home))[0]
    results |= {"health": health_board(assessed), "risks": risks_board(assessed), "disagreements": disagreements_board(assessed)}
    return results


PRINTERS = {
    "worklist": print_worklist,
    "renewals": print_renewals,
    "plan": print_account_report,
    "health": lambda board, console: print_rule_table(board, HEALTH, "health", console),
    "risks": lambda board, console: print_rule_table(board, RISKS, "risks", console),
    "disagreements": lambda board, console: print_rule_table(board, DISAGREEMENTS, "disagreements", console),
}


def named(payload: Any, name: str) -> Any:
    """The same with every name another."""
    if isinstance(payload, pd.DataFrame):
        return payload.assign(account_id=name)
    if isinstance(payload, list):
        return [named(each, name) for each in payload]
    if isinstance(payload, dict):
        return {key: name if key in NAMES and isinstance(value, str) else named(value, name) for key, value in payload.items()}
    return payload


def lines(what: str, payload: Any) -> list[str]:
    out = io.StringIO()
    PRINTERS[what](payload, Console(file=out, width=100_000))
    return out.getvalue().split("\n")


@pytest.mark.parametrize("what", PRINTERS)
@given(name=HOSTILE)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_name_never_starts_a_new_line(payload: dict[str, Any], what: str, name: str) -> None:
    if what not in payload:
        pytest.skip("nothing was kept for it")
    displayed, plain = lines(what, named(payload[what], name)), lines(what, named(payload[what], "plain"))
    assert len(displayed) == len(plain)
    assert not any(c in line for line in displayed for c in "\t\r\x0b\x0c\x85\u2028\u2029\x1b\u202e")


def test_every_table_uses_the_project_table_class() -> None:
    root = Path(__file__).parents[3]
    own = root / "features" / "utils" / "console.py"
    folders = ("features", "models", "serving", "training")
    files = [root / "renewcast.py", *(file for folder in folders for file in (root / folder).rglob("*.py"))]
    assert [file.name for file in files if file != own and "rich.table" in file.read_text(encoding="utf-8")] == []
