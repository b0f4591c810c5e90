"""Columns of the in-memory engine: NumPy arrays with a mask of known values, and texts as codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.utils.arrays import Bools, Ints, Objects

Values = npt.NDArray[Any]
HASH_ROWS = 2000
"""Number of rows from which hashing is faster than sorting."""
CODES_LIMIT = 2**62


class UnsupportedError(Exception):
    """This engine cannot evaluate an expression, or not with these values. The embedded engine can."""


@dataclass(slots=True)
class Column:
    """The values of a column. A column of length 1 stands for the same value in every row.

    Parameters
    ----------
    values : numbers, booleans, instants in microseconds since 1970, or positions in ``words``; anything where unknown.
    valid : which values are known; None if all are.
    words : the distinct texts of a column of texts; None for other types.
    """

    values: Values
    valid: Bools | None = None
    words: Objects | None = None

    def __post_init__(self) -> None:
        # A value that is the same in every row, such as an unknown one, meets one of each row, or of none.
        if self.valid is not None and len(self.valid) != len(self.values):
            self.values, self.valid = np.broadcast_arrays(self.values, self.valid)

    def take(self, rows: Ints | None) -> Column:
        """Return some rows; None for all."""
        if rows is None or len(self.values) == 1:
            return self
        return Column(self.values[rows], None if self.valid is None else self.valid[rows], self.words)

    def known(self) -> Bools:
        """Return which values are known."""
        return np.ones(len(self.values), dtype=np.bool_) if self.valid is None else self.valid

    def full(self, rows: int) -> Column:
        """Return the column with one value for each row."""
        if len(self.values) == rows:
            return self
        valid = None if self.valid is None else np.broadcast_to(self.valid, rows)
        return Column(np.broadcast_to(self.values, rows), valid, self.words)

    def true(self) -> Bools:
        """Return where a boolean is known and true."""
        values: Bools = self.values if self.valid is None else self.values & self.valid
        return values


@dataclass(frozen=True, slots=True)
class Groups:
    """The group of each row, the first row of each group, and the number of groups."""

    codes: Ints
    firsts: Ints
    n: int


def column_of(array: pa.ChunkedArray | pa.Array) -> Column:
    """Return an Arrow column.

    Raises
    ------
    UnsupportedError
        If its type is none of the contract's.
    """
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    valid = array.is_valid().to_numpy(zero_copy_only=False) if array.null_count else None
    if pa.types.is_string(array.type):
        encoded = array.dictionary_encode()
        codes = encoded.indices if valid is None else encoded.indices.fill_null(0)
        words = encoded.dictionary.to_numpy(zero_copy_only=False)
        return Column(codes.to_numpy().astype(np.int64), valid, words if len(words) else np.array([""], dtype=object))
    if pa.types.is_timestamp(array.type) and array.type == pa.timestamp("us"):
        array = array.view(pa.int64()) if valid is None else pc.fill_null(array.view(pa.int64()), 0)
    elif pa.types.is_boolean(array.type):
        array = array if valid is None else pc.fill_null(array, False)
    elif array.type in (pa.int64(), pa.float64()):
        array = array if valid is None else pc.fill_null(array, 0)
    else:
        raise UnsupportedError(str(array.type))
    return Column(array.to_numpy(zero_copy_only=False), valid)


def arrow_of(column: Column, rows: int, kind: pa.DataType) -> pa.Array:
    """Return a column as an Arrow array of type ``kind``."""
    column = column.full(rows)
    mask = None if column.valid is None else ~column.valid
    if column.words is not None:
        codes = pa.array(column.values.astype(np.int32), mask=mask)
        return pa.DictionaryArray.from_arrays(codes, pa.array(column.words, pa.string())).dictionary_decode()
    if pa.types.is_timestamp(kind):
        return pa.array(column.values, pa.int64(), mask=mask).view(kind)
    if pa.types.is_string(kind):
        # A text that is unknown in every row has no words.
        return pa.nulls(rows, kind)
    return pa.array(column.values, kind, mask=mask)


def same_words(columns: Sequence[Column]) -> list[Column]:
    """Return columns of texts with common words, so that equal texts have equal codes."""
    first = next((c.words for c in columns if c.words is not None), None)
    if first is None or all(c.words is first or c.words is None for c in columns):
        return [Column(c.values, c.valid, first) for c in columns]
    place: dict[str, int] = {}
    recoded = []
    for c in columns:
        if c.words is None:
            recoded.append(c)
        else:
            codes = np.array([place.setdefault(word, len(place)) for word in c.words], dtype=np.int64)
            recoded.append(Column(codes[c.values], c.valid))
    words = np.array(list(place), dtype=object)
    return [Column(c.values, c.valid, words) for c in recoded]


def codes_of(column: Column) -> tuple[Ints, int]:
    """Return a code of each value, 0 where it is unknown, and the number of codes."""
    values = column.values
    if column.words is not None:
        codes, n = values.astype(np.int64), len(column.words)
    elif values.dtype == np.bool_:
        codes, n = values.astype(np.int64), 2
    else:
        # Adding zero removes the sign of a negative zero.
        values = values + 0.0 if values.dtype.kind == "f" else values
        if len(values) < HASH_ROWS:
            distinct, codes = np.unique(values, return_inverse=True)
        else:
            codes, distinct = pd.factorize(values)
        n = len(distinct)
    codes = codes + 1
    return codes if column.valid is None else np.where(column.valid, codes, 0), n + 1


def pair_codes(columns: Sequence[Column], rows: int) -> tuple[Ints, int]:
    """Return a code of each row's combination of values, and an upper bound of the codes."""
    code, size = np.zeros(rows, dtype=np.int64), 1
    for column in columns:
        if len(column.values) == 1 and rows != 1:
            continue
        codes, n = codes_of(column)
        if size * n > CODES_LIMIT:
            distinct, code = np.unique(code, return_inverse=True)
            size = len(distinct)
        code, size = code * n + codes, size * n
    return code, size


def groups_of(columns: Sequence[Column], rows: int) -> Groups:
    """Group rows by their values; unknown values are equal."""
    code, _ = pair_codes(columns, rows)
    if rows < HASH_ROWS:
        distinct, firsts, codes = np.unique(code, return_index=True, return_inverse=True)
        return Groups(codes, firsts, len(distinct))
    codes, distinct = pd.factorize(code)
    firsts = np.zeros(len(distinct), dtype=np.int64)
    firsts[codes[::-1]] = np.arange(rows - 1, -1, -1)
    return Groups(codes, firsts, len(distinct))


def rank_of(column: Column) -> tuple[Values, Bools]:
    """Return values that sort as the column does, and which are known."""
    if column.words is None:
        return column.values, column.known()
    order = np.empty(len(column.words), dtype=np.int64)
    order[np.argsort(column.words, kind="stable")] = np.arange(len(column.words))
    return order[column.values], column.known()
