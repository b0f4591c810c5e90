"""The JSON Schema of a mapping file, for editors that complete and check it."""

from __future__ import annotations

from typing import Any

from features.contract.current_contract import current_tables
from features.contract.schema import TableSchema
from features.packs.pack import shipped_packs
from features.sources.mapping.file_schema import MappingFile

_PER_COLUMN = ("columns", "constants", "values", "units")


def mapping_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12), with the tables, columns and values of the current contract."""
    schema = MappingFile.model_json_schema(by_alias=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Renewcast mapping"}
    definitions = schema["$defs"]
    _describe(definitions)
    rules = definitions["TableMapping"]
    tables = {}
    for name, table in current_tables().items():
        definitions[f"Table_{name}"] = _table_rules(rules, table)
        one = {"$ref": f"#/$defs/Table_{name}"}
        tables[name] = {
            "anyOf": [{"type": "string", "description": "One SELECT."}, one, {"type": "array", "items": one}]
        }
    schema["properties"]["tables"] = {"type": "object", "properties": tables, "additionalProperties": False}
    packs = [{"const": name, "description": pack.file.title} for name, pack in shipped_packs().items()]
    own = {"type": "string", "pattern": r"\.toml$", "description": "The file of an own pack."}
    definitions["SourceEntry"]["properties"]["pack"] = {"anyOf": [*packs, own]}
    return schema


def _table_rules(rules: dict[str, Any], table: TableSchema) -> dict[str, Any]:
    """Return the rules of a table with the names of its columns."""
    properties = dict(rules["properties"])
    for kind in _PER_COLUMN:
        given = properties[kind]
        inner = given.get("additionalProperties") or next(iter(given["patternProperties"].values()))
        numbers = [c for c in table.columns if c.kind in ("float", "int")]
        columns = numbers if kind == "units" else table.columns
        named: dict[str, Any] = {column.name: inner for column in columns}
        if kind == "values":
            named |= {c.name: _values(c.values) for c in table.columns if c.values}
        extra = inner if kind in ("columns", "constants") else False
        properties[kind] = {"type": "object", "properties": named, "additionalProperties": extra}
    return {**rules, "title": table.name, "properties": properties}


def _values(allowed: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"enum": [*allowed, ""]}}


def _describe(definitions: dict[str, Any]) -> None:
    """Shorten the descriptions, which are docstrings, to their first sentence."""
    for definition in definitions.values():
        if "description" in definition:
            definition["description"] = definition["description"].split("\n\n")[0]
