"""Reading JSON files that save work: a damaged file counts as missing, because its content can be computed again."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def read_cache(file: Path, schema: type[T]) -> T | None:
    """Read a file that the program has written itself and can write again.

    Parameters
    ----------
    file : the JSON file.
    schema : the type of its content: a dataclass, or a type such as ``dict[str, tuple[int, str]]``.

    Returns
    -------
    object or None
        The content, as ``schema``; None if the file is missing, unreadable, or not of that type.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(schema).validate_json(file.read_bytes(), strict=True)
    except (OSError, ValidationError):
        return None
