"""Media type of error responses."""

from __future__ import annotations

import re

PROBLEM, JSON = "application/problem+json", "application/json"

#: The weight with which an Accept header refuses a media type.
_REFUSED = re.compile(r"q\s*=\s*0(\.0*)?")


def problem_media_type(accept: str | None) -> str:
    """Return application/json if the caller accepts it and not application/problem+json, else the latter."""
    if accept is None:
        return PROBLEM
    return JSON if not _accepts(accept, PROBLEM) and _accepts(accept, JSON) else PROBLEM


def _accepts(accept: str, wanted: str) -> bool:
    """Return whether an Accept header accepts a media type. The most specific range decides (RFC 9110, 12.5.1)."""
    weights: dict[str, bool] = {}
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weights[name] = not any(_REFUSED.fullmatch(parameter) for parameter in parameters)
    ranges = (wanted, f"{wanted.split('/')[0]}/*", "*/*")
    return next((weights[name] for name in ranges if name in weights), False)
