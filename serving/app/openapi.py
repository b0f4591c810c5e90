"""/openapi.json: what FastAPI says of the operations, and what the door adds to each: keys, and its refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from serving.http.authentication import PUBLIC_PATHS
from serving.http.dependencies import problem_responses
from serving.http.openapi_3_0 import HTTP_METHODS

#: Either will do.
KEYS: Mapping[str, dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `renewcast keys create` makes one."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
}
_REFUSALS = {
    "s401": "No key was shown, or one that is not good.",
    "s403": "The key has not the scope that this needs.",
    "s429": "More requests than a key may make in a minute; Retry-After says when to go on.",
}


class RenewcastAPI(FastAPI):
    """An application that says of each operation who may call it."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
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
    for status, told in problem_responses(**_REFUSALS).items():
        content = {media: {"schema": problem} for media in ("application/json", *told["content"])}
        operation["responses"].setdefault(str(status), {"description": told["description"], "content": content})
    operation["responses"] = dict(sorted(operation["responses"].items()))
    operation["security"] = [{name: []} for name in KEYS]
