"""Edge cases of instants and grids."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BadRequest
from features.utils.dates import Grid, midnight, parse_cutoff, parse_instant, to_iso


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2024-03-31T02:30:00+02:00", datetime(2024, 3, 31, 0, 30, tzinfo=UTC)),
        ("2024-12-31T23:59:59Z", datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (date(2025, 1, 1), datetime(2025, 1, 1, tzinfo=UTC)),
    ],
)
def test_every_instant_is_utc(text: str | date, instant: datetime) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize("text", ["9999-12-31", "2199-12-31", "2036-12-31", "9999-12-31T23:00:00-01:00"])
def test_a_cutoff_that_means_no_end_is_rejected(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_cutoff(text, datetime(2026, 9, 30, tzinfo=UTC))
    assert refused.value.expected
    # Planned contracts are looked at from dates ahead.
    assert parse_cutoff("2036-09-30", datetime(2026, 9, 30, tzinfo=UTC)) == datetime(2036, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "tomorrow", "2023-02-29", "30/09/2026"])
def test_invalid_dates_are_rejected(text: str) -> None:
    with pytest.raises(BadRequest, match="ISO 8601"):
        parse_instant(text)


def test_a_midnight_is_formatted_as_a_date() -> None:
    assert to_iso(datetime(2026, 9, 30, tzinfo=UTC)) == "2026-09-30"
    assert to_iso(datetime(2026, 9, 30, 1, tzinfo=UTC)) == "2026-09-30T01:00:00+00:00"
    assert midnight(datetime(2026, 9, 30, 23, 59, tzinfo=UTC)) == datetime(2026, 9, 30, tzinfo=UTC)


def test_a_grid_ends_exactly_at_its_last_date() -> None:
    grid = Grid.ending(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC), 7)
    assert [d.date().isoformat() for d in grid.as_ofs] == ["2026-02-01", "2026-02-08", "2026-02-15", "2026-02-22", "2026-03-01"]


@pytest.mark.parametrize("step", [0, -7])
def test_a_grid_needs_a_step(step: int) -> None:
    with pytest.raises(BadRequest):
        Grid.ending(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC), step)


@given(st.integers(1, 60), st.integers(1, 40), st.integers(-4000, 4000))
def test_a_position_counts_the_dates_at_or_before(every: int, n: int, hours: int) -> None:
    grid = Grid(datetime(2024, 2, 29, tzinfo=UTC), every, n)
    instant = grid.first + timedelta(hours=hours)
    assert grid.position(instant) == sum(as_of <= instant for as_of in grid.as_ofs)
