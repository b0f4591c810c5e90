"""The tables of a signals source on an engine, and what every kind of source has in common."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import ibis
import pyarrow as pa

from features.contract.schema import TABLES
from features.errors import SignalsError
from features.sources import postgres

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

SCHEMES = ("duckdb", "sqlite")
STORES = ("s3", "gs")
ADDRESSES = (
    *(f"{scheme}:///FILE" for scheme in SCHEMES),
    postgres.FORM,
    *(f"{scheme}://BUCKET/PREFIX" for scheme in STORES),
)
DUCKDB, SPARK = "duckdb", "spark"
"""The engines; Spark's may also be named by the address of its master, ``spark://HOST:PORT``."""
_PATH, _HIVE_NULL = "renewcast_path", "__HIVE_DEFAULT_PARTITION__"


class TableFiles(tuple[Path, ...]):
    """The Parquet files of one table.

    Parameters
    ----------
    files : their paths, sorted.
    base : the table's folder. Hive-style keys (``key=value``) count below it only.
    """

    base: Path

    def __new__(cls, files: Iterable[Path], base: Path) -> TableFiles:
        """A tuple of ``files`` that knows its ``base``."""
        found = super().__new__(cls, files)
        found.base = base
        return found


@dataclass(frozen=True)
class Source:
    """The tables of a signals source as given.

    Parameters
    ----------
    connection : the engine that everything is computed on, an in-process DuckDB or `features.sources.spark.Spark`; its
    session
        reads values without a zone as UTC.
    tables : Ibis table by contract name (``given_{name}`` on the connection); only tables of the contract. Columns of
        the contract bear the contract's names, however the source writes them.
    origin : the address, for messages and records; never a password or a row.
    text : the tables all of whose values came as text (CSV, JSON, SQLite). Elsewhere text is parsed column by column:
        wherever a column is text and the contract wants something else (see `features.signals.casting.conformed`).
    notes : what was passed over, in words.
    files : the Parquet files of a table of a folder; each value is a `TableFiles`.
    partitions : the keys of Hive-style folders (``week=2026-01-05``) that a table's files lie in. They say where a row
        lies and not what happened: a batch that is sent again lies in another folder.
    """

    connection: Any
    tables: dict[str, ibis.Table]
    origin: str
    text: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)
    files: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    partitions: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @contextmanager
    def narrowed(self, name: str, files: Sequence[Path] | None) -> Iterator[bool]:
        """Within the block ``name`` is what lies in ``files`` (None: all of it); tells if there is anything to see."""
        if files is None or not files:
            yield files is None
            return
        some, whole = self._lay(f"given_{name}_some", name, files), self.tables[name].schema()
        columns = {c: some[c] if c in some.columns else ibis.null(kind) for c, kind in whole.items()}
        text = ibis.to_sql(some.select(**columns), dialect="duckdb")
        self.connection.raw_sql(f'CREATE OR REPLACE TEMP VIEW "given_{name}" AS {text}')
        try:
            yield True
        finally:
            self._lay(f"given_{name}", name, self.files[name])

    def _lay(self, view: str, name: str, files: Sequence[Path]) -> ibis.Table:
        return lay_parquet(self.connection, view, files, base_of(self.files[name]), name)


