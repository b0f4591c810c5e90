"""The reference of the HTTP API, from the OpenAPI document that the service publishes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from fastapi.routing import APIRoute

from docs.generator.markdown import anchor, code, page, table, without_rst
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.http.authentication import PUBLIC_PATHS
from serving.http.problem_details import HTTP_PROBLEMS, PROBLEM_TYPES
from serving.pages.api_reference import reference
from serving.store.key_records import SCOPES, Scope

_INTRODUCTION = """\
`renewcast serve` answers these requests. A running service shows the same reference with examples at `/docs`, and the
document it comes from at `/openapi.json` (OpenAPI 3.1) and `/openapi-3.0.json`.

A request carries an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`; `renewcast keys create NAME` makes one.
A POST with an `Idempotency-Key` takes effect once, however often it is sent."""
_SCOPES: Mapping[Scope, str] = {
    "predict": "Read what is stored about accounts, and score.",
    "write": "Record interventions and outcomes, start jobs.",
    "admin": "Everything, including signing reviews.",
}


def http_page() -> str:
    """Every operation with its parameters, body, answers and scope; every problem; every schema."""
    app: Any = create_app(Home(Path("unused")), ServiceSettings.model_construct())
    document = reference(app.openapi())
    scopes = dict(_scopes_of(app.routes))
    operations = [
        part
        for group in document["groups"]
        for part in (f"## {group['words']}", *(_operation(each, scopes) for each in group["operations"]))
    ]
    return page(
        "HTTP API",
        _INTRODUCTION,
        f"## Scopes\n\n{table(('scope', 'a key with it may'), [(code(scope), _SCOPES[scope]) for scope in SCOPES])}",
        *operations,
        f"## Problems\n\nErrors are problem details (RFC 9457, `application/problem+json`).\n\n{_problems()}",
        "## Schemas",
        *(_schema(shape) for shape in document["shapes"]),
    )


def _scopes_of(routes: Iterable[Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """The scope that each operation needs, by method and path."""
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            path = re.sub(r":\w+}", "}", route.path)
            scope = next(filter(None, map(_scope, route.dependant.dependencies)), None)
            if scope is None and path not in PUBLIC_PATHS:
                scope = "any key"
            for method in route.methods or ():
                yield (method, path), scope or ""


def _scope(dependency: Any) -> str | None:
    """The scope that a dependency demands, from the closure that demands it."""
    if not inspect.isfunction(dependency.call):
        return None
    scope = inspect.getclosurevars(dependency.call).nonlocals.get("scope")
    return scope if scope in get_args(Scope) else None


def _operation(operation: Mapping[str, Any], scopes: Mapping[tuple[str, str], str]) -> str:
    scope = scopes[operation["method"], operation["path"]]
    scope_text = "No key needed." if not scope else f"Scope: {scope if scope == 'any key' else code(scope)}."
    parameters = [
        (code(p["name"]), p["where"], "yes" if p["required"] else "", _type(p["type"]), without_rst(p["description"]))
        for p in operation["parameters"]
    ]
    answers = [
        (each["status"], f"{each['description']} {_type(each['type']) if 'application/json' in each['media'] else ''}")
        for each in (*operation["good"], *operation["problems"])
    ]
    parts = [
        f"### {operation['summary']}",
        f"`{operation['method']} {operation['path']}`",
        without_rst(operation["description"]),
        scope_text,
        _titled("Parameters", table(("name", "in", "required", "type", "meaning"), parameters)),
        f"**Body**: {_type(operation['body'])}" if operation["body"] else "",
        _titled("Answers", table(("status", "meaning"), answers)),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _schema(shape: Mapping[str, Any]) -> str:
    fields = [
        (
            code(field["name"]),
            _type(field["type"]) + (f" ({', '.join(field['bounds'])})" if field["bounds"] else ""),
            "yes" if field["needed"] else "",
            without_rst(field["description"]),
        )
        for field in shape["fields"]
    ]
    parts = [
        f"### {shape['name']}",
        without_rst(shape["description"]),
        table(("field", "type", "always there", "meaning"), fields),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _problems() -> str:
    rows = {(str(kind.status), code(kind.code), kind.title) for kind in PROBLEM_TYPES.values()}
    rows |= {(str(status), code(name), title) for status, (name, title) in HTTP_PROBLEMS.items()}
    return table(("status", "code", "title"), sorted(rows))


def _titled(title: str, text: str) -> str:
    return f"**{title}**\n\n{text}" if text else ""


def _type(pieces: Iterable[tuple[str, str | None]]) -> str:
    return "".join(f"[{text}](#{anchor(shape)})" if shape else text for text, shape in pieces)
