"""The page of customer-success practice: everything that it names exists, and its counts are right."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import renewcast
from features.catalogue.catalogue import CATALOGUE
from features.contract.schema import TABLES
from features.kpi.definitions import BY_CODE
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import AccountSegment
from models.rules.alerts import ALERT_CODES
from models.rules.early_warnings import WarningsFile
from serving.app.routes import ROUTES
from serving.webhooks.endpoints import EVENTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "practice.md"
STATES = ("yes", "partly", "no", "declined")
UNUSUAL_USE = {"use_unusually_low", "use_unusually_high"}
"""The warnings that have no entry of their own in the rules."""


@cache
def _page() -> str:
    return PAGE.read_text(encoding="utf-8")


def _rows() -> list[tuple[str, str, str]]:
    rows = []
    for line in _page().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells and cells[0] not in ("what teams ask for", "data") and not set(cells[0]) <= {"-"}:
            asked, state, where = cells
            rows.append((asked, state, where))
    return rows


def _names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _warnings() -> set[str]:
    return {rule.code for rule in read_rules("warnings", WarningsFile).warnings} | UNUSUAL_USE


@cache
def _known() -> frozenset[str]:
    """Names that are one word: tables, columns, features, KPIs, warnings, alerts, events, settings, exports, keys."""
    columns = {f"{table.name}.{column}" for table in TABLES.values() for column in table.names}
    templates = "".join(each.read_text(encoding="utf-8") for each in (ROOT / "serving/html/templates").glob("*.html"))
    exports = {f"{name}.csv" for name in re.findall(r'data-export="([\w-]+)"', templates)}
    settings = _names((ROOT / "docs/reference/generated/settings.md").read_text(encoding="utf-8"))
    return frozenset(
        {*TABLES, *columns, *CATALOGUE, *BY_CODE, *_warnings(), *ALERT_CODES, *EVENTS, *exports, *settings}
        | set(AccountSegment.model_fields)
    )


@cache
def _routes() -> frozenset[tuple[str, str]]:
    routes = [(method, route) for route in ROUTES for method in getattr(route, "methods", None) or ()]
    return frozenset((method, re.sub(r":\w+}", "}", str(getattr(route, "path", "")))) for method, route in routes)


def _is_command(words: list[str]) -> bool:
    """Return whether a command with these options exists. Words in capitals stand for arguments."""
    command: Any = get_command(renewcast.app)
    for word in words:
        if word.startswith("--"):
            if not any(word in option.opts for option in command.params):
                return False
        elif word in getattr(command, "commands", {}):
            command = command.commands[word]
        elif command is get_command(renewcast.app) or hasattr(command, "commands"):
            return False
    return True


def _is_option(name: str) -> bool:
    commands = get_command(renewcast.app).commands.values()  # type: ignore[attr-defined]
    return any(name in option.opts for command in commands for option in command.params)


def _exists(name: str) -> bool:
    first, *rest = name.split()
    if first == "renewcast":
        return _is_command(rest)
    if first in ("GET", "POST", "PATCH", "DELETE"):
        return (first, *rest) in _routes()
    if name.startswith("/"):
        return ("GET", name) in _routes()
    if "/" in name:
        return (ROOT / name).is_file()
    return _is_option(name) if name.startswith("--") else name in _known()


def test_every_row_has_a_state_and_says_where_or_why() -> None:
    rows = _rows()
    assert len(rows) > 100
    assert [asked for asked, state, where in rows if state not in STATES or not where] == []
    assert [asked for asked, count in Counter(asked for asked, _, _ in rows).items() if count > 1] == []


def test_everything_that_is_named_exists() -> None:
    assert [name for name in _names(_page()) if not _exists(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "renewcast celebrate",
        "renewcast qbr --song",
        "renewcast interventions applaud",
        "GET /v1/applause",
        "/applause",
        "models/rules/applause.toml",
        "--applause",
        "applause.csv",
        "usage.applause",
    ],
)
def test_a_name_that_does_not_exist_is_found(name: str) -> None:
    assert not _exists(name)


def test_all_kpis_are_on_the_page_and_all_that_are_called_so_are_kpis() -> None:
    named = set(re.findall(r"KPI `(\w+)`", _page()))
    assert named == set(BY_CODE)


def test_all_that_are_called_warnings_are_warnings() -> None:
    named = set(re.findall(r"[Ww]arnings? `(\w+)`", _page()))
    assert named
    assert named <= _warnings()


def test_the_counts_of_the_page_are_those_of_its_rows() -> None:
    counts = Counter(state for _, state, _ in _rows())
    sentence = (
        f"Of {counts.total()} things, {counts['yes']} are there, {counts['partly']} partly, {counts['no']} are not, and "
        f"{counts['declined']} are declined."
    )
    assert sentence in _page().replace("\n", " ")
