"""Recognition of a sheet's columns, by name and by content."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from features.errors import SignalsError
from features.sources.spreadsheet import amounts, values
from features.sources.spreadsheet.currencies import sheet_currency
from features.sources.spreadsheet.layout import KEYS, Table
from features.sources.spreadsheet.number_formats import PERCENT
from features.sources.spreadsheet.people import read_people
from features.sources.spreadsheet.statuses import read_statuses
from features.sources.spreadsheet.values import Column
from features.sources.spreadsheet.vocabulary import Field, field_of, fields, in_thousands
from features.sources.spreadsheet.workbook import Cell, FormattedNumber
from features.utils.formatting import count_of, verb_for

MIN_READABLE = 0.6
"""A column is what its name says only if at least this share of its values can be read."""
MAX_OUTSIDE = 0.2
"""A column with a larger share of values out of its range has another meaning than its name says."""
MAX_SHOWN = 5
RISK = re.compile(r"\b(?:risk|risque|riesgo)\b|risiko", re.IGNORECASE)
"""Headers of columns in which high is bad."""


@dataclass(frozen=True)
class Recognized:
    """A sheet whose columns are known.

    Parameters
    ----------
    table : the sheet.
    columns : the values by field, and by feature for columns that are named after one.
    headers : the header of each of these.
    notes : how columns are read, and which are not used.
    currency : the codes that the currency of its amounts may have; empty if it is unknown.
    day_first : whether its dates are mostly written with the day first.
    """

    table: Table
    columns: dict[str, Column]
    headers: dict[str, str]
    notes: list[str] = field(default_factory=list)
    currency: frozenset[str] = frozenset()
    day_first: bool = False

    @property
    def cells(self) -> int:
        """The number of cells in its rows."""
        return len(self.table.rows) * len(self.table.header)

    def values(self, name: str) -> list[Any]:
        """Return the values of a field; all None if the sheet does not have it."""
        return self.columns[name].values if name in self.columns else [None] * len(self.table.rows)

    def only(self, rows: Sequence[int]) -> Recognized:
        """Return the sheet with some of its rows."""
        table = replace(
            self.table, rows=[self.table.rows[i] for i in rows], positions=[self.table.positions[i] for i in rows]
        )
        columns = {name: Column([column.values[i] for i in rows]) for name, column in self.columns.items()}
        return replace(self, table=table, columns=columns)


def recognize(table: Table, features: Sequence[str] = (), dates: str = "") -> Recognized:
    """Recognize the columns of a sheet.

    Parameters
    ----------
    table : the sheet.
    features : the names of all features; a column may also be named after one.
    dates : ``day-first`` or ``month-first``; empty to decide from the values.

    Raises
    ------
    SignalsError
        If there is no account, the dates of a column contradict each other, or amounts are in several currencies or
        in another one than the base currency.
    """
    assigned, notes = _assigned(table, frozenset(features))
    currency = sheet_currency(table, assigned)
    order = _date_order(table, assigned, dates)
    columns: dict[str, Column] = {}
    reads: list[str] = []
    unusable: list[str] = []
    for name, index in assigned.items():
        about = fields().get(name) or Field(name, "number", "", (), feature=name)
        header = table.header[index]
        if about.unused:
            unusable.append(f"{header!r} ({about.unused})")
            continue
        column = _read(about, header, table.column(index), order)
        column, outside = _within_range(about, column)
        why = _misfit(about, column, outside)
        if why:
            unusable.append(f"{header!r} ({why})")
            continue
        columns[name] = column
        reads.append(_reading(about, header, column))
        notes += [f"{header!r}: {note}" for note in column.notes]
        if column.unreadable:
            notes.append(unknown_note(table, header, column.unreadable, "cannot be read"))
        if outside:
            notes.append(unknown_note(table, header, outside, f"not {_range_of(about)}"))
    derived = _derived(table, assigned, columns, notes)
    if not any(key in columns for key in KEYS):
        raise SignalsError(
            f"{table.place} has no column with the account",
            "a column named Account, Customer or Company, or Account ID",
            "name the column with the accounts Account",
        )
    notes.insert(0, "columns read as: " + "; ".join(reads))
    if "nps" in columns and "nps_at" not in columns:
        notes.append(
            f"{table.header[assigned['nps']]!r}: the answers count as recent, because no column has their date"
        )
    if unusable:
        notes.append("columns not used: " + "; ".join(unusable))
    headers = derived | {name: table.header[assigned[name]] for name in columns if name in assigned}
    return Recognized(table, columns, headers, notes, currency, _mostly_day_first(table, assigned, order))


def _assigned(table: Table, features: frozenset[str]) -> tuple[dict[str, int], list[str]]:
    """Return the column of each field; of several columns with the same meaning, the one with the usual name."""
    chosen: dict[str, tuple[bool, int]] = {}
    unknown: list[str] = []
    others: list[str] = []
    for i, header in enumerate(table.header):
        if header.strip() in features:
            chosen[header.strip()] = (True, i)
            continue
        match = field_of(header) if header else None
        if match is None:
            if header:
                unknown.append(repr(header[:60]))
            continue
        name, exact = _by_content(match[0], table.column(i)), match[1]
        if name in chosen:
            keep = chosen[name] if chosen[name][0] or not exact or _empty(table, i) else (exact, i)
            others.append(repr(table.header[i if keep is chosen[name] else chosen[name][1]]))
            chosen[name] = keep
        else:
            chosen[name] = (exact, i)
    notes = []
    if others:
        notes.append(f"columns with the same meaning as another one are not used: {', '.join(others)}")
    if unknown:
        notes.append(
            f"columns that are not recognized: {', '.join(unknown)}; to use one, give it a name from the guide about "
            "spreadsheets, or the name of a feature (`renewcast features`)"
        )
    return {name: i for name, (_, i) in chosen.items()}, notes


def _empty(table: Table, index: int) -> bool:
    return all(values.is_missing(cell) for cell in table.column(index))


def _by_content(name: str, cells: Sequence[Cell]) -> str:
    """Return the field that a column is, where names have several meanings."""
    given = [cell for cell in cells if not values.is_missing(cell)]
    if name == "renewal_at" and given and all(values.read_flag(cell) is not None for cell in given):
        return "auto_renew"
    if name == "nps" and given and all(isinstance(cell, datetime) for cell in given):
        return "nps_at"
    if name == "last_login" and _mostly(given, _is_small_number):
        return "days_since_login"
    if name == "active_users" and _mostly(given, lambda cell: isinstance(cell, str) and cell.endswith("%")):
        return "seats_used_share"
    if name == "notice_given" and _mostly(given, lambda cell: values.read_flag(cell) is None):
        return "notice_at"
    return name


def _mostly(cells: Sequence[Cell], test: Callable[[Cell], bool]) -> bool:
    return bool(cells) and sum(map(test, cells)) > len(cells) / 2


def _is_small_number(cell: Cell) -> bool:
    number = amounts.read_number(cell, comma=False)
    return number is not None and 0 <= number < 20_000


def _date_order(table: Table, assigned: dict[str, int], stated: str) -> dict[str, tuple[bool, str]]:
    """Return, by field, whether dates are day first, and how that was decided.

    Raises
    ------
    SignalsError
        If the values of one column contradict each other.
    """
    orders = {n: values.date_order(table.column(i)) for n, i in assigned.items() if _is_date_field(n)}
    for name, order in orders.items():
        if order.day_first and order.month_first and not stated:
            rows = [table.positions[order.day_first[0]], table.positions[order.month_first[0]]]
            raise SignalsError(
                f"{table.place}: the dates in {table.header[assigned[name]]!r} are day first in row {rows[0]} and "
                f"month first in row {rows[1]}",
                "one order of day and month in a column",
                "correct the dates, or write them as 2026-09-30",
            )
    days = sum(len(order.day_first) for order in orders.values())
    months = sum(len(order.month_first) for order in orders.values())
    result = {}
    for name, order in orders.items():
        if stated:
            result[name] = (stated == "day-first", "as stated")
        elif order.day_first or order.month_first:
            result[name] = (bool(order.day_first), "shown by its values")
        elif days or months:
            result[name] = (days > months, "as in the other columns")
        else:
            result[name] = (_writes_day_first(table, assigned), "an assumption")
        first, why = result[name]
        result[name] = (first, f"{'day' if first else 'month'} first, {why}" if order.either else "")
        if order.either and why == "an assumption":
            other = "month" if first else "day"
            result[name] = (
                first,
                f"{result[name][1]}; add ?dates={other}-first to the address to read it the other way",
            )
    return result


def _is_date_field(name: str) -> bool:
    return name in fields() and fields()[name].kind == "date"


def _writes_day_first(table: Table, assigned: dict[str, int]) -> bool:
    """Return whether a sheet seems to be from a country that writes the day first.

    Its dates have points, or its amounts a decimal comma or another sign than that of the dollar.
    """
    dates = [cell for name, i in assigned.items() if _is_date_field(name) for cell in table.column(i)]
    if any(map(values.has_points, dates)):
        return True
    money = [cell for name in ("arr", "mrr") if name in assigned for cell in table.column(assigned[name])]
    return amounts.decimal_comma(money) or bool(amounts.currencies(money) & {"EUR", "GBP", "CHF", "INR", "BRL"})


def _read(about: Field, header: str, cells: Sequence[Cell], order: dict[str, tuple[bool, str]]) -> Column:
    kind = about.kind
    if kind == "date":
        first, says = order[about.name]
        return values.read_each(cells, lambda cell: values.read_date(cell, first), says)
    if kind == "flag":
        return values.read_each(cells, values.read_flag)
    if kind == "flag_or_name":
        return read_people(cells)[0]
    if kind == "status":
        return read_statuses(cells).column
    if kind == "color":
        read = values.read_risk if RISK.search(header) else values.read_color
        return values.read_each(cells, read)
    if kind == "text":
        return values.read_each(cells, values.text_of)
    return _read_numbers(about, header, cells)


def _read_numbers(about: Field, header: str, cells: Sequence[Cell]) -> Column:
    kind = about.kind
    given = [None if values.is_missing(cell) else cell for cell in cells]
    found = amounts.read_numbers(given, kind in ("money", "count", "flag_or_amount") and not in_thousands(header))
    lost = tuple(
        i for i, (cell, v) in enumerate(zip(given, found.values, strict=True)) if v is None and cell is not None
    )
    column = Column(found.values, lost, found.decision, tuple(found.notes))
    if kind == "flag_or_amount":
        more = [
            _more_than_zero(None if cell is None else values.read_flag(cell), amount)
            for cell, amount in zip(given, found.values, strict=True)
        ]
        lost = tuple(i for i, (cell, v) in enumerate(zip(given, more, strict=True)) if v is None and cell is not None)
        return Column(more, lost, notes=tuple(found.notes))
    if kind == "money":
        return _money(about, header, cells, column)
    return _shares(kind, header, cells, column) if kind in ("share", "change") else column


def _shares(kind: str, header: str, cells: Sequence[Cell], column: Column) -> Column:
    """Return shares, or changes as factors.

    A number with a percent sign is read by itself. The others are all in percent or all shares. If one of them is
    more than 1, or 2 under a header without a percent sign, they are in percent, and fractions next to it are unknown.
    """
    limit = 1.0 if "%" in header else 2.0
    divisors = [_divisor(cell) for cell in cells]
    bare = {i: v for i, v in enumerate(column.values) if v is not None and divisors[i] is None}
    percent = any(abs(v) > limit for v in bare.values())
    unclear = {i for i, v in bare.items() if percent and 0 < abs(v) < 1}
    scaled = [
        None if v is None or i in unclear else v / (divisors[i] or (100 if percent else 1)) + (kind == "change")
        for i, v in enumerate(column.values)
    ]
    decision = "in percent" if percent or any(divisors) else "as a share"
    return replace(column, values=scaled, unreadable=tuple(sorted({*column.unreadable, *unclear})), decision=decision)


def _divisor(cell: Cell) -> int | None:
    """Return what a number with a percent sign is divided by; None for a number without one."""
    if isinstance(cell, FormattedNumber) and cell.mark == PERCENT:
        return 1
    return 100 if isinstance(cell, str) and "%" in cell else None


def _money(about: Field, header: str, cells: Sequence[Cell], column: Column) -> Column:
    """Return amounts per year, or per month for MRR, in units; a period that a cell names goes before the header's."""
    usual = "month" if about.name == "mrr" else "year"
    periods = [amounts.period_of(cell) or usual for cell in cells]
    factors = [amounts.PER_YEAR[period] / amounts.PER_YEAR[usual] for period in periods]
    scale = 1000 if in_thousands(header) else 1
    own = [scale > 1 and amounts.has_own_scale(cell) for cell in cells]
    scaled = [
        None if v is None else v * factor * (1 if stated else scale)
        for v, factor, stated in zip(column.values, factors, own, strict=True)
    ]
    notes = [
        f"{count} {verb_for(count)} per {period}, and times {amounts.PER_YEAR[period]} a year"
        for period in amounts.PER_YEAR
        if period != usual
        and (count := sum(p == period and v is not None for p, v in zip(periods, scaled, strict=True)))
    ]
    if count := sum(own):
        notes.append(f"{count} {verb_for(count, 'states its', 'state their')} own unit, such as k, which counts alone")
    decision = ", ".join(filter(None, (column.decision, "in thousands" if scale > 1 else "")))
    return replace(column, values=scaled, decision=decision, notes=(*column.notes, *notes))


