"""Reading CSV as RFC 4180 has it, into the embedded engine. Nothing is guessed from the values.

The quote is ``"``, doubled within quotes; there is no comment and no escape character; a line ends with LF, CRLF or CR;
lines without any character are passed over; the encoding is UTF-8, with or without a byte order mark. The delimiter is
that of the header line: of comma, semicolon, tab and bar the one that it has most of outside quotes.

PyArrow parses (DuckDB's reader fails on files that mix line ends, and takes an empty line of a one-column file for a
row), and the bytes that pass by are counted independently: a file whose rows are not as many as the line ends outside
quotes is refused. Only where something is wrong is the file read again, slowly, to say in which row.
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

from features.contract.schema import TABLES
from features.errors import SignalsError
from features.sources.base import (
    contract_names,
    creation,
    hive_values,
    identifier,
    placed,
    quoted,
    refuse_null_names,
)

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

DELIMITERS = (",", ";", "\t", "|")
ENDINGS = (".csv", ".tsv")
BLOCK = 8 * 2**20
"""Bytes that are parsed at a time; no row may be longer."""
HEADER_LIMIT = 2**20
"""No header line is longer (bytes)."""
FIRST_ROWS = 5
"""How many bad rows a message names."""
_FAILURES = (duckdb.Error, pa.ArrowException, OSError, EOFError, zlib.error, ValueError)
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_OTHER_FORMATS = {
    b"PK\3\4": ("an Excel workbook or another archive", "save it as CSV UTF-8"),
    b"\x1f\x8b": ("compressed once more than its name says", "name it .csv.gz, compressed once"),
    b"PAR1": ("a Parquet file", "name it .parquet"),
}
"""What a file of another format begins with."""


@dataclass(frozen=True)
class Header:
    """The first line of a CSV file that is not empty.

    Parameters
    ----------
    delimiter : what stands between its names.
    names : its names as written, in order.
    blank_lines : how many empty lines stand before it.
    """

    delimiter: str
    names: tuple[str, ...]
    blank_lines: int = 0


def read_header(file: Path) -> Header:
    """The header of a CSV file.

    Raises
    ------
    SignalsError
        If the file is empty, is not UTF-8, or has no readable first line.
    """
    try:
        with _opened(file) as stream:
            start = stream.read(HEADER_LIMIT)
    except _FAILURES:
        raise _unreadable(file) from None
    _refuse_other_marks(file, start)
    begun = start.removeprefix(codecs.BOM_UTF8)
    text = begun.lstrip(b"\r\n")
    if not text.strip():
        raise SignalsError(
            f"{file}: the file is empty", "a first line with the columns' names", "export it again, or remove the file"
        )
    blank = begun[: len(begun) - len(text)].replace(b"\r\n", b"\n")
    line = _first_record(text)
    try:
        decoded = line.decode()
    except UnicodeDecodeError:
        raise _other_encoding(file, "the header") from None
    delimiter = _delimiter(decoded)
    try:
        names = next(csv.reader(io.StringIO(decoded, newline=""), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        raise SignalsError(
            f"{file}: the header cannot be read",
            "the columns' names, those with quotation marks quoted",
            "export it again",
        ) from None
    return Header(delimiter, tuple(names), len(blank))


def lay_csv(
    connection: Backend, name: str, files: tuple[Path, ...], base: Path, table: str = "", schema: str = ""
) -> None:
    """Read CSV files into the table ``name``: every column is text, an empty value is null.

    Parameters
    ----------
    connection : the in-process DuckDB.
    files : their columns are united by name, without regard to case.
    base : Hive-style keys below it become columns.
    table : the contract's table that they hold; its columns get the contract's spelling.
    schema : where to make the table; by default it is a temporary one.

    Raises
    ------
    SignalsError
        If a file is not CSV as this module's docstring has it; the message names the file and the row, never a value.
    """
    headers = {file: read_header(file) for file in files}
    columns = {file: _columns(header, table, file) for file, header in headers.items()}
    united: dict[str, str] = {}
    for file in files:
        for column in (*columns[file], *hive_values(file.relative_to(base).parent)):
            united.setdefault(column.strip().lower(), column)
    names = contract_names(united.values(), table, str(base))
    shape = ", ".join(f"{identifier(names[column])} VARCHAR" for column in united.values())
    connection.raw_sql(f"{creation('TABLE', name, schema)} ({shape})")
    for file in files:
        keys = hive_values(file.relative_to(base).parent)
        own = {names[united[c.strip().lower()]]: _column(i) for i, c in enumerate(columns[file])}
        own |= {names[united[key.strip().lower()]]: quoted(value) for key, value in keys.items()}
        into = f"{placed(name, schema)} ({', '.join(map(identifier, own))})"
        _append(connection, f"INSERT INTO {into} SELECT {', '.join(own.values())}", file, headers[file])


def count_rows(file: Path) -> int:
    """The data rows of a CSV file, counted as `lay_csv` counts them, for an engine that reads it by itself.

    Raises
    ------
    SignalsError
        If the file is not UTF-8, or opens a quotation mark that is never closed.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _opened(file) as stream:
            counted = _Counted(stream)
            while chunk := counted.read(BLOCK):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _other_encoding(file, f"row {_undecodable_row(file)}") from None
    except _FAILURES:
        raise _unreadable(file) from None
    if counted.within_quotes:
        raise _explanation(file, read_header(file))
    return max(counted.rows - 1, 0)


