"""Read CSV files as defined by RFC 4180 into the embedded engine. Nothing is inferred from the values.

The quote is ``"``, doubled within quotes. There are no comments and no escape characters. A line ends with LF, CRLF or
CR, and empty lines are ignored. The encoding is UTF-8, with or without a byte order mark. The delimiter is the one of
comma, semicolon, tab and bar that is most frequent in the header line outside quotes.

PyArrow parses the files, because DuckDB's reader fails on mixed line ends and reads an empty line of a one-column file
as a row. The rows are also counted independently: a file is rejected if the number of rows differs from the number of
line ends outside quotes. If something is wrong, the file is read again, slowly, to find the row.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from features.contract.current_contract import current_tables
from features.errors import SignalsError
from features.sources.base import (
    check_column_names,
    contract_names,
    create_clause,
    hive_values,
    qualified_name,
)
from features.utils.sql_text import sql_identifier, sql_literal

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

DELIMITERS = (",", ";", "\t", "|")
SUFFIXES = (".csv", ".tsv")
BLOCK_BYTES = 8 * 2**20
"""Bytes parsed at a time, and the maximum length of a row."""
HEADER_LIMIT = 2**20
"""Maximum length of the header line in bytes."""
MAX_REPORTED_ROWS = 5
"""Maximum number of invalid rows in a message."""
_FAILURES = (duckdb.Error, pa.ArrowException, OSError, EOFError, zlib.error, ValueError)
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
RULES = 'CSV as defined by RFC 4180: values that contain quotation marks are quoted, and the marks doubled ("")'
_OTHER_FORMATS = {
    b"PK\3\4": ("an Excel workbook or another archive", "save it as CSV UTF-8"),
    b"\x1f\x8b": ("compressed more than its name says", "compress it once, and name it .csv.gz"),
    b"PAR1": ("a Parquet file", "name it .parquet"),
}
"""Leading bytes of files in other formats."""


@dataclass(frozen=True)
class Header:
    """The first line of a CSV file that is not empty.

    Parameters
    ----------
    delimiter : the separator between the names.
    names : the names as written, in order.
    blank_lines : the number of empty lines before it.
    """

    delimiter: str
    names: tuple[str, ...]
    blank_lines: int = 0


def read_header(file: Path) -> Header:
    """Read the header of a CSV file.

    Raises
    ------
    SignalsError
        If the file is empty, is not UTF-8, or has no readable first line.
    """
    try:
        with _open(file) as stream:
            start = stream.read(HEADER_LIMIT)
    except _FAILURES:
        raise _unreadable_error(file) from None
    _check_format(file, start)
    content = start.removeprefix(codecs.BOM_UTF8)
    text = content.lstrip(b"\r\n")
    if not text.strip():
        raise SignalsError(
            f"{file}: the file is empty", "a first line with the column names", "export it again, or remove the file"
        )
    blank = content[: len(content) - len(text)].replace(b"\r\n", b"\n")
    line = _first_record(text)
    try:
        decoded = line.decode()
    except UnicodeDecodeError:
        raise _encoding_error(file, "the header") from None
    delimiter = _delimiter(decoded)
    try:
        names = next(csv.reader(io.StringIO(decoded, newline=""), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        raise SignalsError(
            f"{file}: the header cannot be read",
            "column names, quoted if they contain quotation marks",
            "export it again",
        ) from None
    return Header(delimiter, tuple(names), len(blank))


def load_csv(
    connection: Backend, name: str, files: tuple[Path, ...], base: Path, table: str = "", schema: str = ""
) -> None:
    """Load CSV files into the table ``name``. Every column is text, and an empty value is null.

    Parameters
    ----------
    connection : the in-process DuckDB.
    name : the table to create.
    files : the files; columns are matched by name, ignoring case.
    base : Hive-style keys below this folder become columns.
    table : the contract's table in the files; its columns get the contract's spelling.
    schema : the schema of the new table; by default the table is temporary.

    Raises
    ------
    SignalsError
        If a file does not follow the format described in this module; the message has the file and the row, never a
        value.
    """
    headers = {file: read_header(file) for file in files}
    columns = {file: _columns(header, table, file) for file, header in headers.items()}
    united: dict[str, str] = {}
    for file in files:
        for column in (*columns[file], *hive_values(file.relative_to(base).parent)):
            united.setdefault(column.strip().lower(), column)
    names = contract_names(united.values(), table, str(base))
    shape = ", ".join(f"{sql_identifier(names[column])} VARCHAR" for column in united.values())
    connection.raw_sql(f"{create_clause('TABLE', name, schema)} ({shape})")
    for file in files:
        keys = hive_values(file.relative_to(base).parent)
        own = {names[united[c.strip().lower()]]: _column(i) for i, c in enumerate(columns[file])}
        own |= {names[united[key.strip().lower()]]: sql_literal(value) for key, value in keys.items()}
        into = f"{qualified_name(name, schema)} ({', '.join(map(sql_identifier, own))})"
        _append(connection, f"INSERT INTO {into} SELECT {', '.join(own.values())}", file, headers[file])


def count_rows(file: Path) -> int:
    """Count the data rows of a CSV file as `load_csv` does, for an engine that reads the file itself.

    Raises
    ------
    SignalsError
        If the file is not UTF-8, or has an unclosed quotation mark.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _open(file) as stream:
            counter = _RowCounter(stream)
            while chunk := counter.read(BLOCK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _encoding_error(file, f"row {_undecodable_row(file)}") from None
    except _FAILURES:
        raise _unreadable_error(file) from None
    if counter.within_quotes:
        raise _error(file, read_header(file))
    return max(counter.rows - 1, 0)


def _column(position: int) -> str:
    """Return the temporary name of a file's column while it is loaded."""
    return f"c{position}"


def _columns(header: Header, table: str, file: Path) -> list[str]:
    """Return unique column names: outside the contract, a repeated or missing name gets a number."""
    check_column_names(header.names, str(file))
    contract = current_tables()[table].names if table in current_tables() else ()
    columns: list[str] = []
    taken: Counter[str] = Counter()
    for position, written in enumerate(header.names, 1):
        name = written if written.strip() else _column_name(f"column{position}", header.names)
        key = name.strip().lower()
        taken[key] += 1
        if taken[key] > 1 and key in contract:
            spellings = dict.fromkeys(n.strip() for n in header.names if n.strip().lower() == key)
            raise SignalsError(
                f"{file}: the header has the column {key} more than once: {', '.join(spellings)}",
                "one column per name; names are not case-sensitive",
                "rename or remove one of them",
            )
        columns.append(name if taken[key] == 1 else _unique_name(name, header.names, columns))
    return columns


def _column_name(name: str, written: Iterable[str]) -> str:
    """Return a unique name for a column without a name."""
    return _unique_name(name, written, ()) if name in {other.strip().lower() for other in written} else name


def _unique_name(name: str, written: Iterable[str], columns: Iterable[str]) -> str:
    """Return ``name`` with the first number that makes it unique."""
    used = {other.strip().lower() for other in (*written, *columns)}
    return next(numbered for i in count(1) if (numbered := f"{name}_{i}").strip().lower() not in used)


def _append(connection: Backend, insert: str, file: Path, header: Header) -> None:
    """Append the rows of one file, and compare their number with the independent count."""
    types = {_column(i): pa.string() for i in range(len(header.names))}
    try:
        with _open(file) as stream:
            counter = _RowCounter(stream, header.delimiter)
            reader = pa_csv.open_csv(
                pa.PythonFile(counter, mode="r"),
                pa_csv.ReadOptions(
                    block_size=BLOCK_BYTES,
                    column_names=list(types),
                    skip_rows=header.blank_lines,
                    skip_rows_after_names=1,
                ),
                pa_csv.ParseOptions(
                    delimiter=header.delimiter,
                    quote_char='"',
                    double_quote=True,
                    escape_char=False,
                    newlines_in_values=True,
                    ignore_empty_lines=True,
                ),
                pa_csv.ConvertOptions(
                    column_types=types, strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=True
                ),
            )
            connection.con.register("csv_rows", reader)
            try:
                (rows,) = connection.con.execute(f"{insert} FROM csv_rows").fetchone() or (0,)
            finally:
                connection.con.unregister("csv_rows")
    except _FAILURES:
        # PyArrow's message contains the row.
        if _has_only_header(file, header):
            return
        raise _error(file, header) from None
    if rows != counter.rows - 1 or counter.within_quotes or counter.text_after_quotes:
        raise _error(file, header)


class _RowCounter(io.RawIOBase):
    """A stream that counts rows while it is read: line ends outside quotes, without empty lines.

    Parameters
    ----------
    stream : the stream to read.
    delimiter : if given, text after a closing quotation mark is also detected.
    """

    def __init__(self, stream: IO[bytes], delimiter: str = "") -> None:
        super().__init__()
        self._stream = stream
        self._boundaries = np.frombuffer(f'\n"{delimiter}'.encode(), dtype=np.uint8)
        self._check_quotes = bool(delimiter)
        self._last = ord("\n")
        self._opened_at_boundary = False
        self._just_closed = False
        self.text_after_quotes = False
        self._complete = 0
        self._quoted = False
        self._in_row = False
        self._cr = False
        self._first = True

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes unchanged."""
        chunk = self._stream.read(size)
        if chunk:
            self._count(chunk)
        return chunk

    @property
    def within_quotes(self) -> bool:
        """Whether a quotation mark is open; at the end of a file, it is never closed."""
        return self._quoted

    @property
    def rows(self) -> int:
        """The number of rows so far, including a last row without a line end."""
        return self._complete + self._in_row

    def _count(self, chunk: bytes) -> None:
        if self._first:
            self._first, chunk = False, chunk.removeprefix(codecs.BOM_UTF8)
        if self._cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if not chunk:
            self._cr = False
            return
        self._cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        characters = np.frombuffer(chunk, dtype=np.uint8)
        ends = np.flatnonzero(characters == ord("\n"))
        if self._just_closed:
            self._just_closed = False
            self.text_after_quotes |= not bool(np.isin(characters[0], self._boundaries))
        if b'"' in chunk:
            quotes = np.flatnonzero(characters == ord('"'))
            self._check_around_quotes(characters, quotes)
            inside = (np.searchsorted(quotes, ends) + self._quoted) & 1
            ends = ends[inside == 0]
            self._quoted = bool((len(quotes) + self._quoted) & 1)
        elif self._quoted:
            ends = ends[:0]
        self._last = int(characters[-1])
        if not len(ends):
            self._in_row = True
            return
        empty = int((np.diff(ends) == 1).sum()) + (ends[0] == 0 and not self._in_row)
        self._complete += len(ends) - int(empty)
        self._in_row = bool(ends[-1] != len(chunk) - 1)

    def _check_around_quotes(self, characters: np.ndarray, quotes: np.ndarray) -> None:
        """Detect text between a closing quotation mark and the next delimiter or line end."""
        if not self._check_quotes:
            return
        before = np.concatenate(([self._last], characters))[quotes]
        well = np.isin(before, self._boundaries)
        if self._quoted:
            well = np.concatenate(([self._opened_at_boundary], well))
            quotes = np.concatenate(([-1], quotes))
        openers, closers = well[::2], quotes[1::2]
        self._opened_at_boundary = bool(openers[-1])
        closed_well = closers[openers[: len(closers)]]
        self._just_closed = bool(len(closed_well) and closed_well[-1] == len(characters) - 1)
        after = characters[closed_well[: len(closed_well) - self._just_closed] + 1]
        self.text_after_quotes |= not bool(np.isin(after, self._boundaries).all())


def _open(file: Path) -> IO[bytes]:
    if file.suffix.lower() == ".gz":
        return cast("IO[bytes]", gzip.open(file, "rb"))
    return file.open("rb")


def _first_record(text: bytes) -> bytes:
    """Return the bytes up to the first line end outside quotes."""
    inside = False
    for position, character in enumerate(text):
        if character == ord('"'):
            inside = not inside
        elif character in b"\r\n" and not inside:
            return text[:position]
    return text


def _delimiter(line: str) -> str:
    """Return the most frequent delimiter in ``line`` outside quotes; comma if there is none."""
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _has_only_header(file: Path, header: Header) -> bool:
    """Return whether there is only a header; PyArrow fails if such a header has no line end."""
    try:
        return not any(rows for rows, _ in _records(file, header))
    except (csv.Error, UnicodeDecodeError, *_FAILURES):
        return False


def _records(file: Path, header: Header) -> Iterator[tuple[int, list[str]]]:
    """Read the data rows slowly, numbered from 1; raises UnicodeDecodeError and csv.Error for unreadable rows."""
    with (
        _unlimited_field_size(),
        _open(file) as stream,
        io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as lines,
    ):
        number = -1
        for record in csv.reader(lines, delimiter=header.delimiter, strict=True):
            if record:
                number += 1
                if number:
                    yield number, record


@contextmanager
def _unlimited_field_size() -> Iterator[None]:
    """Allow values of any length in Python's CSV reader while the block runs."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _error(file: Path, header: Header) -> SignalsError:
    """Return the error for a file that could not be read."""
    return _find_error(file, header) or _unreadable_error(file)


def first_error(files: Iterable[Path]) -> SignalsError | None:
    """Return the error of the first invalid CSV file, for an engine that does not report it."""
    errors = (_find_error(file, read_header(file)) for file in files)
    return next((error for error in errors if error), None)


def _find_error(file: Path, header: Header) -> SignalsError | None:
    """Return the error in a file, if one is found; data rows are counted from 1."""
    width, last, n_ragged = len(header.names), 0, 0
    lengths: list[str] = []
    try:
        for number, record in _records(file, header):
            last = number
            if len(record) != width:
                n_ragged += 1
                if len(lengths) < MAX_REPORTED_ROWS:
                    lengths.append(f"row {number} has {_count_values(len(record))}")
    except UnicodeDecodeError:
        return _encoding_error(file, f"row {_undecodable_row(file)}")
    except csv.Error as error:
        if lengths:
            return _ragged_rows_error(file, lengths, n_ragged, width)
        what = (
            "has an unclosed quotation mark"
            if "unexpected end" in str(error)
            else "has text after a closing quotation mark"
        )
        return SignalsError(
            f"{file}: row {last + 1} {what}",
            RULES,
            "export it again",
        )
    except _FAILURES:
        return _unreadable_error(file)
    if lengths:
        return _ragged_rows_error(file, lengths, n_ragged, width)
    if row := _row_with_stray_quote(file, header):
        return SignalsError(
            f"{file}: row {row} has a quotation mark in an unquoted value",
            RULES,
            "export it again",
        )
    return None


def _count_values(n: int) -> str:
    return f"{n} value" if n == 1 else f"{n} values"


def _ragged_rows_error(file: Path, lengths: list[str], n: int, width: int) -> SignalsError:
    rest = f" (and {n - len(lengths)} more rows)" if n > len(lengths) else ""
    return SignalsError(
        f"{file}: {', '.join(lengths)}{rest} but the header has {width}",
        "the same number of values in each row as in the header",
        "export it again; values that contain the delimiter must be quoted",
    )


def _undecodable_row(file: Path) -> int:
    """Return the first row with bytes that are not UTF-8."""
    with _open(file) as stream:
        content = stream.read()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        counter = _RowCounter(io.BytesIO(content[: error.start] + b"x"))
        counter.read()
        return counter.rows - 1
    return 0


def _row_with_stray_quote(file: Path, header: Header) -> int:
    """Return the first row with unpaired quotation marks."""
    consumed: list[str] = []

    def lines(text: io.TextIOWrapper) -> Iterator[str]:
        for line in text:
            consumed.append(line)
            yield line

    with (
        _unlimited_field_size(),
        _open(file) as stream,
        io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text,
    ):
        number = -1
        for record in csv.reader(lines(text), delimiter=header.delimiter):
            number += bool(record)
            if sum(line.count('"') for line in consumed) % 2:
                return number
            consumed.clear()
    return 0


def _check_format(file: Path, start: bytes) -> None:
    """Reject UTF-16, UTF-32 and other formats by their leading bytes."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            raise _encoding_error(file, "the first row", encoding)
    for mark, (kind, cure) in _OTHER_FORMATS.items():
        if start.startswith(mark):
            raise SignalsError(f"{file} is {kind}", "a CSV file", cure)
    if b"\0" in start[:4]:
        raise _encoding_error(file, "the first row", "UTF-16")


def _encoding_error(file: Path, place: str, encoding: str = "Latin-1 (Windows-1252)") -> SignalsError:
    likely, code = ("is", encoding) if encoding.startswith("UTF") else ("is probably", "CP1252")
    return SignalsError(
        f"{file}: {place} is not UTF-8; the file {likely} {encoding}",
        "a CSV file in UTF-8",
        f"save it as UTF-8 (in Excel: CSV UTF-8), or convert it: iconv -f {code} -t UTF-8",
    )


def _unreadable_error(file: Path) -> SignalsError:
    return SignalsError(f"{file} cannot be read as CSV", "a valid CSV file", "export it again")