def _derived(table: Table, assigned: dict[str, int], columns: dict[str, Column], notes: list[str]) -> dict[str, str]:
    """Add columns that follow from others where the sheet does not have them, and return their headers.

    A champion or sponsor who left is no champion, and also one who left. A status with a date is an end at this date.
    """
    headers: dict[str, str] = {}
    for name, lost in (("champion", "champion_left"), ("sponsor", "sponsor_left")):
        if name in columns and lost not in columns:
            left = read_people(table.column(assigned[name]))[1]
            if 1.0 in left.values:
                columns[lost], headers[lost] = left, table.header[assigned[name]]
                notes.append(f"{headers[lost]!r}: those who left count as having left within the last quarter")
    if "status" in columns:
        header, found = table.header[assigned["status"]], read_statuses(table.column(assigned["status"]))
        notices = [1.0 if notice else None for notice in found.notices]
        for name, given in (("churned_at", found.ends), ("notice_given", notices)):
            if any(value is not None for value in given):
                own = columns[name].values if name in columns else [None] * len(given)
                columns[name] = Column([new if old is None else old for old, new in zip(own, given, strict=True)])
                headers.setdefault(name, header)
        if count := sum(end is not None for end in found.ends):
            notes.append(
                f"{header!r}: {count} {'has a date, which is' if count == 1 else 'have dates, which are'} when the "
                "account leaves; until then it is a customer that gave notice"
            )
        if found.others:
            n = len(found.others)
            notes.append(
                f"{header!r}: {n} {'status' if n == 1 else 'statuses'} not understood, kept as customers "
                f"({_rows_of(table, found.others)})"
            )
    return headers


