"""The API reference: /openapi.json as a page, without requests to other hosts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.html.templates import render_page

Schema = dict[str, Any]
_PREFIX = "#/components/schemas/"
#: Example values for parameters without examples.
EXAMPLES = {"account_id": "acme", "job_id": "job_4463ce3b6e6e0ef5", "prediction_id": "prd_ed17e1b2fa0471aef9f91a76"}
#: Text for constraints.
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matching {}",
}
#: The order and titles of tags; other tags come last.
TAGS = {
    "predictions": "Predictions",
    "health": "Health",
    "portfolio": "Portfolio",
    "published": "Published predictions",
    "records": "Actions and outcomes",
    "views": "Saved views",
    "jobs": "Jobs",
    "mlflow": "MLflow scoring protocol",
    "service": "Service",
}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def get_reference_page(request: Request) -> Response:
    """Return the API reference."""
    state = request.app.state
    if not hasattr(state, "reference"):
        state.reference = reference(request.app.openapi())
    base = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
    return render_page(request, "reference.html", title="API reference", section="docs", base=base, **state.reference)


def reference(document: Mapping[str, Any]) -> dict[str, Any]:
    """Convert an OpenAPI 3.1 document to the data of the page: ``info``, ``groups`` of operations by tag, and the
    schemas (``shapes``)."""
    shapes = document["components"]["schemas"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault((operation.get("tags") or ["other"])[0], []).append(
                _operation(path, method, operation, shapes)
            )
    known = [tag for tag in TAGS if tag in groups]
    return {
        "info": document["info"],
        "groups": [
            {"tag": tag, "words": TAGS.get(tag, tag.replace("_", " ").capitalize()), "operations": groups[tag]}
            for tag in (*known, *sorted(set(groups) - set(known)))
        ],
        "shapes": [{"name": name, **_shape(schema)} for name, schema in sorted(shapes.items())],
    }


def _operation(path: str, method: str, operation: Mapping[str, Any], shapes: Mapping[str, Schema]) -> dict[str, Any]:
    parameters = [
        {
            "name": each["name"],
            "where": each["in"],
            "required": each.get("required", False),
            "type": list(type_words(each["schema"])),
            "description": each.get("description") or each["schema"].get("description", ""),
        }
        for each in operation.get("parameters", ())
    ]
    body = _first_schema(operation["requestBody"]) if "requestBody" in operation else None
    example = None if body is None else body_example(body, shapes)
    responses: list[tuple[str, dict[str, Any]]] = sorted(operation["responses"].items())
    answers: list[dict[str, Any]] = [
        {
            "status": status,
            "description": each["description"] if each["description"] != "Successful Response" else "Success.",
            "media": list(each.get("content", {})),
            "type": list(type_words(_first_schema(each))),
        }
        for status, each in responses
    ]
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": parameters,
        "body": None if body is None else list(type_words(body)),
        "example": None if example is None else json.dumps(example, indent=2, ensure_ascii=False),
        "good": [each for each in answers if each["status"].startswith("2")],
        "problems": [each for each in answers if not each["status"].startswith("2")],
        "curl": _curl(path, method, operation, example),
        "keyed": path.startswith("/v1") or path == "/invocations",
    }


def _curl(path: str, method: str, operation: Mapping[str, Any], example: Any) -> list[str]:
    """Return the parts of a curl command that call the operation, after the host."""
    params = {}
    for each in operation.get("parameters", ()):
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", quote(EXAMPLES.get(each["name"], each["name"])))
        elif each.get("required"):
            params[each["name"]] = _example(each["schema"], {})
    full_path = path + (f"?{urlencode(params)}" if params else "")
    words = [full_path]
    if method != "get":
        words.append(f"-X {method.upper()}")
    if example is not None:
        words += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(example, ensure_ascii=False))}"]
    return words


def body_example(schema: Schema, shapes: Mapping[str, Schema]) -> Any:
    """Return a valid body: the example of the schema, or one with its required fields."""
    return _example(schema, shapes)


def _example(schema: Schema, shapes: Mapping[str, Schema], name: str = "", depth: int = 0) -> Any:
    if "$ref" in schema:
        return _example(shapes.get(_name(schema), {}), shapes, name, depth + 1)
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for given in ("const", "default", "example"):
        if given in schema:
            return schema[given]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _example(choices[0], shapes, name, depth)
    kind = schema.get("type")
    if kind == "object":
        fields, needed = schema.get("properties", {}), schema.get("required", [])
        wanted = needed or list(fields)[:2]
        return {field: _example(fields[field], shapes, field, depth + 1) for field in wanted} if depth < 6 else {}
    if kind == "array":
        return [_example(schema.get("items", {}), shapes, name, depth + 1)] if depth < 6 else []
    if kind == "string" and schema.get("format") == "date":
        # A future date, as the only operation with a date requires.
        return (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    if kind == "string":
        instant = "ISO 8601" in schema.get("description", "") or name.endswith("_at")
        return EXAMPLES.get(name, "2026-09-30" if instant or name == "as_of" else "text")
    return {"integer": 1, "number": 1.0, "boolean": False}.get(str(kind))


def _shape(schema: Schema) -> dict[str, Any]:
    needed = set(schema.get("required", ()))
    fields = [
        {
            "name": name,
            "type": list(type_words(field)),
            "needed": name in needed,
            "description": field.get("description", ""),
            "bounds": list(_bounds(field)),
        }
        for name, field in schema.get("properties", {}).items()
    ]
    return {"description": schema.get("description", ""), "fields": fields}


def type_words(schema: Schema) -> Iterator[tuple[str, str | None]]:
    """Yield a schema's type as pieces of text, each with the schema that it links to, or None."""
    if not schema:
        yield "anything", None
    elif "$ref" in schema:
        yield _name(schema), _name(schema)
    elif choices := schema.get("anyOf") or schema.get("oneOf"):
        for place, choice in enumerate(choices):
            if place:
                yield " or ", None
            yield from type_words(choice)
    elif "const" in schema:
        yield json.dumps(schema["const"]), None
    elif "enum" in schema:
        yield " | ".join(json.dumps(value) for value in schema["enum"]), None
    elif schema.get("type") == "array":
        yield "list of ", None
        yield from type_words(schema.get("items", {}))
    elif schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        yield "object of ", None
        yield from type_words(schema["additionalProperties"])
    else:
        yield str(schema.get("type", "anything")), None


def _bounds(schema: Schema) -> Iterator[str]:
    for part in (schema, *schema.get("anyOf", ())):
        for name, words in _BOUNDS.items():
            if name in part:
                yield words.format(part[name])


def _first_schema(operation: Mapping[str, Any]) -> Schema:
    contents: list[dict[str, Any]] = list(operation.get("content", {}).values())
    found: Schema = contents[0].get("schema", {}) if contents else {}
    return found


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).removeprefix(_PREFIX)
