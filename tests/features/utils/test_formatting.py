"""Formatting of numbers, days and dates."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BadRequest
from features.utils.formatting import (
    DATE_ORDER_VARIABLE,
    UNKNOWN,
    and_list,
    day,
    days_ahead,
    format_as,
    in_unit,
    interval_text,
    minute,
    money,
    number,
    percent,
    short_day,
    short_money,
    signed,
    signed_money,
    signed_short_money,
    significant,
    whole_days,
)

FORMATS = (money, short_money, percent, number, signed, days_ahead)


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_unknown_values_are_a_dash(unknown: float | None) -> None:
    assert {show(unknown) for show in FORMATS} == {UNKNOWN}
    assert {in_unit(unknown, unit) for unit in ("share", "currency", "accounts", "days", "points", "of 5")} == {UNKNOWN}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, "share", "12.3%"), (1.1, "share", "110.0%"), (1_204_000.4, "currency", "1,204,000"), (12, "accounts", "12"),
        (17.4, "days", "17 days"), (41, "points", "41.0"), (4.256, "of 5", "4.26"), (-0.0001, "share", "0.0%"), (-0.2, "currency", "0"),
    ],
)  # fmt: skip
def test_a_value_is_shown_by_its_unit(value: float, unit: str, text: str) -> None:
    assert in_unit(value, unit) == text


@pytest.mark.parametrize(
    ("days", "text"),
    [(0.0, "today"), (0.99, "today"), (1.0, "in 1 day"), (1.5, "in 1 day"), (89.9, "in 89 days"), (-0.01, "1 day past"), (-1.0, "1 day past"), (-1.5, "2 days past")],
)
def test_days_to_a_date_are_complete_days(days: float, text: str) -> None:
    assert days_ahead(days) == text


@given(st.integers(-4000, 4000), st.floats(0, 86_399))
def test_days_from_midnight_are_calendar_days(days: int, seconds: float) -> None:
    midnight = datetime(2026, 7, 1, tzinfo=UTC)
    then = midnight + timedelta(days=days, seconds=seconds)
    assert whole_days((then - midnight) / timedelta(days=1)) == (then.date() - midnight.date()).days


@given(st.floats(-1e12, 1e12))
def test_no_format_shows_a_negative_zero(value: float) -> None:
    for show in (money, short_money, percent, number):
        assert re.fullmatch(r"-0(\.0+)?[%BMk]?", show(value)) is None
    assert (signed(value)[0] in "+±") == (value >= 0 or round(value, 1) == 0)


def test_bounds_of_an_interval_keep_their_signs_apart() -> None:
    assert interval_text(-0.0123, 0.0149) == "−0.01 to 0.01"
    assert interval_text(-0.0001, None, 3) == f"0.000 to {UNKNOWN}"
    assert [significant(value) for value in (-0.01234, 0.0, -0.0, 12.0)] == ["−0.012", "0", "0", "12"]


def test_a_change_of_an_amount_has_a_sign_and_a_zero_has_none_of_a_direction() -> None:
    values = (1_204_000, -300, 0.0, -0.2, 0.2, None)
    assert [signed_short_money(value) for value in values] == ["+1.20M", "−300", "±0", "±0", "±0", UNKNOWN]


def test_names_are_joined_by_commas_and_an_and() -> None:
    assert [and_list(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("", ["1,204,000", "1.20M", "−300", "+300", "±0", "950"]),
        ("usd", ["$1,204,000", "$1.20M", "−$300", "+$300", "±$0", "$950"]),
        ("EUR", ["€1,204,000", "€1.20M", "−€300", "+€300", "±€0", "€950"]),
        (
            "CHF",
            ["CHF\u00a01,204,000", "CHF\u00a01.20M", "−CHF\u00a0300", "+CHF\u00a0300", "±CHF\u00a00", "CHF\u00a0950"],
        ),
    ],
)
def test_amounts_have_the_currency_of_the_setting(monkeypatch: pytest.MonkeyPatch, code: str, shown: list[str]) -> None:
    monkeypatch.setenv("RENEWCAST_CURRENCY", code)
    texts = [
        money(1_204_000),
        short_money(1_204_000),
        money(-300),
        signed_money(300),
        signed_money(0.2),
        in_unit(950, "currency"),
    ]
    assert texts == shown
    assert money(None) == short_money(None) == signed_money(None) == UNKNOWN
    assert in_unit(950, "accounts") == "950"
    assert format_as(950, "money") == shown[5]


@pytest.mark.parametrize("code", ["EURO", "€", "1", " "])
def test_what_is_no_code_of_a_currency_is_not_shown(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setenv("RENEWCAST_CURRENCY", code)
    assert money(950) == "950"


@pytest.mark.parametrize(
    ("order", "shown"),
    [
        ("", ["30 Sep 2026", "30 Sep", "5 Jan 2026, 14:05 UTC"]),
        ("DMY", ["30 Sep 2026", "30 Sep", "5 Jan 2026, 14:05 UTC"]),
        ("mdy", ["Sep 30, 2026", "Sep 30", "Jan 5, 2026, 14:05 UTC"]),
        ("ymd", ["2026-09-30", "09-30", "2026-01-05, 14:05 UTC"]),
    ],
)
def test_dates_have_the_order_of_the_setting(monkeypatch: pytest.MonkeyPatch, order: str, shown: list[str]) -> None:
    monkeypatch.setenv(DATE_ORDER_VARIABLE, order)
    then = date(2026, 9, 30)
    assert [day(then), short_day(then), minute("2026-01-05T14:05:59Z")] == shown
    assert day("2026-09-30T12:00:00Z") == day("2026-09-30") == shown[0]
    assert day(None) == short_day(None) == minute(None) == UNKNOWN


def test_another_order_of_dates_is_an_error_without_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATE_ORDER_VARIABLE, "mm/dd/yyyy")
    with pytest.raises(BadRequest) as refusal:
        day("2026-09-30")
    assert DATE_ORDER_VARIABLE in str(refusal.value)
    assert "mm/dd" not in str(refusal.value)
