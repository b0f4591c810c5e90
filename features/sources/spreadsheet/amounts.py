"""Reading numbers and amounts of money: decimal marks, thousands separators, units and currencies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from features.sources.spreadsheet.number_formats import CURRENCY_MARK, PERCENT
from features.sources.spreadsheet.vocabulary import folded
from features.sources.spreadsheet.workbook import Cell, FormattedNumber

Period: TypeAlias = Literal["month", "quarter", "year", ""]
PER_YEAR: dict[str, int] = {"month": 12, "quarter": 4, "year": 1}
_CURRENCIES = {"$": "USD", "us$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
_SUFFIXES = {"": 1.0, "k": 1e3, "tsd": 1e3, "m": 1e6, "mm": 1e6, "mn": 1e6, "mio": 1e6, "b": 1e9, "bn": 1e9}
_PER_WORDS = r"(?:/|per |pro |par |por |p\.|a |each )\s*"
_PERIODS: dict[Period, str] = {
    "month": rf"{_PER_WORDS}(?:months?|mos?|mth|monat|mois|mes|m)|monthly|monatlich|mtl|mensuel|mensual|pm|pcm",
    "quarter": rf"{_PER_WORDS}(?:quarter|qtr|quartal|trimestre|q)|quarterly|vierteljaehrlich|trimestriel|trimestral",
    "year": rf"{_PER_WORDS}(?:years?|yr|y|annum|jahr|an|ano|a)|yearly|annually|annual|jaehrlich|annuel|anual|pa",
}
_PER = [(period, re.compile(rf"\s*(?:{pattern})\.?$")) for period, pattern in _PERIODS.items()]
_THOUSAND_EUROS = re.compile(r"\b(?:teur|t€)|(?<=\d)(?:teur|t€)")
_AMOUNT = re.compile(r"^([+-]?)([\d.,' ]*\d)\s*([a-z]{0,3})$")


@dataclass(frozen=True)
class _Number:
    digits: str
    scale: float
    period: Period

    @property
    def marks(self) -> str:
        return re.sub(r"[^.,]", "", self.digits)

    def decimal_mark(self) -> str:
        """Return the mark that can only be decimal; empty if none, and both if one mark can be either."""
        marks = self.marks
        if not marks:
            return ""
        last, other = marks[-1], "." if marks[-1] == "," else ","
        if marks.count(last) > 1:
            return other
        whole, part = self.digits.rsplit(last, 1)
        separates = len(part) == 3 and re.fullmatch(r"[1-9]\d{0,2}", whole) is not None
        return last + other if separates and not (last == "." and abs(self.scale) > 1) else last

    def value(self, comma: bool) -> float | None:
        digits = self.digits
        if comma:
            digits = digits.replace(".", "").replace(",", ".")
        else:
            digits = (digits.replace(".", "") if digits.count(".") > 1 else digits).replace(",", "")
        try:
            return float(digits) * self.scale
        except ValueError:
            return None


@dataclass(frozen=True)
class Numbers:
    """The numbers of a column.

    Parameters
    ----------
    values : the number of each cell; None where there is none, or where it could be another one.
    decision : how numbers that could be read in several ways are read; empty if none could.
    notes : what differs between the numbers, with counts.
    """

    values: list[float | None]
    decision: str = ""
    notes: list[str] = field(default_factory=list)


def _number(cell: Cell) -> _Number | None:
    if not isinstance(cell, str):
        return None
    text = _THOUSAND_EUROS.sub("tsd", folded(cell.strip()).replace("−", "-"))
    negative = text.startswith("(") and text.endswith(")")
    text = CURRENCY_MARK.sub("", text.strip("()")).strip()
    period: Period = ""
    for name, pattern in _PER:
        if pattern.search(text):
            period, text = name, pattern.sub("", text)
            break
    found = _AMOUNT.match(text.rstrip("%").strip())
    if found is None or found[3] not in _SUFFIXES:
        return None
    sign = -1.0 if negative or found[1] == "-" else 1.0
    return _Number(found[2].replace(" ", "").replace("'", ""), sign * _SUFFIXES[found[3]], period)


def read_number(cell: Cell, comma: bool) -> float | None:
    """Return the number in a cell, with currency signs, thousands separators and k or M; None if there is none.

    Parameters
    ----------
    cell : a number or a text.
    comma : whether a comma is the decimal mark.

    Examples
    --------
    >>> read_number("$1,234.50", comma=False), read_number("1.234,5 €", comma=True), read_number("(1.2k)", comma=False)
    (1234.5, 1234.5, -1200.0)
    """
    if isinstance(cell, float):
        return cell
    found = _number(cell)
    return None if found is None else found.value(comma)


def period_of(cell: Cell) -> Period:
    """Return the period that an amount is for; empty if the cell does not say.

    Examples
    --------
    >>> period_of("$1,666.67/mo"), period_of("20k per year"), period_of("$20")
    ('month', 'year', '')
    """
    found = _number(cell)
    return "" if found is None else found.period


def has_own_scale(cell: Cell) -> bool:
    """Return whether an amount says itself that it is in thousands or millions.

    Examples
    --------
    >>> has_own_scale("$5k"), has_own_scale("1.2M"), has_own_scale("5"), has_own_scale(5.0)
    (True, True, False, False)
    """
    found = _number(cell)
    return found is not None and abs(found.scale) != 1.0


def currency_marks(cell: Cell) -> set[str]:
    """Return the signs and codes of currencies in a text, or in the format of a number, in lower case.

    Examples
    --------
    >>> currency_marks("1.200 €"), currency_marks(1200.0)
    ({'€'}, set())
    """
    if isinstance(cell, FormattedNumber):
        return {cell.mark.lower()} - {PERCENT}
    return {found.lower() for found in CURRENCY_MARK.findall(cell)} if isinstance(cell, str) else set()


def currencies(cells: Sequence[Cell]) -> frozenset[str]:
    """Return the currencies that the cells name by sign or code.

    Examples
    --------
    >>> sorted(currencies(["$1,200", "USD 300", "12 €", 40.0]))
    ['EUR', 'USD']
    """
    marks = {mark for cell in cells for mark in currency_marks(cell)}
    return frozenset(_CURRENCIES.get(mark, mark.upper()) for mark in marks)


@dataclass(frozen=True)
class _Marks:
    """How many numbers of a column have which mark; ``groups`` have three digits after it, and may be thousands."""

    comma: int = 0
    point: int = 0
    comma_groups: int = 0
    point_groups: int = 0
    exact: bool = False


def _count_marks(numbers: Sequence[_Number | None]) -> _Marks:
    found = [(number, number.decimal_mark()) for number in numbers if number is not None]
    count = {mark: sum(m == mark for _, m in found) for mark in (",", ".", ",.", ".,")}
    # Three or more digits after a comma that is decimal: the column writes numbers in that way.
    exact = any(mark == "," and len(number.digits.rpartition(",")[2]) > 2 for number, mark in found)
    return _Marks(count[","], count["."], count[",."], count[".,"], exact)


def decimal_comma(cells: Sequence[Cell]) -> bool:
    """Return whether most numbers of a column show a decimal comma: 1.234,50 rather than 1,234.50.

    A mark is decimal if it is the last of two different ones, or if another number of digits than three follows it.

    Examples
    --------
    >>> decimal_comma(["1.234", "99,5"]), decimal_comma(["1,234", "99.5"]), decimal_comma(["1,234", "5,678"])
    (True, False, False)
    """
    marks = _count_marks([_number(cell) for cell in cells])
    return marks.comma > marks.point + marks.comma_groups


def read_numbers(cells: Sequence[Cell], amounts: bool) -> Numbers:
    """Read the numbers of a column.

    A number whose mark can only be decimal is read by itself, and never changes the scale of the others. A comma or
    point before exactly three digits separates thousands unless the column shows otherwise, and the number is unknown
    if the column shows both.

    Parameters
    ----------
    cells : the cells of the column.
    amounts : whether the numbers are amounts or counts, which rarely have three decimals.

    Examples
    --------
    >>> read_numbers(["$10,000", "$48,500", "20,5k"], amounts=True).values
    [10000.0, 48500.0, 20500.0]
    """
    numbers = [_number(cell) for cell in cells]
    marks = _count_marks(numbers)
    comma_group = _comma_group_is_decimal(marks, amounts)
    point_group = _point_group_is_decimal(marks, amounts)
    decimal: dict[str, bool | None] = {
        "": False,
        ",": True,
        ".": False,
        ",.": comma_group,
        ".,": None if point_group is None else not point_group,
    }
    values: list[float | None] = []
    for cell, number in zip(cells, numbers, strict=True):
        comma = None if number is None else decimal[number.decimal_mark()]
        values.append(
            cell if isinstance(cell, float) else None if number is None or comma is None else number.value(comma)
        )
    return Numbers(values, _decision(marks, point_group), _mark_notes(marks, comma_group, point_group))


def _comma_group_is_decimal(marks: _Marks, amounts: bool) -> bool | None:
    """Return whether 1,234 is less than two; None if the column contradicts itself."""
    if marks.comma and not amounts:
        return None if marks.point else True
    return marks.exact and not marks.point


def _point_group_is_decimal(marks: _Marks, amounts: bool) -> bool | None:
    """Return whether 1.234 is less than two; None if the column contradicts itself."""
    if marks.comma or marks.point:
        return None if marks.comma and marks.point else bool(marks.point)
    if not amounts:
        return True
    return None if marks.comma_groups else False


def _decision(marks: _Marks, point_group: bool | None) -> str:
    if marks.comma and not marks.point and not marks.comma_groups:
        return "decimal comma"
    return "points separate thousands" if marks.point_groups and point_group is False else ""


def _mark_notes(marks: _Marks, comma_group: bool | None, point_group: bool | None) -> list[str]:
    notes = []
    thousands = marks.comma_groups if comma_group is False else 0
    if marks.comma and (marks.point or thousands):
        parts = [
            f"{n} {'has' if n == 1 else 'have'} {what}"
            for n, what in (
                (marks.comma, "a decimal comma"),
                (marks.point, "a decimal point"),
                (thousands, "a comma between thousands"),
            )
            if n
        ]
        notes.append(f"{', '.join(parts[:-1])} and {parts[-1]}; each is read by itself")
    unknown = (marks.comma_groups if comma_group is None else 0) + (marks.point_groups if point_group is None else 0)
    if unknown:
        notes.append(f"{unknown} may have a decimal mark or a mark between thousands, and the column shows both")
    return notes
