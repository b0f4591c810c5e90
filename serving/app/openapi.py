"""/openapi.json: FastAPI's description of the operations, with authentication and its errors added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from serving.http.authentication import PUBLIC_PATHS
from serving.http.dependencies import problem_responses
from serving.http.openapi_3_0 import HTTP_METHODS

#: Security schemes; a request needs one of them.
KEYS: Mapping[str, dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `renewcast keys create` creates one."},
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same API key, in another header.",
    },
}
_REFUSALS = {
    "s401": "The API key is missing or not valid.",
    "s403": "The key lacks the required scope.",
    "s429": "Too many requests with this key in a minute; Retry-After says how long to wait.",
}


class RenewcastAPI(FastAPI):
    """A FastAPI application whose description includes the authentication of each operation."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, which is created once."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["securitySchemes"] = dict(KEYS)
            for path, item in document["paths"].items():
                for method in HTTP_METHODS:
                    if path not in PUBLIC_PATHS and method in item:
                        _add_authentication(item[method])
            self.openapi_schema = document
        return self.openapi_schema


def _add_authentication(operation: dict[str, Any]) -> None:
    problem = {"$ref": "#/components/schemas/Problem"}
    for status, response in problem_responses(**_REFUSALS).items():
        content = {media: {"schema": problem} for media in ("application/json", *response["content"])}
        operation["responses"].setdefault(str(status), {"description": response["description"], "content": content})
    operation["responses"] = dict(sorted(operation["responses"].items()))
    operation["security"] = [{name: []} for name in KEYS]
