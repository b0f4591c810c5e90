from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.simulation.calendar import anniversaries_within, day_number, month_and_day, months_after


@pytest.mark.parametrize(
    ("first", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 1, 31), 2, date(2026, 3, 31)),
        (date(2023, 1, 31), 13, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2024, 2, 29), 48, date(2028, 2, 29)),
        (date(2025, 12, 15), 0, date(2025, 12, 15)),
        (date(2025, 12, 15), 36, date(2028, 12, 15)),
    ],
)
def test_terms_end_on_the_same_day_of_the_month_or_its_last_day(first: date, months: int, expected: date) -> None:
    month, dom = month_and_day(np.array([day_number(first)]))
    assert months_after(month, dom, np.array([months])).tolist() == [day_number(expected)]


@given(
    born=st.dates(date(2015, 1, 1), date(2026, 1, 1)),
    every=st.sampled_from([1, 12]),
    ahead=st.integers(-40, 2000),
)
def test_an_anniversary_is_found_only_in_its_week(born: date, every: int, ahead: int) -> None:
    month, dom = month_and_day(np.array([day_number(born)]))
    first = day_number(born) + ahead
    steps = np.arange(0, 80) * every
    days = months_after(month, dom, steps)
    inside = days[(days >= first) & (days <= first + 6)]
    due, day = anniversaries_within(month, dom, np.array([every]), first, first + 6)
    assert due.tolist() == [len(inside) == 1]
    if len(inside):
        assert day.tolist() == inside.tolist()
