"""The portfolio's measures are what the arithmetic in their specs says, and the page that defines them is up to date."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


def test_the_measures_are_what_was_worked_out_by_hand(measure_case: Any) -> None:
    found = measure_case.differences()
    assert not found, f"{measure_case.prose}\n" + "\n".join(found)


def test_the_page_shows_the_measures_as_they_are(measures: ModuleType, tables: ModuleType, render: ModuleType) -> None:
    wanted = render.measures_page(measures.read_topics(tables), measures.HOW_TO_READ, measures.definitions())
    checked_in = render.MEASURES_PAGE.read_text(encoding="utf-8") if render.MEASURES_PAGE.exists() else ""
    same = checked_in == wanted
    assert same, f"{render.MEASURES_PAGE.name} is not what the specs say; write it anew with `{render.REGENERATE}`"


CASE = "# T\n\n## C\n\nP.\n\n```options\nas_of | period\n------+-------\n2026-07-01 | quarter\n```\n\n```measures\nmeasure | value\n--------+------\nnrr | 1\n```\n"


def test_a_case_is_understood(measures: ModuleType, tables: ModuleType) -> None:
    (other,) = measures.read_topic(tables, "t", CASE.replace("nrr | 1", "nrr | 2")).cases
    assert other.differences() == ["nrr: value is 1.0, expected 2"]


@pytest.mark.parametrize(
    ("written", "instead"),
    [("# T", "T"), ("P.", ""), ("```options", "```option"), ("nrr", "nrrr"), ("| value", "| worth"), ("| 1\n", "| one\n"), ("| period", "| span")],
)
def test_what_is_not_understood_is_refused(measures: ModuleType, tables: ModuleType, written: str, instead: str) -> None:
    with pytest.raises((measures.SpecError, ValueError)):
        measures.read_topic(tables, "t", CASE.replace(written, instead))
