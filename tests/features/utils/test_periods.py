"""Periods: one reader for all forms, one way to print them; spans go back by the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import renewcast
from features.errors import BadRequest
from features.utils.periods import YEARS, Period, Quarter, calendar_period, forecast_period, period_ending

NOW = datetime(2026, 9, 30, tzinfo=UTC)
FORMS = ["{y}Q{n}", "{y}q{n}", "{y}-Q{n}", "{y}-q{n}", "{y} Q{n}", "Q{n} {y}", "q{n}-{y}", "Q{n}{y}", " {y}Q{n} "]
# The neighbors of a period are read too.
YEAR, NUMBER = st.integers(YEARS[0], YEARS[-2]), st.integers(1, 4)


def _at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "end", "start", "before"),
    [
        ("quarter", _at(2026, 7, 1), _at(2026, 4, 1), _at(2026, 1, 1)),
        ("quarter", _at(2026, 5, 31), _at(2026, 2, 28), _at(2025, 11, 30)),
        ("month", _at(2024, 3, 31), _at(2024, 2, 29), _at(2024, 1, 31)),
        ("Year", _at(2024, 2, 29), _at(2023, 2, 28), _at(2022, 2, 28)),
        ("90d", _at(2026, 7, 1, 6), _at(2026, 4, 2, 6), _at(2026, 1, 2, 6)),
    ],
)
def test_a_period_ends_at_the_given_instant(name: str, end: datetime, start: datetime, before: datetime) -> None:
    period = period_ending(end, name)
    assert (period.start, period.end, period.before().start, period.before().end) == (start, end, before, start)


def test_period_lengths_in_years() -> None:
    assert [period_ending(_at(2026, 7, 1), n).years for n in ("month", "quarter", "year")] == [1 / 12, 1 / 4, 1]
    assert [calendar_period(n).years for n in ("2026-02", "2026Q1")] == [1 / 12, 1 / 4]
    assert period_ending(_at(2026, 7, 1), "90d").years == pytest.approx(90 / 365.25)
    # What is left of a quarter is no quarter of a year.
    assert forecast_period(NOW, "2026Q3").years == pytest.approx(1 / 365.25)


@given(YEAR, NUMBER, st.sampled_from(FORMS))
def test_every_form_of_a_quarter_reads_the_same_and_is_printed_once(year: int, number: int, form: str) -> None:
    quarter = Quarter.parse(form.format(y=year, n=number))
    assert quarter == Quarter(year, number)
    assert quarter.name == f"{year}Q{number}" == calendar_period(form.format(y=year, n=number)).name
    assert Quarter.of(quarter.start) == quarter == Quarter.of(quarter.end - timedelta(microseconds=1))
    assert Quarter.of(quarter.start.date()) == quarter
    assert quarter.period.before().end == quarter.start
    assert quarter.next.period.before() == quarter.period


@given(YEAR, st.integers(1, 12))
def test_months(year: int, month: int) -> None:
    period = calendar_period(f"{year}-{month:02d}")
    assert (period.name, period.start) == (f"{year}-{month:02d}", _at(year, month, 1))
    assert (period.end.day, (period.end - timedelta(days=1)).month) == (1, month)
    assert calendar_period(f"{period.end.year}-{period.end.month:02d}").before() == period


@given(st.datetimes(_at(1701, 1, 1).replace(tzinfo=None), _at(8999, 1, 1).replace(tzinfo=None)))
def test_every_day_lies_in_its_quarter(day: datetime) -> None:
    instant = day.replace(tzinfo=UTC)
    quarter = Quarter.of(instant)
    assert quarter.start <= instant < quarter.end
    assert Quarter.of(date(day.year, day.month, day.day)) == quarter


@pytest.mark.parametrize(
    "wrong", ["2026Q5", "2026Q0", "2026QQ3", "26Q3", "0000Q1", "9999Q4", "2026", "٢٠٢٦Q1", "summer", ""]
)
def test_what_names_no_quarter_is_refused_in_the_same_words(wrong: str) -> None:
    for read in (Quarter.parse, calendar_period):
        with pytest.raises(BadRequest) as refused:
            read(wrong)
        assert refused.value.found == "invalid period"
        assert "a quarter such as 2026Q3" in refused.value.expected
        assert refused.value.cure == "write it as in the example"


@pytest.mark.parametrize("wrong", ["2026-13", "2026-00", "2026-1", "202601", "0001-01"])
def test_what_names_no_month_is_refused(wrong: str) -> None:
    with pytest.raises(BadRequest, match="a month such as 2026-03"):
        calendar_period(wrong)


@pytest.mark.parametrize("name", ["", "week", "0d", "9999d", "-5d", "quarters", "d"])
def test_what_is_no_span_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match=r"invalid period\n.*such as 90d"):
        period_ending(_at(2026, 7, 1), name)


def test_a_forecast_covers_what_is_left_of_a_period() -> None:
    assert forecast_period(NOW, "2026-q3") == Period("2026Q3", NOW, _at(2026, 10, 1))
    assert forecast_period(NOW, "2026Q4").start == _at(2026, 10, 1)
    assert forecast_period(NOW, "2026-12") == Period("2026-12", _at(2026, 12, 1), _at(2027, 1, 1))


def test_days_from_now() -> None:
    assert forecast_period(NOW, days=30) == Period("next 30 days", NOW, NOW + timedelta(days=30))
    assert forecast_period(NOW).end == NOW + timedelta(days=90)


@pytest.mark.parametrize(
    "options",
    [{"name": "soon"}, {"name": "2026Q2"}, {"name": "2026-08"}, {"days": 45}, {"name": "2026Q4", "days": 30}],
)
def test_what_cannot_be_forecast_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        forecast_period(NOW, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["2026Q3", "2026q3", "2026-Q3", "Q3 2026"])
@pytest.mark.parametrize(
    "command",
    [
        ["review", "{}", "--quarter"],
        ["qbr", "{}", "a", "--quarter"],
        ["renewals", "{}", "--as-of", "2026-08-01", "--period"],
    ],
)
def test_every_command_reads_every_form(
    command: list[str], form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The period is read before the signals, so that a missing folder is what is left to refuse."""
    monkeypatch.setenv("RENEWCAST_HOME", str(tmp_path / "home"))
    arguments = [part.format(tmp_path / "nothing") for part in command]
    result, refused = (CliRunner().invoke(renewcast.app, [*arguments, each]) for each in (form, "summer"))
    assert "invalid period" in str(refused.exception)
    assert result.exception is not None
    assert "invalid period" not in str(result.exception)
    assert "nothing" in str(result.exception)
