"""The file format of specs: a Markdown file per topic; each case has a title, prose and fenced ASCII tables.

Everything that is not understood is refused, so that no spec is silently skipped. The readers of `tables.py`, `rules.py`
and `measures.py` define what the tables of a case mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SpecError(Exception):
    """A spec with a mistake: where it is, and what is wrong."""


@dataclass(frozen=True)
class Table:
    """A table: its name, its columns, and its cells as text."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def dicts(self) -> list[dict[str, str]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class CaseText:
    """A case before its tables are parsed: the name and text of each."""

    topic: str
    title: str
    prose: str
    fences: tuple[tuple[str, str], ...]

    @property
    def where(self) -> str:
        return f"{self.topic}, {self.title!r}"


@dataclass(frozen=True)
class SpecCase:
    """A case: one statement, the tables that show it, and the expected result."""

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


def read_folder(folder: Path, parse: Callable[[CaseText], SpecCase]) -> tuple[Topic, ...]:
    """Read the topics of a folder, in the order of their file names; ``parse`` turns a text into a case."""
    topics = tuple(read_text(p.stem, p.read_text(encoding="utf-8"), parse) for p in sorted(folder.glob("*.md")))
    if not topics:
        raise SpecError(f"{folder} has no spec")
    return topics


def read_text(name: str, text: str, parse: Callable[[CaseText], SpecCase]) -> Topic:
    """Read one file: ``# title``, prose, then for each case ``## title``, prose and tables."""
    before, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    title, prose = _split_title(name, before.removeprefix("# ") if before.startswith("# ") else "")
    if "```" in prose:
        raise SpecError(f"{name}: a table before the first case")
    cases = tuple(parse(_case_text(name, section)) for section in sections)
    if not cases:
        raise SpecError(f"{name}: no case")
    ids = [case.id for case in cases]
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        raise SpecError(f"{name}: two cases of one title: {', '.join(twice)}")
    return Topic(name, title, prose, cases)


def _case_text(topic: str, section: str) -> CaseText:
    title, body = _split_title(topic, section)
    # Text, and then repeatedly the name of a fence, its content, an empty closing fence, and text.
    pieces = re.split(r"^```(.*)\n", body, flags=re.MULTILINE)
    names = (name.strip() for name in pieces[1::4])
    case_text = CaseText(topic, title, pieces[0].strip(), tuple(zip(names, pieces[2::4], strict=False)))
    if len(pieces) % 4 != 1 or any(closing.strip() for closing in pieces[3::4]):
        raise SpecError(f"{case_text.where}: a fence that is not closed")
    if any(piece.strip() for piece in pieces[4::4]):
        raise SpecError(f"{case_text.where}: text between or after the tables; all prose comes before them")
    if not case_text.prose:
        raise SpecError(f"{case_text.where}: no sentence that says what the case shows")
    return case_text


def _split_title(where: str, text: str) -> tuple[str, str]:
    title, _, body = text.partition("\n")
    if not title.strip():
        raise SpecError(f"{where}: no title")
    return title.strip(), body.strip() + "\n"


def parse_table(where: str, name: str, text: str) -> Table:
    """Parse a table: a line of columns, a line of dashes, and the rows."""
    where = f"{where}, table {name!r}"
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or not re.fullmatch(r"[-+ ]*-[-+ ]*", lines[1]):
        raise SpecError(f"{where}: needs a line of columns, and a line of dashes under it")
    columns, *rows = (tuple(cell.strip() for cell in line.split("|")) for line in (lines[0], *lines[2:]))
    if lines[1].count("+") + 1 != len(columns):
        raise SpecError(f"{where}: the line of dashes has other columns than the line above it")
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            raise SpecError(f"{where}: row {number} has {len(row)} cells for {len(columns)} columns")
        if "" in row:
            raise SpecError(f"{where}: row {number} has an empty cell")
    if len(set(columns)) < len(columns):
        raise SpecError(f"{where}: a column is given twice")
    return Table(name, columns, tuple(rows))
