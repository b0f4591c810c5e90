"""Tools are recognized by their tables and columns, and not confused with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from features.packs.inputs import Relation
from features.packs.pack import Pack, shipped_packs
from features.packs.recognition import recognize


def _relations(pack: Pack, prefix: str = "", upper: bool = False) -> list[Relation]:
    """Return the tables of a tool as one loader lands them."""
    result = []
    for each in pack.file.inputs.values():
        if each.names and "{" not in each.names[0]:
            columns: dict[str, str] = {}
            for column, about in each.columns.items():
                name = next((n for n in about.names if "{" not in n), column if not about.names else "")
                if name:
                    columns[name.partition(".")[0]] = "JSON" if "." in name or about.type == "json" else "VARCHAR"
            name = prefix + each.names[0]
            result.append(Relation(name.upper() if upper else name, {c.upper() if upper else c: kind for c, kind in columns.items()}))
    return list({relation.name: relation for relation in result}.values())


TOOLS = [name for name, pack in shipped_packs().items() if _relations(pack)]
"""Packs of which a table has a name; those whose tables the user names cannot be recognized."""


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_is_recognized_and_no_other(name: str) -> None:
    pack = shipped_packs()[name]
    best, *others = recognize(_relations(pack))
    assert (best.pack.name, best.missing, best.ambiguous) == (name, (), ())
    assert best.score > 0.8
    assert [other.pack.name for other in others if not other.missing] == []


@pytest.mark.parametrize("name", TOOLS)
def test_prefixes_and_case_do_not_matter(name: str) -> None:
    pack = shipped_packs()[name]
    prefix = pack.file.prefixes[0] if pack.file.prefixes else ""
    assert recognize(_relations(pack, prefix, upper=True))[0].pack.name == name


def test_several_tools_in_one_schema_are_all_recognized() -> None:
    relations = [r for name in ("stripe", "recurly") for r in _relations(shipped_packs()[name], f"{name}_")]
    assert {each.pack.name for each in recognize(relations) if not each.missing} == {"stripe", "recurly"}


@pytest.mark.parametrize("tables", [{}, {"t": {"a": "VARCHAR"}}, {"accounts": {"account_id": "VARCHAR", "created_at": "TIMESTAMP", "name": "VARCHAR"}}])
def test_unknown_tables_are_no_tool(tables: Mapping[str, Mapping[str, str]]) -> None:
    assert recognize([Relation(name, columns) for name, columns in tables.items()]) == []


def test_what_is_missing_is_named() -> None:
    relations = [r for r in _relations(shipped_packs()["stripe"]) if r.name != "subscription_history"]
    assert recognize(relations)[0].missing == ("there is no table subscription",)
    changed = [Relation(r.name, {c: t for c, t in r.columns.items() if c != "cancel_at_period_end"}) for r in _relations(shipped_packs()["stripe"])]
    assert recognize(changed)[0].missing == ("the table subscription_history has no column cancel_at_period_end",)


def test_the_sample_exports_are_recognized(run_export: Callable[..., Any]) -> None:
    for name in ("stripe", "recurly", "salesforce", "zendesk"):
        run = run_export(name, name)
        relations = [Relation(t, dict.fromkeys(c, "VARCHAR")) for t, c in _columns(run).items()]
        assert [each.pack.name for each in recognize(relations)] == [name]


def _columns(run: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, column in run.connection.execute("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'main'").fetchall():
        found.setdefault(table, []).append(column)
    return found
