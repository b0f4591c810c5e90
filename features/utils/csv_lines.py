"""Lines of CSV files that every reader reads back as the same rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any

END = "\r\n"


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    r"""Yield each row as CSV that ends with a line feed. None is empty, and other values are written as text.

    Values with a carriage return or a line feed are quoted, because readers begin a row at either one.

    Parameters
    ----------
    rows : the values of each row; the first one is usually the names of the columns.

    Example
    -------
    >>> list(csv_lines([["name", "seats"], ["Acme\rLtd", 5]]))
    ['name,seats\n', '"Acme\rLtd",5\n']
    """
    # The writer quotes only the characters of its own ends of lines, so these must have both.
    writer = csv.writer(_Line(), lineterminator=END)
    for row in rows:
        yield f"{writer.writerow(list(row)).removesuffix(END)}\n"


class _Line:
    """A file that returns each written line to the caller of the writer."""

    def write(self, line: str) -> str:
        return line
