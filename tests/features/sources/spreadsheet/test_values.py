"""Values of a column are read as a person would, and what one value leaves open is decided from all."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.sources.spreadsheet.values import (
    Cell,
    date_order,
    is_missing,
    read_color,
    read_date,
    read_flag,
)


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-03", "2026/4/3", "2026-04-03T10:15:00Z", "2026-04-03 10:15", "20260403", "3 Apr 2026", "3-Apr-26", "3rd April 2026",
        "April 3, 2026", "Apr 3 2026", "Friday, April 3, 2026", "46115", 46115.0, datetime(2026, 4, 3), date(2026, 4, 3),
    ],
)
@pytest.mark.parametrize("day_first", [True, False])
def test_unambiguous_dates_do_not_depend_on_the_order(text: Cell, day_first: bool) -> None:
    found = read_date(text, day_first)
    assert found is not None
    assert found.date() == date(2026, 4, 3)


@pytest.mark.parametrize("text", ["3/4/2026", "03/04/2026", "3.4.2026", "03-04-26", "3/4/2026, 10:15:00 AM"])
def test_numeric_dates_follow_the_order_of_the_column(text: str) -> None:
    assert [read_date(text, first).date() for first in (True, False)] == [date(2026, 4, 3), date(2026, 3, 4)]  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["31/13/2026", "soon", "2026-02-30", "12", 7.0, True, "1/1", "Q3 2026", ""])
def test_what_is_no_date_is_not_read_as_one(text: Cell) -> None:
    assert read_date(text, True) is None


def test_the_order_of_dates_is_shown_by_days_above_twelve() -> None:
    order = date_order(["1/2/2026", "30/9/2026", "5/5/2026", "9/30/2026", None, "x"])
    assert (order.day_first, order.month_first, order.either) == ((1,), (3,), 1)


@given(st.dates(date(1950, 1, 1), date(2099, 12, 31)), st.booleans(), st.sampled_from(["/", ".", "-"]))
def test_a_written_date_is_read_back(day: date, day_first: bool, mark: str) -> None:
    parts = (day.day, day.month) if day_first else (day.month, day.day)
    found = read_date(f"{parts[0]}{mark}{parts[1]}{mark}{day.year}", day_first)
    assert found is not None
    assert found.date() == day


@pytest.mark.parametrize("text", ["", "-", "N/A", "n/a", "#REF!", "none", "TBD", "—", "Unknown"])
def test_texts_that_stand_for_nothing(text: str) -> None:
    assert is_missing(text or None)


@pytest.mark.parametrize(("text", "flag"), [("Yes", 1), ("y", 1), (True, 1), (1.0, 1), ("x", 1), ("NO", 0), ("false", 0), (0.0, 0), ("maybe", None), (3.0, None)])
def test_flags(text: Cell, flag: float | None) -> None:
    assert read_flag(text) == flag


def test_colors() -> None:
    assert [read_color(cell) for cell in ("Green", "R", "at risk", "Amber", "purple", 5.0)] == ["green", "red", "red", "yellow", None, None]
