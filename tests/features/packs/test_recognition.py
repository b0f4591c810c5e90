"""Tools are recognized by their tables and columns, and not confused with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from features.packs.inputs import Relation
from features.packs.pack import Pack, shipped_packs
from features.packs.recognition import recognize
from features.packs.schema import InputColumn


def _relations(pack: Pack, prefix: str = "", upper: bool = False, required: bool = False) -> list[Relation]:
    """Return the tables of a tool as one loader lands them; perhaps with the required columns alone."""
    result = []
    for each in pack.file.inputs.values():
        if each.names and "{" not in each.names[0]:
            columns: dict[str, str] = {}
            for column, about in each.columns.items():
                if required and not about.required:
                    continue
                name = next((n for n in about.names if "{" not in n), column if not about.names else "")
                if name:
                    columns[name.partition(".")[0]] = "JSON" if "." in name or about.type == "json" else "VARCHAR"
            name = prefix + each.names[0]
            result.append(Relation(name.upper() if upper else name, {c.upper() if upper else c: kind for c, kind in columns.items()}))
    return list({relation.name: relation for relation in result}.values())


TOOLS = [name for name, pack in shipped_packs().items() if _relations(pack)]
"""Packs of which a table has a name; those whose tables the user names cannot be recognized."""


@pytest.mark.parametrize("required", [False, True], ids=["all columns", "required columns"])
@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_is_recognized_and_no_other(name: str, required: bool) -> None:
    pack = shipped_packs()[name]
    best, *others = recognize(_relations(pack, required=required))
    assert (best.pack.name, best.missing, best.ambiguous) == (name, (), ())
    assert [other.pack.name for other in others if not other.missing] == []


@pytest.mark.parametrize("name", TOOLS)
def test_columns_that_a_pack_can_do_without_do_not_count_against_it(name: str) -> None:
    pack = shipped_packs()[name]
    more = {f"zz_column_{i}": InputColumn(type="text") for i in range(50)}
    wider = {n: each.model_copy(update={"columns": {**each.columns, **more}}) for n, each in pack.file.inputs.items()}
    packs = shipped_packs() | {name: Pack(name, pack.file.model_copy(update={"inputs": wider}), "a test")}
    relations = _relations(pack, required=True)
    before, after = recognize(relations)[0], recognize(relations, packs.values())[0]
    assert (after.pack.name, after.evidence) == (name, before.evidence)


@pytest.mark.parametrize("name", TOOLS)
def test_prefixes_and_case_do_not_matter(name: str) -> None:
    pack = shipped_packs()[name]
    prefix = pack.file.prefixes[0] if pack.file.prefixes else ""
    assert recognize(_relations(pack, prefix, upper=True))[0].pack.name == name


def test_several_tools_in_one_schema_are_all_recognized() -> None:
    relations = [r for name in ("stripe", "recurly") for r in _relations(shipped_packs()[name], f"{name}_")]
    assert {each.pack.name for each in recognize(relations) if not each.missing} == {"stripe", "recurly"}


UNKNOWN: list[dict[str, str]] = [
    {},
    {"t": "a"},
    {"accounts": "account_id, created_at, name"},
    # Tables with the names of those of tools, but without columns that only these have.
    {"company": "id, name, domain, industry, country, created_at", "contact": "id, company_id, email, first_name, last_name", "tickets": "id, company_id, created_at, status, priority, subject"},
    {"customers": "id, name, email, created_at", "subscriptions": "id, customer_id, status, plan, quantity, currency, start_date, end_date", "invoices": "id, customer_id, amount, due_date, paid_at, status"},
    {"users": "id, email, created_at", "events": "id, user_id, name, time", "groups": "id, name"},
]


@pytest.mark.parametrize("tables", UNKNOWN)
def test_unknown_tables_are_no_tool(tables: Mapping[str, str]) -> None:
    found = recognize([Relation(name, {c.strip(): "VARCHAR" for c in columns.split(",")}) for name, columns in tables.items()])
    assert [each.pack.name for each in found if not each.missing] == []


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
