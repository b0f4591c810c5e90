"""The shipped rules: alerts, early warnings, onboarding, expansion, plays, segments, business reviews and plans."""

from __future__ import annotations

import tomllib

from docs.generator.markdown import page
from docs.generator.toml_tables import introduction, sections
from models.peer_groups.rule_files import SHIPPED_RULES

_FILES = {
    "alerts": "Alerts",
    "warnings": "Early warnings",
    "onboarding": "Onboarding",
    "expansion": "Expansion",
    "plays": "Plays",
    "segments": "Segments",
    "lifecycle": "Lifecycle",
    "business_reviews": "Business reviews",
    "success_plans": "Success plans",
    "roadmap": "Roadmap",
}
_KPI_TARGETS = {"measures", "kpi_targets"}
"""The file of targets, which the page of KPIs shows."""
_INTRODUCTION = """\
The rules that ship with Renewcast, as their TOML files state them. A file of the same name in the folder that
`RENEWCAST_RULES` names replaces the shipped one. [Examples](rule-examples.md) show what follows from them, and
[Features](features.md) defines the features in the conditions."""


def rules_page() -> str:
    """Every file of rules.

    Raises
    ------
    ValueError
        If a shipped file has no place on the page.
    """
    shipped = {path.stem for path in SHIPPED_RULES.glob("*.toml")} - _KPI_TARGETS
    if differing := sorted(shipped ^ set(_FILES)):
        raise ValueError(f"the page of rules and the shipped files differ in: {', '.join(differing)}")
    parts = []
    for name, title in _FILES.items():
        text = (SHIPPED_RULES / f"{name}.toml").read_text(encoding="utf-8")
        parts += [
            f"## {title}",
            f"File: `{name}.toml`, version {tomllib.loads(text)['version']}",
            introduction(text, title),
            *sections(text),
        ]
    return page("Rules", _INTRODUCTION, *parts)
