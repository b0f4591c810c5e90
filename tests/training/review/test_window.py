from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InsufficientData
from features.utils.periods import Quarter
from training.review.window import Window


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_snapshots_that_matured_in_the_quarter() -> None:
    #   H = 90 and G = 30: known 120 days after.  as_of + 120 days in (07-01, 10-01]
    window = Window.of(Quarter.parse("2026Q3"), 90, 30, at("2026-12-01"))
    dates = pd.Series(pd.to_datetime(["2026-03-03", "2026-03-04", "2026-06-03", "2026-06-04"], utc=True))
    assert window.judged(dates).tolist() == [False, True, True, False]
    assert window.before(dates).tolist() == [True, False, False, False]
    assert window.cut_off == at("2026-06-03")
    assert window.over


def test_data_after_the_quarter_are_ignored() -> None:
    quarter = Quarter.parse("2026Q3")
    assert Window.of(quarter, 90, 30, at("2026-10-01")) == Window.of(quarter, 90, 30, at("2027-05-05"))


def test_an_incomplete_quarter_ends_with_its_data() -> None:
    window = Window.of(Quarter.parse("2026Q3"), 90, 30, at("2026-08-01"))
    assert window.cut_off == at("2026-08-01") - timedelta(days=120)
    assert not window.over


def test_no_snapshot_matures_before_the_quarter_starts() -> None:
    with pytest.raises(InsufficientData, match=r"end on 2026-06-21, 10 days before 2026-07-01") as error:
        Window.of(Quarter.parse("2026Q3"), 90, 30, at("2026-06-21"))
    assert "review 2026Q3" in error.value.found


@given(
    year=st.integers(2000, 2100),
    number=st.integers(1, 4),
    horizon=st.integers(7, 400),
    grace=st.integers(0, 60),
    days=st.integers(-300, 300),
)
def test_every_snapshot_is_evaluated_in_exactly_one_quarter(year: int, number: int, horizon: int, grace: int, days: int) -> None:
    quarter = Quarter(year, number)
    as_of = pd.Series([pd.Timestamp(quarter.start) + pd.Timedelta(days=days)])
    matured = Quarter.of((quarter.start + timedelta(days=days + horizon + grace - 1)).date())
    later = datetime(2200, 1, 1, tzinfo=UTC)
    for each in (matured, matured.next, quarter):
        evaluated = Window.of(each, horizon, grace, later).judged(as_of)[0]
        instant = as_of[0].to_pydatetime() + timedelta(days=horizon + grace)
        assert evaluated == (each.start < instant <= each.end)
