"""The tables that a signals source may hold. `columns.toml` adds the meaning and the unit of each column."""

from __future__ import annotations

import tomllib
from pathlib import Path

from docs.generator.markdown import code, page, table
from features.contract.schema import TABLES, Column, TableSchema

MEANINGS = Path(__file__).with_name("columns.toml")
_TYPES = {"string": "text", "instant": "instant", "float": "number", "int": "whole number", "bool": "true or false"}
_INTRODUCTION = """\
A signals source holds these tables. `accounts` is required, and so is `subscriptions` or `orders`. A missing table or
column means that its values are unknown. Unknown is never zero.

Instants are in UTC. A value without a time zone is read as UTC, a date without a time as its midnight. Extra columns
are ignored with a note."""


def contract_page() -> str:
    """Every table with its columns.

    Raises
    ------
    ValueError
        If `columns.toml` lacks a column of the contract, or describes one that does not exist.
    """
    meanings = tomllib.loads(MEANINGS.read_text(encoding="utf-8"))
    described = {f"{name}.{column}" for name, columns in meanings.items() for column in columns if column != "table"}
    actual = {f"{name}.{column}" for name, its in TABLES.items() for column in its.names}
    if described != actual:
        raise ValueError(f"{MEANINGS.name} and the contract differ in: {', '.join(sorted(described ^ actual))}")
    return page("Data contract", _INTRODUCTION, *(_section(its, meanings[name]) for name, its in TABLES.items()))


def _section(its: TableSchema, meanings: dict[str, str]) -> str:
    rows = [
        (code(c.name), _TYPES[c.kind], "yes" if c.required else "", _values(its, c), meanings[c.name])
        for c in its.columns
    ]
    columns = table(("column", "type", "required", "allowed values", "meaning"), rows)
    return "\n\n".join(filter(None, [f"## {its.name}", meanings["table"], columns.strip(), _rules(its)]))


def _values(its: TableSchema, column: Column) -> str:
    if column.values:
        return ", ".join(map(code, column.values))
    bounds = [
        f"{minimum:g} to {maximum:g} for {code(kind)}"
        for kind, name, minimum, maximum in its.ranges
        if name == column.name
    ]
    if column.minimum is not None and column.maximum is not None:
        bounds.append(f"{column.minimum:g} to {column.maximum:g}")
    elif column.minimum is not None:
        bounds.append(f"{column.minimum:g} or more")
    return "; ".join(bounds)


def _rules(its: TableSchema) -> str:
    rules = [f"{code(end)} is not before {code(start)}." for start, end in its.intervals]
    if its.unique:
        verb = "is" if len(its.unique) == 1 else "together are"
        rules.append(f"{' and '.join(map(code, its.unique))} {verb} unique.")
    rules += [
        f"{code(c.name)} is filled in later: a snapshot from before {_instant(c)} sees it as empty."
        for c in its.columns
        if c.known_from
    ]
    return "\n".join(f"- {rule}" for rule in rules)


def _instant(column: Column) -> str:
    return "that instant" if column.known_from == column.name else code(column.known_from)