def _column(place: int) -> str:
    """The name of a file's column on its way into the engine, whatever its header says."""
    return f"c{place}"


def _columns(header: Header, table: str, file: Path) -> list[str]:
    """The header's names, each once: outside the contract, a repeated or missing name gets a number."""
    refuse_null_names(header.names, str(file))
    contract = TABLES[table].names if table in TABLES else ()
    found: list[str] = []
    taken: Counter[str] = Counter()
    for place, written in enumerate(header.names, 1):
        name = written if written.strip() else _named(f"column{place}", header.names)
        plain = name.strip().lower()
        taken[plain] += 1
        if taken[plain] > 1 and plain in contract:
            spellings = dict.fromkeys(n.strip() for n in header.names if n.strip().lower() == plain)
            raise SignalsError(
                f"{file}: the header names {plain} more than once: {', '.join(spellings)}",
                "one column of each name; upper and lower case do not tell columns apart",
                "rename or leave out one of them",
            )
        found.append(name if taken[plain] == 1 else _free(name, header.names, found))
    return found


def _named(name: str, written: Iterable[str]) -> str:
    """A name for a column without one, which no other column bears."""
    return _free(name, written, ()) if name in {other.strip().lower() for other in written} else name


def _free(name: str, written: Iterable[str], found: Iterable[str]) -> str:
    """``name`` with the first number that makes it a name of its own."""
    used = {other.strip().lower() for other in (*written, *found)}
    return next(numbered for i in count(1) if (numbered := f"{name}_{i}").strip().lower() not in used)


