"""The portfolio's measures are what the arithmetic in their specs says."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


def test_the_measures_are_what_was_worked_out_by_hand(measure_case: Any) -> None:
    found = measure_case.differences()
    assert not found, f"{measure_case.prose}\n" + "\n".join(found)


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
