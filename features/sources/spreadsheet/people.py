"""Reading cells about a person: a name or yes, no one, a person who left, or not known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

from features.sources.spreadsheet.values import MISSING, Column, is_missing, read_flag
from features.sources.spreadsheet.vocabulary import folded, words
from features.sources.spreadsheet.workbook import Cell

Person: TypeAlias = Literal["there", "none", "left", "unknown"]
_WORDS: dict[str, list[str]] = words()["person"]
_TICKS = frozenset({"x", "✓", "✔", "☑", "✗", "✘", "☐"})


def read_person(cell: Cell) -> Person | None:
    """Return what a cell says about a person; None if it cannot be read.

    Examples
    --------
    >>> [read_person(cell) for cell in ("Jo Lind", "Jo Lind (left)", "No champion", "TBC", 3.0)]
    ['there', 'left', 'none', 'unknown', None]
    """
    if not isinstance(cell, str):
        flag = read_flag(cell)
        return None if flag is None else "there" if flag else "none"
    text = " ".join(re.sub(r"[^\w?]+|_", " ", folded(cell)).split())
    if any(f" {word} " in f" {text} " for word in _WORDS["left"]):
        return "left"
    if text in _WORDS["none_alone"] or _begins(text, "none"):
        return "none"
    if text in _WORDS["unknown_alone"] or _begins(text, "unknown") or folded(cell) in MISSING or set(text) == {"?"}:
        return "unknown"
    flag = read_flag(cell)
    if flag is not None:
        return "there" if flag else "none"
    return "there" if any(map(str.isalpha, cell)) else None


def read_people(cells: Sequence[Cell]) -> tuple[Column, Column]:
    """Return whether there is a person in each cell, and whether the person left.

    A tick counts as yes only in a column of ticks, yes and no. In a column with names, it can also mean that there is
    no one.
    """
    given = [cell for cell in cells if not is_missing(cell)]
    ticks = all(read_flag(cell) is not None and read_person(cell) != "left" for cell in given)
    people: list[Person | None] = []
    for cell in cells:
        tick = isinstance(cell, str) and folded(cell) in _TICKS and not ticks
        # Here "none" is an answer, and an empty cell is not.
        none = isinstance(cell, str) and folded(cell) == "none"
        known = not is_missing(cell) or none
        people.append("unknown" if tick or not known else read_person(cell))
    there = [None if person in ("unknown", None) else float(person == "there") for person in people]
    lost = tuple(i for i, person in enumerate(people) if person is None)
    says = Counter(person for cell, person in zip(cells, people, strict=True) if cell is not None)
    meanings: dict[Person, str] = {
        "left": "read as a person who left",
        "none": "read as no one",
        "unknown": "read as not known",
    }
    notes = [f"{says[person]} {text}" for person, text in meanings.items() if says[person]]
    note = (", ".join(notes),) if notes else ()
    left = Column([{"left": 1.0, "there": 0.0}.get(person or "") for person in people])
    return Column(there, lost, notes=note), left


def _begins(text: str, kind: str) -> bool:
    return any(f"{text} ".startswith(f"{word} ") for word in _WORDS[kind])
