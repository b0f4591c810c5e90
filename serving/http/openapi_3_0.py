"""The API described in OpenAPI 3.0.3, for importers that know no newer one; Salesforce External Services above all.

FastAPI describes it in OpenAPI 3.1, whose schemas are those of JSON Schema 2020-12; 3.0 has another dialect, so a new
version string alone would not do. What this makes of it keeps to what Salesforce imports:

- JSON bodies only, since other media types, such as application/problem+json, have to be mapped by hand there; and no
  headers of answers, which it does not see;
- no ``not``, and no ``anyOf`` or ``oneOf`` without a discriminator, which tells Apex which class to make;
- no arrays of arrays, which make a ``List<List<T>>`` that flows cannot hold;
- no security schemes, which a named credential takes the place of there;
- names that are Apex identifiers as they stand: letters and digits in operations and schemas, so that nothing is
  encoded; no operation without an id; no GET with a body.

Sources: Salesforce Help, External Services: "OpenAPI 2.0 and 3.0 Support", "Schema Definitions", "Naming and
Description Conventions", "Apex Reserved Keywords" (articles platform.external_services_intro_openapi_2_3_support,
…_schema_def_definition, …_schema_def_naming_description, …_schema_def_apex_reserved_keywords); OpenAPI 3.0.3, Schema
Object.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

VERSION = "3.0.3"
JSON = "application/json"
HTTP_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
#: Their tables are arrays of arrays, and who calls them reads 3.1 or nothing.
EXCLUDED_TAGS = frozenset({"mlflow"})

#: What a schema of 3.0 may hold that needs no turning; everything else that is not turned is dropped.
COPIED_KEYWORDS = frozenset(
    {
        *("title", "description", "type", "format", "enum", "default", "pattern", "multipleOf", "minimum", "maximum"),
        *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
        *("required", "nullable", "discriminator", "readOnly", "writeOnly", "xml", "externalDocs", "example"),
        *("deprecated", "exclusiveMinimum", "exclusiveMaximum"),
    }
)
_PREFIX = "#/components/schemas/"
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}

Schema = dict[str, Any]


def to_openapi_3_0(document: Mapping[str, Any], left_out: Collection[str] = EXCLUDED_TAGS) -> dict[str, Any]:
    """A document of OpenAPI 3.1 as one of 3.0.3. What it promises is the same or less, never more.

    Parameters
    ----------
    document : as FastAPI makes it; it is not changed.
    left_out : operations with one of these tags are left out, as are those that do not answer in JSON.
    """
    turn = _Converter(document.get("components", {}).get("schemas", {}))
    paths = {path: turn.path(item, left_out) for path, item in document["paths"].items()}
    paths = {path: item for path, item in paths.items() if any(method in item for method in HTTP_METHODS)}
    info = {name: value for name, value in document["info"].items() if name != "summary"}
    others = {
        name: part
        for name, part in document.get("components", {}).items()
        if name not in ("schemas", "pathItems", "securitySchemes")
    }
    told = {"openapi": VERSION, "info": info}
    told |= {name: document[name] for name in ("servers", "tags", "externalDocs") if name in document}
    return told | {"paths": paths, "components": {**others, "schemas": turn.used_by(paths)}}


class _Converter:
    """The turning of one document; it collects the schemas that it turns and makes."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._given = schemas
        self._turned: dict[str, Schema] = {}

    def path(self, item: Mapping[str, Any], left_out: Collection[str]) -> dict[str, Any]:
        """A path's operations, as far as they stay."""
        told = {name: value for name, value in item.items() if name not in HTTP_METHODS}
        for method in HTTP_METHODS:
            operation = item.get(method)
            if (
                operation is not None
                and not set(operation.get("tags", ())) & set(left_out)
                and _returns_json(operation)
            ):
                told[method] = self._operation(operation)
        return told

    def used_by(self, part: Any) -> dict[str, Schema]:
        """The turned schemas that ``part`` refers to, and those that these refer to, by name."""
        found: dict[str, Schema] = {}
        ahead = [part]
        while ahead:
            for name in _references(ahead.pop()):
                if name not in found:
                    found[name] = self._turned[name] if name in self._turned else self.schema(self._given[name])
                    ahead.append(found[name])
        return dict(sorted(found.items()))

    def _operation(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: value for name, value in operation.items() if name != "security"}
        if "parameters" in told:
            told["parameters"] = [self._parameter(each) for each in told["parameters"]]
        if "requestBody" in told:
            told["requestBody"] = self._body(told["requestBody"])
        told["responses"] = {status: self._body(each) for status, each in told["responses"].items()}
        return told

    def _parameter(self, parameter: Mapping[str, Any]) -> dict[str, Any]:
        # A parameter is left out rather than null.
        schema = {name: value for name, value in self.schema(parameter["schema"]).items() if name != "nullable"}
        return {**parameter, "schema": schema}

    def _body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: value for name, value in body.items() if name not in ("content", "headers", "links")}
        if JSON in body.get("content", {}):
            media = body["content"][JSON]
            told["content"] = {JSON: {**media, "schema": self.schema(media.get("schema", {}))}}
        return told

    def schema(self, given: Any) -> Schema:
        """One schema and all that lies in it."""
        if not isinstance(given, Mapping):
            # true takes everything; false, which 3.0 cannot say, is widened to it.
            return {}
        told = {name: value for name, value in given.items() if name in COPIED_KEYWORDS}
        told |= self._inner(given)
        _bounds(told)
        if "const" in given:
            told.setdefault("type", _TYPES.get(type(given["const"]), "string"))
            told["enum"] = [given["const"]]
        if given.get("examples"):
            told["example"] = given["examples"][0]
        if given.get("contentMediaType") == "application/octet-stream":
            told["format"] = "binary"
        if told.get("default", ...) is None:
            del told["default"]
        if "$ref" in given:
            reference = {"$ref": given["$ref"]}
            return {"allOf": [reference], **told} if told else reference
        if isinstance(told.get("type"), list):
            kinds = told.pop("type")
            return self._one_of(told, [{**told, "type": kind} if kind != "null" else {"type": kind} for kind in kinds])
        for name in ("anyOf", "oneOf"):
            if name in given and "discriminator" in given:
                told[name] = [self.schema(each) for each in given[name]]
            elif name in given:
                return self._one_of(told, list(map(self._flattened, given[name])))
        return told

    def _flattened(self, choice: Schema) -> Schema:
        return choice if choice.get("type") == "null" else self.schema(choice)

    def _inner(self, given: Mapping[str, Any]) -> Schema:
        told: Schema = {}
        if "properties" in given:
            told["properties"] = {name: self.schema(each) for name, each in given["properties"].items()}
        if isinstance(more := given.get("additionalProperties"), Mapping) or more is True:
            told["additionalProperties"] = self.schema(more)
        if "allOf" in given:
            told["allOf"] = [self.schema(each) for each in given["allOf"]]
        if "prefixItems" in given:
            kinds = [self.schema(each) for each in given["prefixItems"]]
            told["items"] = kinds[0] if all(kind == kinds[0] for kind in kinds) else {}
        elif "items" in given or given.get("type") == "array":
            told["items"] = self.schema(given.get("items", {}))
        return told

    def _one_of(self, around: Schema, choices: list[Schema]) -> Schema:
        """A choice between turned schemas, and null among them, without a choice."""
        others = [each for each in choices if each.get("type") != "null"]
        nullable = len(others) < len(choices)
        if {each.get("type") for each in others} == {"integer", "number"}:
            others = [each for each in others if each["type"] == "number"]
        if len(others) == 1:
            told = _with_context(others[0], around)
        elif others and all(self._is_object(each) for each in others):
            told = _with_context(self._merged(others), around)
        else:
            # Any type at all.
            return {name: value for name, value in around.items() if name in ("title", "description", "example")}
        return _nullable(told) if nullable else told

    def _is_object(self, schema: Schema) -> bool:
        return "$ref" in schema and self._given[_name(schema)].get("type") == "object"

    def _merged(self, choices: list[Schema]) -> Schema:
        """One object with the fields of all, of which those are needed that all need."""
        names = [_name(each) for each in choices]
        parts = [self.schema(self._given[name]) for name in names]
        fields: Schema = {}
        for part in parts:
            fields = part.get("properties", {}) | fields
        needed = [name for name in fields if all(name in part.get("required", ()) for part in parts)]
        name = "Or".join(names)
        told = {"title": name, "type": "object", "properties": fields, "required": needed}
        told["description"] = f"Either {' or '.join(names)}: the fields of one of them."
        if not needed:
            del told["required"]
        self._turned[name] = told
        return {"$ref": _PREFIX + name}


