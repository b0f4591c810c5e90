"""Lines and columns of values in TOML text, and of characters within a text value, for messages about a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

Keys: TypeAlias = tuple[str | int, ...]
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[^,\]}\n#]*")
_BARE_KEY = re.compile(r"[\w-]+")
_SPACE = re.compile(r"[ \t]*")
_ESCAPED_LINE_END = re.compile(r"\\[ \t]*\r?\n[ \t\r\n]*")
_QUOTES = ('"""', "'''", '"', "'")
_LONG_ESCAPES = {"u": 6, "U": 10}


@dataclass(frozen=True)
class Position:
    """A line and a column, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class TomlPositions:
    """The positions of all values in a TOML text.

    Parameters
    ----------
    text : valid TOML. In other text, positions may be missing or wrong.

    Examples
    --------
    >>> positions = TomlPositions('[tables]\\naccounts = "SELECT x"')
    >>> positions.of(("tables", "accounts"))
    Position(line=2, column=12)
    >>> positions.inside(("tables", "accounts"), 1, 8)
    Position(line=2, column=20)
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: dict[Keys, int] = {}
        try:
            self._scan()
        except (IndexError, ValueError, RecursionError):
            # The positions up to here are known.
            return

    def has(self, keys: Keys) -> bool:
        """Return whether the text has a value at ``keys``."""
        return keys in self._starts

    def of(self, keys: Keys) -> Position | None:
        """Return the position of the value at ``keys``, or else of the nearest value in or around it."""
        while keys:
            inside = [pos for each, pos in self._starts.items() if each[: len(keys)] == keys]
            if inside:
                return self._position(self._starts.get(keys, min(inside)))
            keys = keys[:-1]
        return None

    def inside(self, keys: Keys, line: int, column: int) -> Position | None:
        """Return the position in the file of a character of the text at ``keys``.

        Parameters
        ----------
        keys : the keys of a text.
        line, column : the position within the text, from 1. A column below 1 means the start of the line.
        """
        start = self._starts.get(keys)
        quote = "" if start is None else _quote(self._text, start)
        if start is None or not quote:
            return self.of(keys)
        pos = start + len(quote)
        if len(quote) == 3 and self._text.startswith(("\n", "\r\n"), pos):
            pos = self._text.index("\n", pos) + 1
        at = (1, 1)
        while not self._text.startswith(quote, pos):
            step = self._escape(pos, quote)
            # A backslash at the end of a line joins lines, and is no character.
            joins = step is not None and self._text[pos + 1].isspace()
            if at >= (line, max(column, 1)) and not joins:
                break
            if not joins:
                newline = self._text[pos] == "\n" or (step is not None and self._text[pos + 1] == "n")
                at = (at[0] + 1, 1) if newline else (at[0], at[1] + 1)
            pos += step or 1
        return self._position(pos)

    def _escape(self, pos: int, quote: str) -> int | None:
        """Return the length of the escape sequence at ``pos``; None if there is none."""
        if "'" in quote or self._text[pos] != "\\":
            return None
        if match := _ESCAPED_LINE_END.match(self._text, pos):
            return match.end() - pos
        return _LONG_ESCAPES.get(self._text[pos + 1], 2)

    def _position(self, pos: int) -> Position:
        before = self._text[:pos]
        return Position(before.count("\n") + 1, pos - (before.rfind("\n") + 1) + 1)

    def _scan(self) -> None:
        text, pos = self._text, 0
        table: Keys = ()
        counts: dict[Keys, int] = {}
        while (pos := self._blank(pos)) < len(text):
            if text[pos] == "[":
                several = text.startswith("[[", pos)
                table, end = self._keys(pos + 1 + several)
                if several:
                    counts[table] = counts.get(table, -1) + 1
                table = _numbered(table, counts)
                self._starts.setdefault(table, pos)
                pos = text.index("]", end) + 1 + several
            else:
                keys, end = self._keys(pos)
                pos = self._value((*table, *keys), self._space(text.index("=", end) + 1))

    def _keys(self, pos: int) -> tuple[Keys, int]:
        """Return the parts of a dotted key, and where it ends."""
        parts: list[str | int] = []
        while True:
            pos = self._space(pos)
            if quote := _quote(self._text, pos):
                end = self._end_of_text(pos, quote)
                parts.append(self._text[pos + 1 : end - 1])
            else:
                match = _BARE_KEY.match(self._text, pos)
                if match is None:
                    raise ValueError
                end = match.end()
                parts.append(match.group())
            pos = self._space(end)
            if self._text[pos] != ".":
                return tuple(parts), pos
            pos += 1

    def _value(self, keys: Keys, pos: int) -> int:
        """Store the position of a value and of those in it; return where it ends."""
        self._starts.setdefault(keys, pos)
        text = self._text
        if quote := _quote(text, pos):
            return self._end_of_text(pos, quote)
        if text[pos] == "[":
            pos, number = self._blank(pos + 1), 0
            while text[pos] != "]":
                pos = self._blank(self._value((*keys, number), pos))
                pos, number = self._blank(pos + (text[pos] == ",")), number + 1
            return pos + 1
        if text[pos] == "{":
            pos = self._blank(pos + 1)
            while text[pos] != "}":
                inner, end = self._keys(pos)
                pos = self._blank(self._value((*keys, *inner), self._space(text.index("=", end) + 1)))
                pos = self._blank(pos + (text[pos] == ","))
            return pos + 1
        match = _BARE.match(text, pos)
        return match.end() if match else len(text)

    def _end_of_text(self, pos: int, quote: str) -> int:
        pos += len(quote)
        while not self._text.startswith(quote, pos):
            if pos >= len(self._text):
                raise ValueError
            pos += self._escape(pos, quote) or 1
        pos += len(quote)
        # Up to two quotation marks may be the last characters of the text.
        while len(quote) == 3 and self._text.startswith(quote[0], pos):
            pos += 1
        return pos

    def _blank(self, pos: int) -> int:
        match = _BLANK.match(self._text, pos)
        return match.end() if match else pos

    def _space(self, pos: int) -> int:
        match = _SPACE.match(self._text, pos)
        return match.end() if match else pos


def _quote(text: str, pos: int) -> str:
    return next((quote for quote in _QUOTES if text.startswith(quote, pos)), "")


def _numbered(table: Keys, counts: dict[Keys, int]) -> Keys:
    """Return the keys of a table with the current number after each list of tables."""
    keys: Keys = ()
    plain: Keys = ()
    for part in table:
        keys, plain = (*keys, part), (*plain, part)
        if plain in counts:
            keys = (*keys, counts[plain])
    return keys
