"""Reading the values of a spreadsheet's column: dates, texts, colors, yes and no.

What a single value leaves open (is 3/4 in March or in April) is decided from the whole column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from features.sources.spreadsheet.vocabulary import folded, words
from features.sources.spreadsheet.workbook import Cell

_WORDS = words()
MISSING, YES, NO = (frozenset(_WORDS[name]) for name in ("missing", "yes", "no"))
COLORS: dict[str, frozenset[str]] = {name: frozenset(texts) for name, texts in _WORDS["color"].items()}
HIGH, LOW = (frozenset(_WORDS[name]) for name in ("high", "low"))
MONTHS: dict[str, int] = {beginning: i for i, names in enumerate(_WORDS["months"], 1) for beginning in names}
_ISO = re.compile(r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[Tt ].*)?$")
_COMPACT = re.compile(r"^(19|20)(\d{2})(\d{2})(\d{2})$")
_NUMERIC = re.compile(r"^(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})(?:[, ]+\d{1,2}:.*)?$")
_DAY_NAME = re.compile(
    r"^(\d{1,2})(?:st|nd|rd|th|er)?[ \-/.]+(?:de )?([a-z]{3,10})\.?[ \-/,.]+(?:de )?(\d{4}|\d{2})(?: .*)?$"
)
_NAME_DAY = re.compile(r"^([a-z]{3,9})\.?[ \-]+(\d{1,2})(?:st|nd|rd|th)?[, \-]+(\d{4})(?: .*)?$")
_WEEKDAY = re.compile(r"^(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,? +")
_EXCEL_EPOCH = datetime(1899, 12, 30)


@dataclass(frozen=True)
class Column:
    """The values of one column.

    Parameters
    ----------
    values : the value of each row; None where it is missing or cannot be read.
    unreadable : the indices of the values that cannot be read.
    decision : how a value that could be read in several ways is read; empty if none could.
    notes : which values are read in another way than the rest, with counts.
    """

    values: list[Any]
    unreadable: tuple[int, ...] = ()
    decision: str = ""
    notes: tuple[str, ...] = ()

    @property
    def present(self) -> list[Any]:
        """The values that are not missing."""
        return [value for value in self.values if value is not None]

    def without(self, indices: Iterable[int]) -> Column:
        """Return the column with some of its values unknown."""
        gone = set(indices)
        return replace(self, values=[None if i in gone else value for i, value in enumerate(self.values)])


def is_missing(cell: Cell) -> bool:
    """Return whether a cell is empty, or says that there is no value."""
    return cell is None or (isinstance(cell, str) and folded(cell) in MISSING)


def read_each(cells: Sequence[Cell], read: Callable[[Cell], Any], decision: str = "") -> Column:
    """Read every cell that is not missing by ``read``, which returns None for what it cannot read."""
    values = [None if is_missing(cell) else read(cell) for cell in cells]
    lost = tuple(
        i for i, (cell, value) in enumerate(zip(cells, values, strict=True)) if value is None and not is_missing(cell)
    )
    return Column(values, lost, decision)


def text_of(cell: Cell) -> str | None:
    """Return the text of a cell; a whole number without its decimal point, and a date in ISO 8601."""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return None if cell is None else str(cell)


@dataclass(frozen=True)
class DateOrder:
    """What the dates of a column show about their order.

    Parameters
    ----------
    day_first, month_first : the indices of the values that can only be read in this order.
    either : the number of values that can be read in both orders, to different dates.
    """

    day_first: tuple[int, ...] = ()
    month_first: tuple[int, ...] = ()
    either: int = 0


def date_order(cells: Sequence[Cell]) -> DateOrder:
    """Return what numeric dates such as 30/9/2026 show about the order of day and month.

    Examples
    --------
    >>> date_order(["30/9/2026", "1/2/2026", "2026-01-02"])
    DateOrder(day_first=(0,), month_first=(), either=1)
    """
    day: list[int] = []
    month: list[int] = []
    either = 0
    for i, cell in enumerate(cells):
        found = _NUMERIC.match(cell) if isinstance(cell, str) else None
        if found is None:
            continue
        one, two = int(found[1]), int(found[3])
        if one > 12 >= two:
            day.append(i)
        elif two > 12 >= one:
            month.append(i)
        elif one != two:
            either += 1
    return DateOrder(tuple(day), tuple(month), either)


def has_points(cell: Cell) -> bool:
    """Return whether a cell is a date with points, such as 30.9.2026.

    Examples
    --------
    >>> has_points("30.9.2026"), has_points("9/30/2026")
    (True, False)
    """
    found = _NUMERIC.match(cell) if isinstance(cell, str) else None
    return found is not None and found[2] == "."


def read_date(cell: Cell, day_first: bool) -> datetime | None:
    """Return the date of a cell, without a time zone; None if it is not a date from 1950 to 2150.

    Parameters
    ----------
    cell : a date, a text in one of the usual forms, or the number of a day as spreadsheet programs count them.
    day_first : whether 3/4/2026 is in April.

    Examples
    --------
    >>> read_date("3/4/2026", day_first=True).date().isoformat()
    '2026-04-03'
    >>> read_date("Sep 30, 2026", day_first=True).date().isoformat()
    '2026-09-30'
    """
    found = _date(cell, day_first)
    return found if found is not None and 1950 <= found.year <= 2150 else None


def _date(cell: Cell, day_first: bool) -> datetime | None:
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=None)
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)
    if isinstance(cell, float):
        # 20000 is in 1954, and 80000 in 2119.
        return _EXCEL_EPOCH + timedelta(days=cell) if 20_000 <= cell <= 80_000 else None
    if not isinstance(cell, str):
        return None
    text = _WEEKDAY.sub("", folded(cell.strip()))
    if found := _ISO.match(text):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    if found := _COMPACT.match(text):
        return _day(int(found[1] + found[2]), int(found[3]), int(found[4]))
    if found := _NUMERIC.match(text):
        one, two, year = int(found[1]), int(found[3]), _year(found[4])
        return _day(year, two, one) if day_first else _day(year, one, two)
    if (found := _DAY_NAME.match(text)) and (month := month_of(found[2])):
        return _day(_year(found[3]), month, int(found[1]))
    if (found := _NAME_DAY.match(text)) and (month := month_of(found[1])):
        return _day(int(found[3]), month, int(found[2]))
    try:
        return _date(float(text), day_first)
    except ValueError:
        return None


def month_of(word: str) -> int | None:
    """Return the month that a word in lower case names, also if it is shortened; None if it names none.

    Examples
    --------
    >>> month_of("sept"), month_of("juillet"), month_of("maerz"), month_of("monday")
    (9, 7, 3, None)
    """
    return MONTHS.get(word[:4]) or MONTHS.get(word[:3])


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else 2000 + int(text)


def _day(year: int, month: int, day: int) -> datetime | None:
    try:
        return datetime(year, month, day)
    except ValueError:
        return None


def read_flag(cell: Cell) -> float | None:
    """Return 1 for yes, 0 for no, and None for anything else.

    Examples
    --------
    >>> read_flag("Yes"), read_flag(0.0), read_flag("maybe")
    (1.0, 0.0, None)
    """
    if isinstance(cell, bool):
        return float(cell)
    if isinstance(cell, float):
        return cell if cell in (0.0, 1.0) else None
    word = folded(cell.strip()).rstrip(".!") if isinstance(cell, str) else ""
    return 1.0 if word in YES else 0.0 if word in NO else None


def read_color(cell: Cell) -> str | None:
    """Return the color of a health status; None if it is not one.

    Examples
    --------
    >>> read_color("Amber"), read_color("High"), read_color(78.0)
    ('yellow', 'green', None)
    """
    word = folded(cell.strip()) if isinstance(cell, str) else ""
    # High health is good, and a high risk is not.
    return "green" if word in HIGH else "red" if word in LOW else _color_of(word)


def read_risk(cell: Cell) -> str | None:
    """Return the color of a risk: red if it is high, or if the account is at risk; None if the cell does not say.

    Examples
    --------
    >>> read_risk("High"), read_risk("No"), read_risk("Yellow")
    ('red', 'green', 'yellow')
    """
    flag = read_flag(cell) if isinstance(cell, str | bool) else None
    if flag is not None:
        return "red" if flag else "green"
    word = folded(cell.strip()) if isinstance(cell, str) else ""
    return "red" if word in HIGH else "green" if word in LOW else _color_of(word)


def _color_of(word: str) -> str | None:
    return next((color for color, words in COLORS.items() if word in words), None)