def connect() -> Backend:
    """An in-process DuckDB whose session is in UTC, which keeps no state on disk and fetches no extension."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    connection.raw_sql("SET autoinstall_known_extensions = false")
    connection.raw_sql("SET autoload_known_extensions = false")
    connection.raw_sql("SET python_enable_replacements = false")
    return connection


def confine(connection: Backend, files: Iterable[Path] = (), folders: Iterable[Path] = ()) -> None:
    """Shut the in-process DuckDB off from everything but the source.

    From now on it reads ``files``, what lies below ``folders``, and databases attached already, and writes nothing but
    its temporary files; it loads no extension, and no setting can be changed any more.

    Parameters
    ----------
    connection : the engine; nothing else may be attached to it later.
    files, folders : what may be read.
    """
    paths = ", ".join(quoted(str(file)) for file in files)
    directories = ", ".join(quoted(f"{folder}/") for folder in folders)
    # The order matters: the lists cannot be changed once external access is off, nor anything once locked.
    connection.raw_sql(f"SET allowed_paths = [{paths}]")
    connection.raw_sql(f"SET allowed_directories = [{directories}]")
    connection.raw_sql("SET allow_community_extensions = false")
    connection.raw_sql("SET enable_external_access = false")
    connection.raw_sql("SET lock_configuration = true")


def from_tables(tables: Mapping[str, pa.Table], origin: str, *, text: bool = False) -> Source:
    """A source from Arrow tables in memory, by contract name.

    Raises
    ------
    SignalsError
        If a name is not in the contract.
    """
    refuse_unknown(tables, origin)
    connection = connect()
    for name, table in tables.items():
        lay_arrow(connection, f"given_{name}", table)
    read = {name: connection.table(f"given_{name}") for name in tables}
    return Source(connection, read, origin, frozenset(read) if text else frozenset())


def lay_arrow(connection: Backend, name: str, table: pa.Table) -> None:
    """Create (or replace) a temporary table on the in-process DuckDB."""
    # Ibis does the same in three times the time, most of it for the text of the statement.
    connection.con.register("laid", table)
    try:
        connection.con.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT * FROM laid')
    finally:
        connection.con.unregister("laid")


def base_of(files: Sequence[Path]) -> Path | None:
    """The folder below which Hive-style keys count, if it is known."""
    return files.base if isinstance(files, TableFiles) else None


def lay_parquet(
    connection: Backend, view: str, files: Sequence[Path], base: Path | None, table: str = "", schema: str = ""
) -> ibis.Table:
    """Create (or replace) the view ``view`` of Parquet files: a temporary one, or one in ``schema``.

    Columns are united by name, those of the contract's ``table`` get the contract's spelling, and Hive-style keys
    below ``base`` become columns of text.
    """
    paths = f"[{', '.join(quoted(str(file)) for file in files)}]"
    keys = hive_keys(files, base) if base else []
    path = f", filename = {quoted(_PATH)}" if keys else ""
    read = f"read_parquet({paths}, union_by_name = true, hive_partitioning = false{path})"
    columns = [name for name, *_ in connection.con.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()]
    hidden = {key.lower() for key in (*keys, _PATH)}
    selected = {name: identifier(name) for name in columns if name.lower() not in hidden}
    selected |= {key: _hive_value(key, base) for key in keys if base}
    names = contract_names(selected, table, str(base or files[0].parent))
    chosen = ", ".join(f"{text} AS {identifier(names[name])}" for name, text in selected.items())
    connection.raw_sql(f"{creation('VIEW', view, schema)} AS SELECT {chosen} FROM {read}")
    return connection.table(view, database=schema or None)


def hive_keys(files: Iterable[Path], base: Path) -> list[str]:
    """The keys of Hive-style folders (``key=value``) between ``base`` and the files, in order of appearance."""
    folders = {file.relative_to(base).parent for file in files}
    return list(dict.fromkeys(key for folder in sorted(folders) for key in hive_values(folder)))


def hive_values(folder: Path) -> dict[str, str | None]:
    """Key and value of each Hive-style part of a relative ``folder``."""
    parts = [part.partition("=") for part in folder.parts]
    return {key: None if value in ("", _HIVE_NULL) else unquote(value) for key, sign, value in parts if sign and key}


def _hive_value(key: str, base: Path) -> str:
    """SQL for the value of ``key`` in a file's path below ``base``; null where there is none."""
    inside = f"substr({_PATH}, {len(str(base)) + 1})"
    value = f"regexp_extract({inside}, {quoted(f'/{re.escape(key)}=([^/]*)/')}, 1)"
    return f"nullif(nullif(url_decode({value}), ''), {quoted(_HIVE_NULL)})"


def contract_names(columns: Iterable[str], table: str, place: str) -> dict[str, str]:
    """The name that each of ``columns`` gets: the contract's where it is the same but for case and outer spaces.

    Raises
    ------
    SignalsError
        If two columns are the same column of the contract, or a name holds a null character.
    """
    columns = list(columns)
    refuse_null_names(columns, place)
    contract = TABLES[table].names if table in TABLES else ()
    names = {
        column: lower if (lower := column.strip(" \t\r\n\ufeff").lower()) in contract else column for column in columns
    }
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for column, name in names.items():
        spellings[name].append(column)
    for name, given in spellings.items():
        if len(given) > 1 and name in contract:
            raise SignalsError(
                f"{place}: the table {table} holds the column {name} more than once: {', '.join(given)}",
                "one column of each name; upper and lower case do not tell columns apart",
                "rename or leave out one of them",
            )
    return names


def refuse_null_names(columns: Sequence[str], place: str) -> None:
    """Refuse names that no engine can hold.

    Raises
    ------
    SignalsError
        If a name holds a null character; the message says which, and not the name.
    """
    for position, column in enumerate(columns, 1):
        if "\0" in column:
            raise SignalsError(
                f"{place}: the name of column {position} holds a null character",
                "names of printable characters",
                "export it again",
            )


def refuse_unknown(names: Iterable[str], origin: str) -> None:
    """Refuse tables that the contract does not have.

    Raises
    ------
    SignalsError
        If there is any.
    """
    unknown = sorted(set(names) - set(TABLES))
    if unknown:
        raise SignalsError(
            f"{origin} names tables that the contract does not have: {', '.join(unknown)}",
            "only " + ", ".join(TABLES),
            "rename or leave them out",
        )


def creation(kind: str, name: str, schema: str = "") -> str:
    """The beginning of a statement that makes a ``TABLE`` or ``VIEW``: a temporary one, or one in ``schema``."""
    return f"CREATE OR REPLACE {'' if schema else 'TEMP '}{kind} {placed(name, schema)}"


def placed(name: str, schema: str = "") -> str:
    """``name`` in ``schema`` as SQL."""
    return f"{schema}.{identifier(name)}" if schema else identifier(name)


def identifier(name: str) -> str:
    """``name`` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted(text: str | None) -> str:
    """``text`` as a SQL literal."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"
