"""Conversion of the API description to OpenAPI 3.0.3, for importers that support no newer version, above all
Salesforce External Services.

FastAPI describes the API in OpenAPI 3.1, whose schemas are JSON Schema 2020-12. OpenAPI 3.0 has another dialect, so
changing the version string alone is not enough. The converted document contains only what Salesforce can import:

- JSON bodies only, since Salesforce requires a manual mapping for other media types, such as application/problem+json;
  and no response headers, which it does not support;
- no ``not``, and no ``anyOf`` or ``oneOf`` without a discriminator, by which Apex chooses the class;
- no arrays of arrays, which become a ``List<List<T>>`` that flows do not support;
- no security schemes, since Salesforce uses a named credential instead;
- names that are valid Apex identifiers: letters and digits in operations and schemas, so that nothing is encoded; no
  operation without an id; no GET with a body.

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
#: These operations exchange tables as arrays of arrays. Their callers do not need OpenAPI 3.0.
EXCLUDED_TAGS = frozenset({"mlflow"})

#: Schema keywords that are copied unchanged. All others are converted or dropped.
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


def to_openapi_3_0(document: Mapping[str, Any], excluded_tags: Collection[str] = EXCLUDED_TAGS) -> dict[str, Any]:
    """Convert an OpenAPI 3.1 document to 3.0.3. The result describes the same or fewer guarantees, never more.

    Parameters
    ----------
    document : the description from FastAPI; it is not modified.
    excluded_tags : operations with one of these tags are left out, as are those that do not respond with JSON.
    """
    converter = _Converter(document.get("components", {}).get("schemas", {}))
    paths = {path: converter.path(item, excluded_tags) for path, item in document["paths"].items()}
    paths = {path: item for path, item in paths.items() if any(method in item for method in HTTP_METHODS)}
    info = {name: value for name, value in document["info"].items() if name != "summary"}
    others = {
        name: part
        for name, part in document.get("components", {}).items()
        if name not in ("schemas", "pathItems", "securitySchemes")
    }
    result = {"openapi": VERSION, "info": info}
    result |= {name: document[name] for name in ("servers", "tags", "externalDocs") if name in document}
    return result | {"paths": paths, "components": {**others, "schemas": converter.used_by(paths)}}


class _Converter:
    """Converts one document and collects the schemas that it creates."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self._created: dict[str, Schema] = {}

    def path(self, item: Mapping[str, Any], excluded_tags: Collection[str]) -> dict[str, Any]:
        """Return a path with its converted operations, without the excluded ones."""
        result = {name: value for name, value in item.items() if name not in HTTP_METHODS}
        for method in HTTP_METHODS:
            operation = item.get(method)
            if (
                operation is not None
                and not set(operation.get("tags", ())) & set(excluded_tags)
                and _returns_json(operation)
            ):
                result[method] = self._operation(operation)
        return result

    def used_by(self, part: Any) -> dict[str, Schema]:
        """Return the converted schemas that ``part`` refers to, directly or through other schemas, by name."""
        found: dict[str, Schema] = {}
        ahead = [part]
        while ahead:
            for name in _references(ahead.pop()):
                if name not in found:
                    found[name] = self._created[name] if name in self._created else self.schema(self._schemas[name])
                    ahead.append(found[name])
        return dict(sorted(found.items()))

    def _operation(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        result = {name: value for name, value in operation.items() if name != "security"}
        if "parameters" in result:
            result["parameters"] = [self._parameter(each) for each in result["parameters"]]
        if "requestBody" in result:
            result["requestBody"] = self._body(result["requestBody"])
        result["responses"] = {status: self._body(each) for status, each in result["responses"].items()}
        return result

    def _parameter(self, parameter: Mapping[str, Any]) -> dict[str, Any]:
        # A caller omits a parameter instead of sending null.
        schema = {name: value for name, value in self.schema(parameter["schema"]).items() if name != "nullable"}
        return {**parameter, "schema": schema}

    def _body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        result = {name: value for name, value in body.items() if name not in ("content", "headers", "links")}
        if JSON in body.get("content", {}):
            media = body["content"][JSON]
            result["content"] = {JSON: {**media, "schema": self.schema(media.get("schema", {}))}}
        return result

    def schema(self, source: Any) -> Schema:
        """Convert one schema and all schemas inside it."""
        if not isinstance(source, Mapping):
            # true allows everything; false cannot be expressed in 3.0 and is widened to true.
            return {}
        result = {name: value for name, value in source.items() if name in COPIED_KEYWORDS}
        result |= self._inner(source)
        _bounds(result)
        if "const" in source:
            result.setdefault("type", _TYPES.get(type(source["const"]), "string"))
            result["enum"] = [source["const"]]
        if source.get("examples"):
            result["example"] = source["examples"][0]
        if source.get("contentMediaType") == "application/octet-stream":
            result["format"] = "binary"
        if result.get("default", ...) is None:
            del result["default"]
        if "$ref" in source:
            reference = {"$ref": source["$ref"]}
            return {"allOf": [reference], **result} if result else reference
        if isinstance(result.get("type"), list):
            types = result.pop("type")
            choices = [{**result, "type": each} if each != "null" else {"type": each} for each in types]
            return self._one_of(result, choices)
        for name in ("anyOf", "oneOf"):
            if name in source and "discriminator" in source:
                result[name] = [self.schema(each) for each in source[name]]
            elif name in source:
                return self._one_of(result, list(map(self._flattened, source[name])))
        return result

    def _flattened(self, choice: Schema) -> Schema:
        return choice if choice.get("type") == "null" else self.schema(choice)

    def _inner(self, source: Mapping[str, Any]) -> Schema:
        result: Schema = {}
        if "properties" in source:
            result["properties"] = {name: self.schema(each) for name, each in source["properties"].items()}
        if isinstance(more := source.get("additionalProperties"), Mapping) or more is True:
            result["additionalProperties"] = self.schema(more)
        if "allOf" in source:
            result["allOf"] = [self.schema(each) for each in source["allOf"]]
        if "prefixItems" in source:
            items = [self.schema(each) for each in source["prefixItems"]]
            result["items"] = items[0] if all(each == items[0] for each in items) else {}
        elif "items" in source or source.get("type") == "array":
            result["items"] = self.schema(source.get("items", {}))
        return result

    def _one_of(self, around: Schema, choices: list[Schema]) -> Schema:
        """Express a choice between converted schemas, one of which may be null, as one schema."""
        others = [each for each in choices if each.get("type") != "null"]
        nullable = len(others) < len(choices)
        if {each.get("type") for each in others} == {"integer", "number"}:
            others = [each for each in others if each["type"] == "number"]
        if len(others) == 1:
            result = _with_context(others[0], around)
        elif others and all(self._is_object(each) for each in others):
            result = _with_context(self._merged(others), around)
        else:
            # Any type is allowed.
            return {name: value for name, value in around.items() if name in ("title", "description", "example")}
        return _nullable(result) if nullable else result

    def _is_object(self, schema: Schema) -> bool:
        return "$ref" in schema and self._schemas[_name(schema)].get("type") == "object"

    def _merged(self, choices: list[Schema]) -> Schema:
        """Merge objects into one with the fields of all; a field is required if all choices require it."""
        names = [_name(each) for each in choices]
        parts = [self.schema(self._schemas[name]) for name in names]
        fields: Schema = {}
        for part in parts:
            fields = part.get("properties", {}) | fields
        required = [name for name in fields if all(name in part.get("required", ()) for part in parts)]
        name = "Or".join(names)
        merged = {"title": name, "type": "object", "properties": fields, "required": required}
        merged["description"] = f"Either {' or '.join(names)}: the fields of one of them."
        if not required:
            del merged["required"]
        self._created[name] = merged
        return {"$ref": _PREFIX + name}


def _with_context(schema: Schema, around: Schema) -> Schema:
    """Add the keywords around a choice to its schema. They have priority over those of the schema."""
    if "$ref" not in schema:
        return {**schema, **around}
    keywords = {name: value for name, value in around.items() if name != "title"}
    return {"allOf": [schema], **keywords} if keywords else schema


def _nullable(schema: Schema) -> Schema:
    if "$ref" in schema:
        schema = {"allOf": [schema]}
    if "enum" in schema:
        # 3.0 requires null among the enum values, which importers turn into a constant without a name.
        rest = {name: value for name, value in schema.items() if name != "enum"}
        values = f"One of {', '.join(map(str, schema['enum']))}."
        schema = {**rest, "description": f"{rest['description']} {values}" if "description" in rest else values}
    return {**schema, "nullable": True}


def _bounds(schema: Schema) -> None:
    """Convert exclusive bounds: in 3.0 they are flags next to the inclusive bounds."""
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(exclusive), int | float) and not isinstance(schema[exclusive], bool):
            schema[inclusive], schema[exclusive] = schema[exclusive], True


def _returns_json(operation: Mapping[str, Any]) -> bool:
    """Return whether all successful responses of an operation are JSON."""
    successful = [each for status, each in operation["responses"].items() if status.startswith("2")]
    return all(JSON in each["content"] for each in successful if each.get("content"))


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).removeprefix(_PREFIX)


def _references(part: Any) -> Iterator[str]:
    """Yield the names of the schemas that a part of a document refers to."""
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield _name(dict(part))
        for each in part.values():
            yield from _references(each)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)


def openapi_3_0_json(document: Mapping[str, Any]) -> bytes:
    """Return the converted document as JSON."""
    return json.dumps(to_openapi_3_0(document), ensure_ascii=False).encode()
