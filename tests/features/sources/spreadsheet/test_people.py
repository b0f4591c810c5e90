"""A cell that says that a person left, or that there is no one, is not a person."""

from __future__ import annotations

import pytest

from features.sources.spreadsheet.people import Person, read_people, read_person
from features.sources.spreadsheet.workbook import Cell


@pytest.mark.parametrize(
    ("person", "texts"),
    [
        ("there", ["Ada L.", "Yes", True, "Noah Opener", "No Kim", "Lefty Gomez", "Tobe Xu"]),
        ("left", ["Left", "Jo Lind (left)", "Left the company", "Departed", "LEFT - Q3", "no longer there", "former: Pat"]),
        ("none", ["No", "n", False, "No champion", "Vacant (hiring)", "none", "open", "No one yet", "no sponsor"]),
        ("unknown", ["TBC", "tbd - ask Dana", "?", "??", "Unknown", "to be confirmed", "N/A"]),
        (None, ["—–", 3.0]),
    ],
)
def test_what_a_cell_says_about_a_person(person: Person | None, texts: list[Cell]) -> None:
    assert [read_person(text) for text in texts] == [person] * len(texts)


def test_a_tick_is_a_yes_only_among_ticks() -> None:
    assert read_people(["x", None, "No"])[0].values == [1, None, 0]
    assert read_people(["x", "Jo Lind", "Left"])[0].values == [None, 1, 0]
    assert read_people(["x", "Left"])[0].values == [None, 0]


def test_a_column_of_people_counts_what_is_no_person() -> None:
    there, left = read_people(["Jo Lind", "Left", "Departed", "Vacant", "TBC", None])
    assert there.values == [1, 0, 0, 0, None, None]
    assert left.values == [0, 1, 1, None, None, None]
    assert there.notes == ("2 read as a person who left, 1 read as no one, 1 read as not known",)
