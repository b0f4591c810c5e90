"""Safe parsing of user-written TOML files (mappings, rules, rubrics, settings, custom features).

A file of a few kilobytes can keep a parser busy for minutes or exhaust the stack, through deep nesting, keys of many
parts or numbers of many digits. Each of these is reported as a mistake in the file.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

SIZE_LIMIT = 1 * 2**20
"""Maximum file size in bytes."""
DEPTH_LIMIT = 32
"""Maximum nesting of tables and lists, including dotted keys."""

_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
#: A key of too many parts, where a key can occur; the parser's time grows with the square of their number.
_LONG_KEY = re.compile(rf"(?m)(?:^|[\[{{,])[ \t]*(?:{_PART}\.[ \t]*){{{DEPTH_LIMIT}}}")


class TomlError(ValueError):
    """Invalid TOML, or TOML beyond the limits. The message names the problem and, if known, the line."""


def read_toml_text(path: Path) -> str:
    """Read the text of a file.

    Raises
    ------
    TomlError : the file is too large, or not UTF-8.
    OSError : the file cannot be read.
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
    """Parse TOML text.

    Raises
    ------
    TomlError : the text is not TOML, or it is too large or too deeply nested.

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
        # This includes numbers of too many digits, which are valid TOML.
        raise TomlError(str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number is too long") from None
    level: list[Any] = [content]
    for _ in range(DEPTH_LIMIT):
        level = [each for value in level for each in _children(value)]
    if level:
        raise deep
    return content


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
