"""Periods: quarters by name, and so many days from now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from features.errors import BadRequest
from models.renewals.renewal_period import Period, period_of, quarter, quarter_of

NOW = datetime(2026, 9, 30, tzinfo=UTC)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("2026Q1", "2026-01-01", "2026-04-01"),
        ("2026Q3", "2026-07-01", "2026-10-01"),
        ("2026q4", "2026-10-01", "2027-01-01"),
        ("2027-Q2", "2027-04-01", "2027-07-01"),
    ],
)
def test_quarters(name: str, start: str, end: str) -> None:
    found = quarter(name)
    assert (found.start, found.end) == (day(start), day(end))
    assert quarter_of(found.start) == found == quarter_of(found.end - timedelta(seconds=1))


def test_of_a_quarter_under_way_the_rest_counts() -> None:
    assert period_of(NOW, "2026Q3") == Period("2026Q3", NOW, day("2026-10-01"))
    assert period_of(NOW, "2026Q4").start == day("2026-10-01")


def test_days_from_now() -> None:
    assert period_of(NOW, days=30) == Period("next 30 days", NOW, NOW + timedelta(days=30))
    assert period_of(NOW).end == NOW + timedelta(days=90)


@pytest.mark.parametrize(
    "asked", [{"name": "2026Q5"}, {"name": "soon"}, {"name": "2026Q2"}, {"days": 45}, {"name": "2026Q4", "days": 30}]
)
def test_what_cannot_be_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        period_of(NOW, **asked)  # type: ignore[arg-type]