def _with_context(schema: Schema, around: Schema) -> Schema:
    """A schema with what stood around the choice; where both say something, what stood around it says it."""
    if "$ref" not in schema:
        return {**schema, **around}
    said = {name: value for name, value in around.items() if name != "title"}
    return {"allOf": [schema], **said} if said else schema


def _nullable(schema: Schema) -> Schema:
    if "$ref" in schema:
        schema = {"allOf": [schema]}
    if "enum" in schema:
        # 3.0 wants null among the values too, of which importers make a constant without a name.
        told = {name: value for name, value in schema.items() if name != "enum"}
        values = f"One of {', '.join(map(str, schema['enum']))}."
        schema = {**told, "description": f"{told['description']} {values}" if "description" in told else values}
    return {**schema, "nullable": True}


def _bounds(told: Schema) -> None:
    """Numbers as exclusive bounds: in 3.0 they are marks beside the inclusive ones."""
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(told.get(exclusive), int | float) and not isinstance(told[exclusive], bool):
            told[inclusive], told[exclusive] = told[exclusive], True


def _returns_json(operation: Mapping[str, Any]) -> bool:
    """Whether what it answers, where all is well, is JSON."""
    good = [each for status, each in operation["responses"].items() if status.startswith("2")]
    return all(JSON in each["content"] for each in good if each.get("content"))


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).removeprefix(_PREFIX)


def _references(part: Any) -> Iterator[str]:
    """The schemas that a part of a document refers to."""
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield _name(dict(part))
        for each in part.values():
            yield from _references(each)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)


def openapi_3_0_json(document: Mapping[str, Any]) -> bytes:
    """The turned document as it is served."""
    return json.dumps(to_openapi_3_0(document), ensure_ascii=False).encode()
