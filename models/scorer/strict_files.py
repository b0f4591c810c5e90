"""Reading a scorer's files with limits on size and content."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .errors import ScorerError

#: Maximum file sizes in bytes.
MODEL_LIMIT = 256 * 2**20
JSON_LIMIT = 32 * 2**20


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a file of at most ``limit`` bytes.

    Raises
    ------
    ScorerError : the file is missing, unreadable, or larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ScorerError(f"{path.name} cannot be read: {error.strerror or error}") from error
    if len(content) > limit:
        raise ScorerError(f"{path.name} is larger than {limit:,} bytes")
    return content


def read_json(content: bytes, name: str) -> dict[str, Any]:
    """Parse strict JSON: one object in UTF-8, without duplicate keys, with finite numbers only.

    ``name`` is the name of the file, for messages.

    Raises
    ------
    ScorerError : the content is not strict JSON.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key occurs twice")
        return dict(pairs)

    def finite(text: str) -> float:
        if not math.isfinite(number := float(text)):
            raise ValueError(f"{text} is not a finite number")
        return number

    try:
        parsed = json.loads(content.decode("utf-8"), object_pairs_hook=once, parse_float=finite, parse_constant=finite)
    except (ValueError, RecursionError) as error:
        raise ScorerError(f"{name} is not strict JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ScorerError(f"{name} does not hold one JSON object")
    return parsed