def _append(connection: Backend, insert: str, file: Path, header: Header) -> None:
    """Append the rows of one file, and hold their number against the independent count."""
    types = {_column(i): pa.string() for i in range(len(header.names))}
    try:
        with _opened(file) as stream:
            counted = _Counted(stream, header.delimiter)
            reader = pa_csv.open_csv(
                pa.PythonFile(counted, mode="r"),
                pa_csv.ReadOptions(
                    block_size=BLOCK,
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
        # PyArrow's message quotes the row.
        if _only_header(file, header):
            return
        raise _explanation(file, header) from None
    if rows != counted.rows - 1 or counted.within_quotes or counted.text_after_quotes:
        raise _explanation(file, header)


class _Counted(io.RawIOBase):
    """A stream that counts the rows that pass by: line ends outside quotes, empty lines apart.

    Parameters
    ----------
    delimiter : given, quoted values with text behind their closing quotation mark are noticed, too.
    """

    def __init__(self, stream: IO[bytes], delimiter: str = "") -> None:
        super().__init__()
        self._stream = stream
        self._around = np.frombuffer(f'\n"{delimiter}'.encode(), dtype=np.uint8)
        self._looking = bool(delimiter)
        self._before = ord("\n")
        self._opened_well = False
        self._just_closed = False
        self.text_after_quotes = False
        self._ended = 0
        self._quoted = False
        self._begun = False
        self._cr = False
        self._first = True

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as they are."""
        chunk = self._stream.read(size)
        if chunk:
            self._count(chunk)
        return chunk

    @property
    def within_quotes(self) -> bool:
        """Whether a quotation mark is open: at the end of a file, one that is never closed."""
        return self._quoted

    @property
    def rows(self) -> int:
        """Rows so far; the last one counts without a line end, too."""
        return self._ended + self._begun

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
            self.text_after_quotes |= not bool(np.isin(characters[0], self._around))
        if b'"' in chunk:
            quotes = np.flatnonzero(characters == ord('"'))
            self._look_around(characters, quotes)
            inside = (np.searchsorted(quotes, ends) + self._quoted) & 1
            ends = ends[inside == 0]
            self._quoted = bool((len(quotes) + self._quoted) & 1)
        elif self._quoted:
            ends = ends[:0]
        self._before = int(characters[-1])
        if not len(ends):
            self._begun = True
            return
        empty = int((np.diff(ends) == 1).sum()) + (ends[0] == 0 and not self._begun)
        self._ended += len(ends) - int(empty)
        self._begun = bool(ends[-1] != len(chunk) - 1)

    def _look_around(self, characters: np.ndarray, quotes: np.ndarray) -> None:
        """Notice text between the mark that closes a quoted value and the delimiter or line end."""
        if not self._looking:
            return
        before = np.concatenate(([self._before], characters))[quotes]
        well = np.isin(before, self._around)
        if self._quoted:
            well = np.concatenate(([self._opened_well], well))
            quotes = np.concatenate(([-1], quotes))
        openers, closers = well[::2], quotes[1::2]
        self._opened_well = bool(openers[-1])
        closed_well = closers[openers[: len(closers)]]
        self._just_closed = bool(len(closed_well) and closed_well[-1] == len(characters) - 1)
        after = characters[closed_well[: len(closed_well) - self._just_closed] + 1]
        self.text_after_quotes |= not bool(np.isin(after, self._around).all())


def _opened(file: Path) -> IO[bytes]:
    if file.suffix.lower() == ".gz":
        return cast("IO[bytes]", gzip.open(file, "rb"))
    return file.open("rb")


def _first_record(text: bytes) -> bytes:
    """The bytes up to the first line end outside quotes."""
    inside = False
    for place, character in enumerate(text):
        if character == ord('"'):
            inside = not inside
        elif character in b"\r\n" and not inside:
            return text[:place]
    return text


def _delimiter(line: str) -> str:
    """The delimiter that ``line`` has most of outside quotes; the comma, if it has none."""
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _only_header(file: Path, header: Header) -> bool:
    """Whether nothing comes after the header; PyArrow takes that for an error if the header does not end its line."""
    try:
        return not any(rows for rows, _ in _records(file, header))
    except (csv.Error, UnicodeDecodeError, *_FAILURES):
        return False


def _records(file: Path, header: Header) -> Iterator[tuple[int, list[str]]]:
    """The data rows, slowly, from 1; raises UnicodeDecodeError and csv.Error where they cannot be read."""
    with (
        _any_length(),
        _opened(file) as stream,
        io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as lines,
    ):
        place = -1
        for record in csv.reader(lines, delimiter=header.delimiter, strict=True):
            if record:
                place += 1
                if place:
                    yield place, record


@contextmanager
def _any_length() -> Iterator[None]:
    """Within the block Python's reader takes values of any length."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _explanation(file: Path, header: Header) -> SignalsError:
    """What is wrong with a file that could not be read."""
    return _fault(file, header) or _unreadable(file)


def first_fault(files: Iterable[Path]) -> SignalsError | None:
    """What is wrong with the first of ``files`` that is no sound CSV, for an engine that does not say."""
    faults = (_fault(file, read_header(file)) for file in files)
    return next((fault for fault in faults if fault), None)


def _fault(file: Path, header: Header) -> SignalsError | None:
    """What is wrong with a file, if it shows; its rows are counted from 1, below the header."""
    wide, last, more = len(header.names), 0, 0
    lengths: list[str] = []
    try:
        for place, record in _records(file, header):
            last = place
            if len(record) != wide:
                more += 1
                if len(lengths) < FIRST_ROWS:
                    lengths.append(f"row {place} has {_values(len(record))}")
    except UnicodeDecodeError:
        return _other_encoding(file, f"row {_undecodable_row(file)}")
    except csv.Error as error:
        if lengths:
            return _ragged(file, lengths, more, wide)
        what = (
            "opens a quotation mark that is never closed"
            if "unexpected end" in str(error)
            else "has text after a closing quotation mark"
        )
        return SignalsError(
            f"{file}: row {last + 1} {what}",
            'CSV as RFC 4180 has it: a value with quotation marks is quoted, and each of them doubled ("")',
            "export it again",
        )
    except _FAILURES:
        return _unreadable(file)
    if lengths:
        return _ragged(file, lengths, more, wide)
    if row := _row_with_stray_quote(file, header):
        return SignalsError(
            f"{file}: row {row} has a quotation mark within a value that is not quoted",
            'CSV as RFC 4180 has it: a value with quotation marks is quoted, and each of them doubled ("")',
            "export it again",
        )
    return None


def _values(n: int) -> str:
    return f"{n} value" if n == 1 else f"{n} values"


def _ragged(file: Path, lengths: list[str], n: int, wide: int) -> SignalsError:
    rest = f" (and {n - len(lengths)} more rows)" if n > len(lengths) else ""
    return SignalsError(
        f"{file}: {', '.join(lengths)}{rest} where the header names {wide}",
        "as many values in each row as the header has names",
        "export it again; a value that holds the delimiter is quoted",
    )


def _undecodable_row(file: Path) -> int:
    """The first row with bytes that are not UTF-8."""
    with _opened(file) as stream:
        content = stream.read()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        counted = _Counted(io.BytesIO(content[: error.start] + b"x"))
        counted.read()
        return counted.rows - 1
    return 0


def _row_with_stray_quote(file: Path, header: Header) -> int:
    """The first row that a reader ends although its quotation marks are not paired."""
    taken: list[str] = []

    def lines(text: io.TextIOWrapper) -> Iterator[str]:
        for line in text:
            taken.append(line)
            yield line

    with (
        _any_length(),
        _opened(file) as stream,
        io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text,
    ):
        place = -1
        for record in csv.reader(lines(text), delimiter=header.delimiter):
            place += bool(record)
            if sum(line.count('"') for line in taken) % 2:
                return place
            taken.clear()
    return 0


def _refuse_other_marks(file: Path, start: bytes) -> None:
    """Refuse UTF-16, UTF-32 and other formats, by the bytes that they begin with."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            raise _other_encoding(file, "the first row", encoding)
    for mark, (kind, cure) in _OTHER_FORMATS.items():
        if start.startswith(mark):
            raise SignalsError(f"{file} is {kind}", "a CSV file", cure)
    if b"\0" in start[:4]:
        raise _other_encoding(file, "the first row", "UTF-16")


def _other_encoding(file: Path, place: str, encoding: str = "Latin-1 (Windows-1252)") -> SignalsError:
    likely, code = ("is", encoding) if encoding.startswith("UTF") else ("is probably", "CP1252")
    return SignalsError(
        f"{file}: {place} is not UTF-8; the file {likely} {encoding}",
        "a CSV file in UTF-8",
        f"save it as UTF-8 (in Excel: CSV UTF-8), or convert it: iconv -f {code} -t UTF-8",
    )


def _unreadable(file: Path) -> SignalsError:
    return SignalsError(f"{file} cannot be read as CSV", "a sound CSV file", "export it again")
