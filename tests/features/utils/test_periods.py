"""Periods end at the given instant and go back by the calendar."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from features.errors import BadRequest
from features.utils.periods import calendar_quarter, period_ending


def _at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "end", "start", "before"),
    [
        ("quarter", _at(2026, 7, 1), _at(2026, 4, 1), _at(2026, 1, 1)),
        ("quarter", _at(2026, 5, 31), _at(2026, 2, 28), _at(2025, 11, 30)),
        ("month", _at(2024, 3, 31), _at(2024, 2, 29), _at(2024, 1, 31)),
        ("year", _at(2024, 2, 29), _at(2023, 2, 28), _at(2022, 2, 28)),
        ("90d", _at(2026, 7, 1, 6), _at(2026, 4, 2, 6), _at(2026, 1, 2, 6)),
    ],
)
def test_a_period_ends_at_the_given_instant(name: str, end: datetime, start: datetime, before: datetime) -> None:
    period = period_ending(end, name)
    assert (period.start, period.end, period.before().start, period.before().end) == (start, end, before, start)


def test_period_lengths_in_years() -> None:
    assert [period_ending(_at(2026, 7, 1), n).years for n in ("month", "quarter", "year")] == [1 / 12, 1 / 4, 1]
    assert period_ending(_at(2026, 7, 1), "90d").years == pytest.approx(90 / 365.25)


def test_calendar_quarters() -> None:
    last = calendar_quarter("2026Q4")
    assert (last.start, last.end, last.before()) == (_at(2026, 10, 1), _at(2027, 1, 1), calendar_quarter("2026Q3"))
    for wrong in ("2026Q5", "2026-Q3", "26Q3", "0000Q1", ""):
        with pytest.raises(BadRequest, match="quarter"):
            calendar_quarter(wrong)


@pytest.mark.parametrize("name", ["", "week", "0d", "9999d", "-5d", "quarters", "d"])
def test_invalid_periods_are_rejected(name: str) -> None:
    with pytest.raises(BadRequest, match="period"):
        period_ending(_at(2026, 7, 1), name)