def _mostly_day_first(table: Table, assigned: dict[str, int], order: dict[str, tuple[bool, str]]) -> bool:
    firsts = [first for first, _ in order.values()]
    return sum(firsts) * 2 > len(firsts) if firsts else _writes_day_first(table, assigned)


def _more_than_zero(flag: float | None, amount: float | None) -> float | None:
    return flag if flag is not None else None if amount is None else float(amount > 0)


def _misfit(about: Field, column: Column, outside: Sequence[int]) -> str:
    """Return why a column is not what its name says; empty if it is. ``outside`` are the values out of its range."""
    present = len(column.present)
    if not present + len(column.unreadable) + len(outside):
        return "it is empty"
    read = present + len(outside)
    if read < MIN_READABLE * (read + len(column.unreadable)) and about.name not in ("arr", "mrr", "health"):
        return f"most of its values cannot be read as {about.about}"
    if len(outside) > max(1, MAX_OUTSIDE * read) or (outside and not present):
        return f"{len(outside)} of its {count_of(read, 'value')} {verb_for(len(outside))} not {_range_of(about)}"
    return ""


def _within_range(about: Field, column: Column) -> tuple[Column, tuple[int, ...]]:
    """Return a column without the values that are out of the range of its field, and the indices of these."""
    low = 0.0 if about.kind == "count" and about.minimum is None else about.minimum
    outside = tuple(
        i
        for i, v in enumerate(column.values)
        if isinstance(v, float) and ((low is not None and v < low) or (about.maximum is not None and v > about.maximum))
    )
    return column.without(outside), outside


