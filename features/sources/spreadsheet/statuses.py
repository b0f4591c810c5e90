"""Reading the status of an account: customer, former customer, or not a customer yet."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from features.sources.spreadsheet.values import Column, is_missing, read_date
from features.sources.spreadsheet.vocabulary import folded, words
from features.sources.spreadsheet.workbook import Cell

Status: TypeAlias = Literal["customer", "notice", "former", "possible", "other"]
_WORDS: dict[str, list[str]] = words()["status"]
_MONTHS = {calendar.month_abbr[i].lower(): i for i in range(1, 13)}
_DAY = re.compile(r"(?<![\d/.-])(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}([/.-])\d{1,2}\1\d{4})(?![\d/.-])")
_YEAR_MONTH = re.compile(r"(?<![\d/.-])(20\d{2})[-/.](\d{1,2})(?![\d/.-])")
_MONTH_YEAR = re.compile(r"(?<![\d/.-])(\d{1,2})[-/.](20\d{2})(?![\d/.-])")
_NAME_YEAR = re.compile(r"\b([a-z]{3})[a-z]*\.?[ '-]+(20\d{2})\b")


@dataclass(frozen=True)
class Statuses:
    """The statuses of a column.

    Parameters
    ----------
    column : ``customer``, ``former`` or ``possible`` in each row.
    ends : from when a customer has left that gives a date with its status; None for the others.
    notices : whether a customer gave notice, according to its status.
    others : the indices of the statuses that are not understood.
    """

    column: Column
    ends: list[datetime | None]
    notices: list[bool]
    others: tuple[int, ...]


def read_status(cell: Cell) -> Status | None:
    """Return whether a status is that of a customer, or of one that gave notice.

    ``other`` if it is not understood, None for no text.

    Examples
    --------
    >>> [read_status(text) for text in ("Active", "Churned (Q3)", "Closed lost", "FREE_TRIAL", "Churn risk", "Banana")]
    ['customer', 'former', 'former', 'possible', 'customer', 'other']
    """
    text = " ".join(re.sub(r"[^\w-]+|_", " ", folded(cell)).split()) if isinstance(cell, str) else ""
    if not any(map(str.isalnum, text)):
        return None
    if text in _WORDS["former"]:
        return "former"
    if text in _WORDS["possible"]:
        return "possible"
    spaced = f" {re.sub('[- ]+', ' ', text)} "
    if any(spaced.startswith(f" {word} ") for word in _WORDS["notice"]):
        return "notice"
    customer = _has(spaced, "customer")
    if _has(spaced, "ended"):
        if _has(spaced, "not_ended"):
            return "customer" if customer and not _has(spaced, "negated") else "other"
        begins = any(spaced.startswith(f" {word} ") for word in _WORDS["ended"])
        return "former" if begins or not _has(spaced, "running") else "other"
    if any(spaced.startswith(f" {word} ") for word in _WORDS["begins_possible"]):
        return "other" if customer else "possible"
    return "customer" if customer else "other"


def _has(spaced: str, kind: str) -> bool:
    return any(f" {word} " in spaced for word in _WORDS[kind])


def read_statuses(cells: Sequence[Cell]) -> Statuses:
    """Read a column of statuses; those that are not understood count as customers, and are noted."""
    found = [None if is_missing(cell) else read_status(cell) for cell in cells]
    ends = [
        _end(cell) if status in ("former", "notice") and isinstance(cell, str) else None
        for cell, status in zip(cells, found, strict=True)
    ]
    lost = tuple(
        i for i, (cell, status) in enumerate(zip(cells, found, strict=True)) if status is None and not is_missing(cell)
    )
    kept = [
        "customer" if status in ("other", "notice") or end is not None else status
        for status, end in zip(found, ends, strict=True)
    ]
    notices = [status == "notice" or end is not None for status, end in zip(found, ends, strict=True)]
    return Statuses(Column(kept, lost), ends, notices, tuple(i for i, status in enumerate(found) if status == "other"))


def _end(text: str) -> datetime | None:
    """Return the instant by which a status with a date has ended: the end of its month, or its day."""
    text = text.casefold()
    if found := _DAY.search(text):
        days = [day for first in (True, False) if (day := read_date(found[0], first)) is not None]
        return max(days, default=None)
    if found := _YEAR_MONTH.search(text):
        return _after_month(int(found[1]), int(found[2]))
    if found := _MONTH_YEAR.search(text):
        return _after_month(int(found[2]), int(found[1]))
    if found := _NAME_YEAR.search(text):
        return _after_month(int(found[2]), _MONTHS.get(found[1], 0))
    return None


def _after_month(year: int, month: int) -> datetime | None:
    if not 1 <= month <= 12:
        return None
    return datetime(year + month // 12, month % 12 + 1, 1)
