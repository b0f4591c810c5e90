"""TOML that people write for Renewcast (mappings, rules, rubrics, settings, own features), read within bounds.

A file of a few kilobytes can make a parser work for minutes or run out of stack: by nesting, by keys of many parts, by
numbers of many digits. Each is a mistake in the file, and is reported as one.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

SIZE_LIMIT = 1 * 2**20
"""A larger file (bytes) is not read."""
DEPTH_LIMIT = 32
"""Tables and lists are nested so deep at most, keys of several parts included."""

_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
#: A key of too many parts, where a key can stand; the parser takes the square of their number.
_LONG_KEY = re.compile(rf"(?m)(?:^|[\[{{,])[ \t]*(?:{_PART}\.[ \t]*){{{DEPTH_LIMIT}}}")


class TomlError(ValueError):
    """Text that is not TOML, or goes beyond the bounds. The message says what is wrong and, if known, in which line."""


def read_toml_text(path: Path) -> str:
    """The text of a file.

    Raises
    ------
    TomlError : it is too large, or not UTF-8.
    OSError : it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise TomlError(f"it is larger than {SIZE_LIMIT:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise TomlError("it is not UTF-8") from None


def parse_toml(text: str) -> dict[str, Any]:
    """What TOML says.

    Raises
    ------
    TomlError : it is not TOML, or it is too large or too deep.

    Examples
    --------
    >>> parse_toml("a.b = 1")
    {'a': {'b': 1}}
    """
    if len(text) > SIZE_LIMIT:
        raise TomlError(f"it is larger than {SIZE_LIMIT:,} bytes")
    deep = TomlError(f"it is nested deeper than {DEPTH_LIMIT} levels")
    if _LONG_KEY.search(text):
        raise deep
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise deep from None
    except ValueError as error:
        # Among them numbers of too many digits, which are no error of TOML.
        raise TomlError(str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number is too long") from None
    level: list[Any] = [content]
    for _ in range(DEPTH_LIMIT):
        level = [each for value in level for each in _within(value)]
    if level:
        raise deep
    return content


def _within(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
