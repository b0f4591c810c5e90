"""Amounts are read as a person would, and an odd one never changes the scale of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.sources.spreadsheet.amounts import currencies, decimal_comma, period_of, read_number, read_numbers
from features.sources.spreadsheet.workbook import Cell


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$120,000", 120000), ("48k", 48000), ("$1.2M", 1.2e6), ("USD 3,600.50", 3600.5), ("€ 1 200", 1200), ("(500)", -500),
        ("-5", -5), ("1'234", 1234), ("1,234,567", 1234567), ("1.234.567", 1234567), ("12,000/yr", 12000), ("$99 per year", 99),
        ("85%", 85), (7.5, 7.5), ("0", 0), ("twelve", None), ("12 apples", None), ("1-2", None), (True, None),
    ],
)  # fmt: skip
def test_amounts(text: Cell, number: float | None) -> None:
    assert read_number(text, comma=False) == number


@pytest.mark.parametrize(("text", "number"), [("1.234,50", 1234.5), ("99,5", 99.5), ("1.234", 1234), ("12", 12), ("3,5k", 3500)])
def test_amounts_with_a_decimal_comma(text: str, number: float) -> None:
    assert read_number(text, comma=True) == number


@pytest.mark.parametrize(
    ("cells", "comma"),
    [
        (["1,234.50", "12"], False), (["1.234,50"], True), (["12,5", "13"], True), (["1,234", "5,678"], False),
        (["1.234.567"], True), (["1,234,567"], False), ([1.5, None], False), ([], False),
    ],
)  # fmt: skip
def test_the_decimal_mark_is_decided_from_the_column(cells: list[Cell], comma: bool) -> None:
    assert decimal_comma(cells) == comma


@given(st.integers(0, 10**9), st.sampled_from(["$", "", "EUR "]), st.booleans())
def test_whole_amounts_with_separators_are_read_back(amount: int, sign: str, comma: bool) -> None:
    text = f"{amount:,}".replace(",", "." if comma else ",")
    assert read_number(sign + text, comma) == amount


def test_currencies_are_named_by_sign_or_code() -> None:
    assert currencies(["$5", "12 eur", "£3", 7.0, None]) == {"USD", "EUR", "GBP"}


@pytest.mark.parametrize(
    ("cells", "amounts"),
    [
        (["$10,000", "$48,500", "20,5k"], [10_000, 48_500, 20_500]),
        (["$10,000", "$48,500", "$20.000,00"], [10_000, 48_500, 20_000]),
        (["$10,000", "$48,500.50", "20,5k"], [10_000, 48_500.5, 20_500]),
        (["10.000 €", "48.500 €", "20,5k"], [10_000, 48_500, 20_500]),
        (["10.000", "48.500"], [10_000, 48_500]),
        (["1666,667", "833,333"], [1666.667, 833.333]),
        (["1666.667", "833.333"], [1666.667, 833.333]),
        (["1.234M", "$10,000"], [1_234_000, 10_000]),
        (["$10,000", "20,5k", "20.5k", "10.000"], [10_000, 20_500, 20_500, None]),
        (["$10,000", "10.000"], [10_000, None]),
        ([1.234, "10,000", None], [1.234, 10_000, None]),
    ],
)  # fmt: skip
def test_each_amount_keeps_its_scale(cells: list[Cell], amounts: list[float | None]) -> None:
    assert read_numbers(cells, amounts=True).values == amounts


def test_ratios_have_three_decimals_more_often_than_thousands() -> None:
    assert read_numbers(["1.234", "5.678"], amounts=False).values == [1.234, 5.678]
    assert read_numbers(["1,234", "99,5"], amounts=False).values == [1.234, 99.5]
    assert read_numbers(["1,234", "99,5", "99.5"], amounts=False).values == [None, 99.5, 99.5]


def test_what_differs_in_a_column_is_counted() -> None:
    assert read_numbers(["$10,000", "$48,500", "20,5k"], amounts=True).notes == ["1 has a decimal comma and 2 have a comma between thousands; each is read by itself"]
    assert read_numbers(["$10,000", "10.000"], amounts=True).notes == ["1 may have a decimal mark or a mark between thousands, and the column shows both"]
    assert read_numbers(["$10,000", "$48,500"], amounts=True).notes == []


@given(st.lists(st.integers(1000, 999_999), min_size=1, max_size=6), st.sampled_from(["20,5k", "$20.000,00", "7,25", "1.5k", "0,5"]))
def test_an_odd_cell_does_not_rescale_the_others(amounts: list[int], odd: str) -> None:
    cells: list[Cell] = [f"${amount:,}" for amount in amounts]
    assert read_numbers([*cells, odd], amounts=True).values[:-1] == amounts


@pytest.mark.parametrize(
    ("text", "number", "period"),
    [
        ("$1,666.67/mo", 1666.67, "month"), ("2k per month", 2000, "month"), ("€5.5k / month", 5500, "month"), ("$99 monthly", 99, "month"),
        ("12,000/yr", 12_000, "year"), ("12,000 p.a.", 12_000, "year"), ("$3,000/qtr", 3000, "quarter"), ("$3m", 3e6, ""),
    ],
)  # fmt: skip
def test_a_period_with_an_amount(text: str, number: float, period: str) -> None:
    assert (read_number(text, comma=False), period_of(text)) == (number, period)
