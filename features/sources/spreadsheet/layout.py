"""The layout of a sheet: where its header is, which rows are accounts, and which are totals or notes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from features.errors import SignalsError
from features.sources.spreadsheet.amounts import read_number, read_numbers
from features.sources.spreadsheet.values import date_order, is_missing, read_date
from features.sources.spreadsheet.vocabulary import field_of
from features.sources.spreadsheet.workbook import Cell, Sheet
from features.utils.formatting import count_of, verb_for

HEADER_ROWS = 40
"""The header is among this many first rows."""
MIN_RECOGNIZED = 2
"""Columns that a header must have recognized."""
KEYS = ("account_id", "name")
MAX_SHOWN = 5
_TOTAL = re.compile(
    r"^(grand |sub[ -]?|sous-|overall )?(totals?|totaux|sum|average|avg|mean|median|count|max|min|gesamt(summe)?"
    r"|(zwischen|teil|end)?summe|übertrag|uebertrag|insgesamt|mittelwert|durchschnitt|somme|à reporter|moyenne"
    r"|suma( parcial)?|suma y sigue|promedio)\b|\btotals?:?$"
    r"|^\(?\d[\d,.]* (active |paying )?"
    r"(accounts?|customers?|clients?|kunden?|clientes?|company|companies|organi[sz]ations?|logos?|rows?|records?)\)?:?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Table:
    """The header and the rows of accounts of a sheet.

    Parameters
    ----------
    place : the file and the sheet, for messages.
    header : the header's texts, in order; empty for a column without one.
    rows : the rows, each as long as the header.
    positions : the number of each row in the sheet, from 1.
    notes : what was left out.
    titles : the rows above the header.
    """

    place: str
    header: tuple[str, ...]
    rows: list[list[Cell]]
    positions: list[int]
    notes: list[str] = field(default_factory=list)
    titles: tuple[tuple[Cell, ...], ...] = ()

    def column(self, index: int) -> list[Cell]:
        """Return the cells of one column."""
        return [row[index] for row in self.rows]


def find_table(sheets: Sequence[Sheet]) -> Table:
    """Find the table of accounts in the first sheet that has a header.

    Raises
    ------
    SignalsError
        If no sheet has a header with an account, or no row.
    """
    for sheet in sheets:
        start = _header_row(sheet)
        if start is not None:
            return _table(sheet, start)
    raise SignalsError(
        f"{sheets[0].place if len(sheets) == 1 else 'the workbook'} has no header row that is recognized",
        f"a row among the first {HEADER_ROWS} with the names of the columns, such as Account, ARR and Renewal date",
        "name the column with the accounts Account, and the others as in the guide about spreadsheets",
    )


def _header_row(sheet: Sheet) -> int | None:
    """Return the index of the row with the most recognized names, one of which is the account."""
    best, best_count = None, MIN_RECOGNIZED - 1
    for i, row in enumerate(sheet.rows[:HEADER_ROWS]):
        texts = [cell for cell in row if isinstance(cell, str)]
        names = {found[0] for cell in texts if (found := field_of(cell)) is not None}
        if len(names) > best_count and names & {*KEYS}:
            best, best_count = i, len(names)
    return best


def _table(sheet: Sheet, start: int) -> Table:
    filled = _with_merged(sheet, start)
    header = [" ".join(str(cell).split()) if cell is not None else "" for cell in filled[start]]
    while header and not header[-1]:
        header.pop()
    width, notes = len(header), []
    if start:
        notes.append(
            f"the header is in row {start + 1}; {count_of(start, 'row')} above it {verb_for(start, 'was', 'were')} "
            "left out"
        )
    rows: list[list[Cell]] = []
    positions: list[int] = []
    for i, row in enumerate(filled[start + 1 :], start + 2):
        cells = [*row[:width], *[None] * (width - len(row))]
        if any(cell is not None for cell in cells):
            rows.append(cells)
            positions.append(i)
    keys = [i for i, text in enumerate(header) if (found := field_of(text)) is not None and found[0] in KEYS]
    kinds = [_kind_of_row(header, row, keys) for row in rows]
    for i in _sums(header, rows, kinds, keys):
        kinds[i] = "sum"
    _require_accounts(sheet, kinds, positions)
    dropped = Counter(kind for kind in kinds if kind)
    says = {
        "total": "with totals",
        "sum": "with the sum of the amounts above",
        "header": "that repeat the header",
        "text": "with a single text",
        "keyless": "without an account",
    }
    notes += [
        f"{count_of(n, 'row')} {says[kind]} {verb_for(n, 'was', 'were')} left out"
        for kind, n in sorted(dropped.items())
    ]
    chosen = [i for i, kind in enumerate(kinds) if not kind]
    notes += _outside_header(sheet.place, filled, start, [positions[i] for i in chosen])
    if not chosen:
        raise SignalsError(f"{sheet.place} has a header but no account", "one row per account", "check the file")
    return Table(
        sheet.place,
        tuple(header),
        [rows[i] for i in chosen],
        [positions[i] for i in chosen],
        notes,
        tuple(map(tuple, sheet.rows[:start])),
    )


def _outside_header(place: str, rows: Sequence[Sequence[Cell]], start: int, positions: Sequence[int]) -> list[str]:
    """Return a note about columns with values but without a name.

    Raises
    ------
    SignalsError
        If a row has more values than the header, so that its values may not be those of their columns.
    """
    header, unnamed = rows[start], set()
    long: list[str] = []
    for position in positions:
        filled = [i for i, cell in enumerate(rows[position - 1]) if cell is not None]
        if filled[-1] >= len(header):
            long.append(f"row {position} has {filled[-1] + 1} values")
        unnamed |= {i for i in filled if i < len(header) and header[i] is None}
    if long:
        rest = (
            f" (and {len(long) - MAX_SHOWN:,} more {'row' if len(long) == MAX_SHOWN + 1 else 'rows'})"
            if len(long) > MAX_SHOWN
            else ""
        )
        raise SignalsError(
            f"{place}: {', '.join(long[:MAX_SHOWN])}{rest} but the header has {len(header)}",
            "at most as many values in a row as in the header",
            "export it again; values that contain the delimiter must be quoted",
        )
    count = len(unnamed)
    columns = "1 column without a name has" if count == 1 else f"{count:,} columns without a name have"
    return [f"{columns} values, which are not used"] if count else []


def _kind_of_row(header: Sequence[str], row: Sequence[Cell], keys: Sequence[int]) -> str:
    """Return why a row is not an account; empty if it is one."""
    texts = [cell for cell in row if isinstance(cell, str)]
    present = [cell for cell in row if cell is not None]
    if sum(cell == name for cell, name in zip(row, header, strict=True) if name) > max(len(present) // 2, 1):
        return "header"
    account = [row[i] for i in keys if row[i] is not None]
    label = next((text for text in texts), "")
    # An account may be called Total, but a row of totals has no date.
    if label and _TOTAL.search(label) and (not account or label in account) and not any(_is_date(cell) for cell in row):
        return "total"
    if account:
        return "" if len(present) > 1 or len(header) == 1 or not _is_sentence(present[0]) else "text"
    return "text" if len(present) == 1 and texts else "total" if not texts else "keyless"


def _sums(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], kinds: Sequence[str], keys: Sequence[int]
) -> list[int]:
    """Return the rows that have the sum of amounts above them, and no date or text that an account would have.

    The sum is that of all accounts above, or of those since the last total. Above the last row, it must also lack a
    value that all accounts above it have, because amounts of accounts may be sums by chance.
    """
    names = [found[0] if text and (found := field_of(text)) is not None else "" for text in header]
    column = next((names.index(name) for name in ("arr", "mrr") if name in names), None)
    if column is None:
        return []
    amounts = read_numbers([row[column] for row in rows], amounts=True).values
    accounts = [i for i, kind in enumerate(kinds) if not kind]
    sums: list[int] = []
    above, since = _Sum(), _Sum()
    filled = set(range(len(header)))
    for i, (row, kind) in enumerate(zip(rows, kinds, strict=True)):
        if kind:
            since = _Sum() if kind == "total" else since
            continue
        amount = amounts[i]
        bare = any(row[place] is None for place in filled)
        # With two accounts above, a third may have their sum by chance.
        enough = 2 if bare else 3
        if (
            (bare or i == accounts[-1])
            and any(each.count >= enough and each.is_(amount) for each in (above, since))
            and _is_only_amounts(names, row, keys)
        ):
            sums.append(i)
            since = _Sum()
            continue
        filled -= {place for place in filled if row[place] is None}
        if amount is not None:
            above, since = above.plus(amount), since.plus(amount)
    return sums


@dataclass(frozen=True)
class _Sum:
    total: float = 0.0
    count: int = 0

    def plus(self, amount: float) -> _Sum:
        return _Sum(self.total + amount, self.count + 1)

    def is_(self, amount: float | None) -> bool:
        return amount is not None and amount > 0 and abs(amount - self.total) < 0.005 * self.count


def _is_only_amounts(names: Sequence[str], row: Sequence[Cell], keys: Sequence[int]) -> bool:
    if any(name == "account_id" and row[i] is not None for i, name in enumerate(names)) and "name" in names:
        return False
    others = [cell for i, cell in enumerate(row) if i not in keys and not is_missing(cell)]
    return not any(_is_date(cell) or isinstance(cell, datetime) or _is_text(cell) for cell in others)


def _is_text(cell: Cell) -> bool:
    return isinstance(cell, str) and read_number(cell, comma=False) is None


def _is_date(cell: Cell) -> bool:
    if isinstance(cell, float):
        return False
    order = date_order([cell])
    return read_date(cell, bool(order.day_first)) is not None


def _is_sentence(cell: Cell) -> bool:
    """Return whether a text that is alone in its row is a note rather than an account."""
    return isinstance(cell, str) and (len(cell.split()) > 4 or cell.endswith((".", ":")))


def _require_accounts(sheet: Sheet, kinds: Sequence[str], positions: Sequence[int]) -> None:
    """Reject a sheet with rows that have values but no account, unless they are below the last account.

    Raises
    ------
    SignalsError
        If there are any.
    """
    last = max((i for i, kind in enumerate(kinds) if not kind), default=-1)
    lost = [positions[i] for i, kind in enumerate(kinds) if kind == "keyless" and i < last]
    if lost:
        shown = ", ".join(map(str, lost[:5])) + (", …" if len(lost) > 5 else "")
        have = verb_for(len(lost), "has", "have")
        raise SignalsError(
            f"{sheet.place}: {count_of(len(lost), 'row')} {have} values but no account (row {shown})",
            "an account in every row",
            "fill in the account (merged cells lose it when a sheet is saved as CSV), or remove the rows",
        )


def _with_merged(sheet: Sheet, start: int) -> list[list[Cell]]:
    """Return the rows in which a cell merged over several rows has its value in each of them."""
    rows = [list(row) for row in sheet.rows]
    for top, left, bottom, _ in sheet.merged:
        if start <= top < bottom < len(rows) and left < len(rows[top]):
            for i in range(top + 1, bottom + 1):
                if left < len(rows[i]) and rows[i][left] is None:
                    rows[i][left] = rows[top][left]
    return rows
