"""The computed KPIs equal those of the specs."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


def test_kpis_equal_those_computed_by_hand(measure_case: Any) -> None:
    mismatches = measure_case.differences()
    assert not mismatches, f"{measure_case.prose}\n" + "\n".join(mismatches)


CASE = "# T\n\n## C\n\nP.\n\n```options\nas_of | period\n------+-------\n2026-07-01 | quarter\n```\n\n```measures\nmeasure | value\n--------+------\nnrr | 1\n```\n"


def test_a_difference_is_reported(measures: ModuleType, tables: ModuleType) -> None:
    (other,) = measures.read_topic(tables, "t", CASE.replace("nrr | 1", "nrr | 2")).cases
    assert other.differences() == ["nrr: value is 1.0, expected 2"]


@pytest.mark.parametrize(
    ("text", "replacement"),
    [("# T", "T"), ("P.", ""), ("```options", "```option"), ("nrr", "nrrr"), ("| value", "| worth"), ("| 1\n", "| one\n"), ("| period", "| span")],
)
def test_a_spec_with_a_mistake_is_refused(measures: ModuleType, tables: ModuleType, text: str, replacement: str) -> None:
    with pytest.raises((measures.SpecError, ValueError)):
        measures.read_topic(tables, "t", CASE.replace(text, replacement))