def _range_of(about: Field) -> str:
    low = 0 if about.minimum is None else about.minimum
    return f"{low:g} to {about.maximum:g}" if about.maximum is not None else f"{low:g} or more"


def _reading(about: Field, header: str, column: Column) -> str:
    details = "; ".join(filter(None, (about.reads, column.decision)))
    about_words = about.about or f"the feature {about.name}"
    return f"{header!r} = {about_words}" + (f" ({details})" if details else "")


def unknown_note(table: Table, header: str, indices: Sequence[int], why: str) -> str:
    """Return a note on values that count as unknown, with their rows."""
    noun, verb = ("value", "is") if len(indices) == 1 else ("values", "are")
    why = why if why.startswith("cannot") else f"{verb} {why}"
    return f"{header!r}: {len(indices)} {noun} {why} and {verb} unknown ({_rows_of(table, indices)})"


def _rows_of(table: Table, indices: Sequence[int]) -> str:
    return listed_rows([table.positions[i] for i in indices])


def listed_rows(positions: Sequence[int]) -> str:
    """Return the numbers of rows as text: "rows 2, 4"; at most `MAX_SHOWN` of them."""
    shown = ", ".join(map(str, positions[:MAX_SHOWN])) + (", …" if len(positions) > MAX_SHOWN else "")
    return f"{'row' if len(positions) == 1 else 'rows'} {shown}"
