"""Specs as they are written: Markdown files, a topic each, whose cases are a title, prose and fenced ASCII tables.

Whatever cannot be understood is refused, so that no spec can pass by being overlooked. What the tables of a case mean,
its reader knows: `tables.py`, `rules.py`, `measures.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SpecError(Exception):
    """A spec that cannot be understood: where, and why."""


@dataclass(frozen=True)
class Table:
    """A table as written: its name, its columns, and its cells as text."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def dicts(self) -> list[dict[str, str]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Written:
    """A case before its tables are understood: each by its name and text."""

    topic: str
    title: str
    prose: str
    fences: tuple[tuple[str, str], ...]

    @property
    def where(self) -> str:
        return f"{self.topic}, {self.title!r}"


@dataclass(frozen=True)
class Said:
    """A case: one thing said, the tables that show it, and what is expected."""

    topic: str
    title: str
    prose: str
    tables: tuple[Table, ...]
    expected: Table

    @property
    def id(self) -> str:
        return f"{self.topic}-{re.sub(r'[^a-z0-9]+', '-', self.title.lower()).strip('-')}"


@dataclass(frozen=True)
class Topic:
    """A file of cases."""

    name: str
    title: str
    prose: str
    cases: tuple[Any, ...]


def topics_of(folder: Path, understood: Callable[[Written], Said]) -> tuple[Topic, ...]:
    """The topics of a folder, in the order of their files' names; ``understood`` makes a case of what is written."""
    topics = tuple(topic_of(p.stem, p.read_text(encoding="utf-8"), understood) for p in sorted(folder.glob("*.md")))
    if not topics:
        raise SpecError(f"{folder} holds no spec")
    return topics


def topic_of(name: str, text: str, understood: Callable[[Written], Said]) -> Topic:
    """One file: ``# title``, prose, then for each case ``## title``, prose and tables."""
    before, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    title, prose = _titled(name, before.removeprefix("# ") if before.startswith("# ") else "")
    if "```" in prose:
        raise SpecError(f"{name}: a table before the first case")
    cases = tuple(understood(_written(name, section)) for section in sections)
    if not cases:
        raise SpecError(f"{name}: no case")
    ids = [case.id for case in cases]
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        raise SpecError(f"{name}: two cases of one title: {', '.join(twice)}")
    return Topic(name, title, prose, cases)


def _written(topic: str, section: str) -> Written:
    title, body = _titled(topic, section)
    # Text, then in turn the fence's name, what it holds, an empty closing fence and text again.
    pieces = re.split(r"^```(.*)\n", body, flags=re.MULTILINE)
    names = (name.strip() for name in pieces[1::4])
    written = Written(topic, title, pieces[0].strip(), tuple(zip(names, pieces[2::4], strict=False)))
    if len(pieces) % 4 != 1 or any(closing.strip() for closing in pieces[3::4]):
        raise SpecError(f"{written.where}: a fence that is not closed")
    if any(piece.strip() for piece in pieces[4::4]):
        raise SpecError(f"{written.where}: text between or after the tables; all prose stands before them")
    if not written.prose:
        raise SpecError(f"{written.where}: no sentence that says what is shown")
    return written


def _titled(where: str, text: str) -> tuple[str, str]:
    title, _, body = text.partition("\n")
    if not title.strip():
        raise SpecError(f"{where}: no title")
    return title.strip(), body.strip() + "\n"


def table_of(where: str, name: str, text: str) -> Table:
    """A table of a line of columns, a line of dashes and the rows."""
    where = f"{where}, table {name!r}"
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or not re.fullmatch(r"[-+ ]*-[-+ ]*", lines[1]):
        raise SpecError(f"{where}: needs a line of columns, and a line of dashes under it")
    columns, *rows = (tuple(cell.strip() for cell in line.split("|")) for line in (lines[0], *lines[2:]))
    if lines[1].count("+") + 1 != len(columns):
        raise SpecError(f"{where}: the line of dashes has other columns than the one above it")
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            raise SpecError(f"{where}: row {number} has {len(row)} cells for {len(columns)} columns")
        if "" in row:
            raise SpecError(f"{where}: row {number} has an empty cell")
    if len(set(columns)) < len(columns):
        raise SpecError(f"{where}: a column is given twice")
    return Table(name, columns, tuple(rows))
