"""The reference pages agree with the code: columns, limits, codes, defaults and rules."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.contract.schema import TABLES, Column
from features.errors import InsufficientData
from models.artifacts.bundle_files import FORMAT_VERSION
from models.explain.reasons import MINIMUM_STABILITY
from models.peer_groups.rule_files import SHIPPED_RULES
from serving.common.settings import ServiceSettings
from serving.http.problem_details import HTTP_PROBLEMS, PROBLEM_TYPES
from serving.webhooks.endpoints import EVENTS
from training.config import TrainConfig
from training.dataset.origins import choose_origins
from training.dataset.sufficiency import MINIMUM_ACCOUNTS, MINIMUM_OUTCOMES
from training.estimators.ensemble import WEIGHT_SPREAD
from training.evaluation.backtest import PARTS
from training.evaluation.baselines import BASE_RATE, BLEND, HEALTH_SCORE, RENEWAL_DUE
from training.evaluation.comparison import FAIR_AUC, GOOD_AUC, GOOD_SLOPE
from training.evaluation.promotion_gates import SLOPE_BOUNDS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGES = ("features", "models", "training", "serving")
TYPES = {"string": "text", "instant": "instant", "float": "number", "int": "whole number", "bool": "yes/no"}


def _section(page: str, heading: str) -> str:
    """Return the text under a heading, up to the next heading of its level or a higher one."""
    text = (DOCS / page).read_text(encoding="utf-8")
    level = len(heading) - len(heading.lstrip("#"))
    match = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"{page} has no {heading}"
    return match[1]


def _rows(section: str) -> list[list[str]]:
    """Return the cells of the first table of a section, without its header."""
    lines = f"\n{section}".split("\n|", 1)[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _type(column: Column) -> str:
    if column.values:
        return ", ".join(f"`{value}`" for value in column.values)
    if column.maximum is not None:
        return f"{TYPES[column.kind]}, {column.minimum:g} to {column.maximum:g}"
    return TYPES[column.kind] + (", 0 or more" if column.minimum == 0 else "")


@pytest.mark.parametrize("name", TABLES)
def test_the_columns_of_a_table_are_those_of_the_contract(name: str) -> None:
    rows = _rows(_section("reference/signals.md", f"### `{name}`"))
    documented = [(column, kind, need) for column, kind, need, _ in rows]
    assert documented == [(f"`{c.name}`", _type(c), "required" if c.required else "optional") for c in TABLES[name].columns]


def test_columns_that_are_filled_in_later_are_named() -> None:
    section = _section("reference/signals.md", "## Time")
    later = {(f"{t.name}.{c.name}", c.known_from) for t in TABLES.values() for c in t.columns if c.known_from}
    listed = _rows(section)
    documented = {(column, re.findall(r"`(\w+)`", available)[0]) for columns, available in listed for column in re.findall(r"`([\w.]+)`", columns)}
    assert documented == later


def test_limits_have_the_defaults_of_the_settings() -> None:
    fields = ServiceSettings.model_fields
    rows = _rows(_section("reference/service.md", "## Request limits"))
    assert {name.strip("`").lower(): float(default) for _, name, default, _ in rows}.items() <= {n: f.default for n, f in fields.items()}.items()


def test_every_setting_is_on_the_page() -> None:
    text = (DOCS / "reference/service.md").read_text(encoding="utf-8")
    assert [name for name in ServiceSettings.model_fields if name.upper() not in text] == []


def test_every_problem_code_is_listed_with_its_status() -> None:
    listed: dict[str, set[str]] = {}
    for statuses, codes in _rows(_section("reference/service.md", "## Problem details")):
        for status in statuses.split(", "):
            listed.setdefault(status, set()).update(re.findall(r"`(\w+)`", codes))
    codes = [(kind.status, kind.code) for kind in PROBLEM_TYPES.values()] + [(s, code) for s, (code, _) in HTTP_PROBLEMS.items()]
    assert [(status, code) for status, code in codes if code not in listed.get(str(status), ())] == []


def test_every_event_of_webhooks_is_listed() -> None:
    assert [row[0].strip("`") for row in _rows(_section("reference/service.md", "## Webhooks"))] == list(EVENTS)


def test_training_settings_have_their_defaults() -> None:
    defaults_on_page: dict[str, str] = {}
    for names, defaults, _ in _rows(_section("explanation/method.md", "## Settings")):
        names = re.findall(r"`(\w+)`", names)
        defaults_on_page |= {names[0]: defaults} if len(names) == 1 else dict(zip(names, defaults.split(", "), strict=True))
    assert defaults_on_page == {name: _words(field.default) for name, field in TrainConfig.model_fields.items()}


def _words(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return f"`{default}`" if isinstance(default, str) else f"{default:,g}" if default else "0"


def test_gates_grades_and_limits_of_training_match_the_code() -> None:
    gates, grades = (_section("explanation/method.md", h) for h in ("## Promotion gates", "## Evaluation"))
    enough = _section("explanation/method.md", "### Enough data")
    assert f"| `calibration_slope` | at least {SLOPE_BOUNDS[0]}, or not measurably below 1" in gates
    assert f"Above {SLOPE_BOUNDS[1]}, the gate says" in gates
    assert f"| weak | lower bound of the AUC below {FAIR_AUC} |" in grades
    assert f"AUC below {GOOD_AUC}, or the interval of the calibration slope is not within {GOOD_SLOPE[0]} to {GOOD_SLOPE[1]}" in grades
    assert f"| active accounts | {MINIMUM_ACCOUNTS} |" in enough
    assert f"first origin (`train`) | {MINIMUM_OUTCOMES['train']} each |" in enough
    assert f"origins predict (`backtest`) | {MINIMUM_OUTCOMES['backtest']} each |" in enough


def test_the_history_that_training_needs_is_the_documented_one() -> None:
    enough = _section("explanation/method.md", "### Enough data")
    (labelled,) = (int(days) for days in re.findall(r"(\d+) days for weekly dates and H \+ G = 120", enough))
    (whole,) = (int(days) for days in re.findall(r"(\d+) days in all", enough))
    assert whole == labelled + 120
    start = datetime(2024, 1, 1, tzinfo=UTC)
    grid = [start + timedelta(days=days) for days in range(0, whole, 7)]
    assert len(choose_origins(grid, 90, 30, start + timedelta(days=whole)).dates) == 1
    with pytest.raises(InsufficientData, match=f"more days of history .* take {whole} days"):
        choose_origins(grid, 90, 30, start + timedelta(days=whole - 1))


def test_contenders_and_constants_of_the_model_match_the_code() -> None:
    listed = {
        name
        for cell, _ in _rows(_section("explanation/method.md", "## Evaluation"))
        for name in re.findall(r"`(\w+)`", cell)
    }
    assert {BASE_RATE, RENEWAL_DUE, HEALTH_SCORE, *PARTS, BLEND} == listed
    ensemble = _section("explanation/method.md", "### Ensemble")
    assert f"standard deviation of {WEIGHT_SPREAD}" in ensemble
    assert f"at least {MINIMUM_STABILITY:.0%} of the members" in _section("explanation/method.md", "## Reasons")
    assert str(FORMAT_VERSION) in re.findall(
        r"format version \((\d+)", (DOCS / "reference/home.md").read_text(encoding="utf-8")
    )


def _rules(name: str) -> dict[str, Any]:
    return tomllib.loads((SHIPPED_RULES / f"{name}.toml").read_text(encoding="utf-8"))


def test_early_warnings_are_those_of_their_file() -> None:
    rows = _rows(_section("reference/rules.md", "## Early warnings"))
    documented = {re.findall(r"`(\w+)`", code)[0]: (severity, cause.replace(" ", "_"), noisy == "yes") for code, severity, cause, noisy in rows}
    unusual = {"use_unusually_low", "use_unusually_high"}
    assert {code: row for code, row in documented.items() if code not in unusual} == {
        rule["code"]: (rule["severity"], rule["cause"], rule.get("noisy", False)) for rule in _rules("warnings")["warnings"]
    }
    assert unusual <= set(documented)


def test_segments_are_those_of_their_file() -> None:
    rows = _rows(_section("reference/rules.md", "## Segments"))
    assert [(name.strip("`"), over, int(many.replace(",", "")), int(days.split()[0])) for name, over, _, many, days in rows] == [
        (s["name"], f"{s['over']:,}" if "over" in s else "the rest", s["accounts_per_csm"], s["health_every_days"]) for s in _rules("segments")["segments"]
    ]


def test_due_dates_of_plays_are_those_of_their_file() -> None:
    rows = _rows(_section("reference/rules.md", "### Severity, cause and person"))
    assert [(severity, int(within.split()[0]), int(before.split()[0])) for severity, _, within, before in rows] == [
        (t["severity"], t["within_days"], t["before_renewal_days"]) for t in _rules("plays")["tiers"]
    ]


def test_steps_of_onboarding_are_those_of_their_file() -> None:
    rows = _rows(_section("reference/rules.md", "## Onboarding"))
    assert [(step.strip("`"), int(day), act) for step, day, _, act in rows] == [(s["code"], s["day"], s["act"]) for s in _rules("onboarding")["steps"]]


def test_pages_and_sections_that_the_code_cites_exist() -> None:
    cited = [
        (file.relative_to(ROOT), page, " ".join(section.split()))
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        for page, section in re.findall(r'docs/((?:reference|explanation)/[\w-]+\.md)(?:,\s+"([^"]+)")?', file.read_text(encoding="utf-8"))
    ]
    assert cited
    pages = {page: (DOCS / page).read_text(encoding="utf-8") if (DOCS / page).exists() else "" for _, page, _ in cited}
    assert [each for each in cited if not re.search(rf"^#+ {re.escape(each[2])}", pages[each[1]], re.MULTILINE)] == []
