"""Reading a PostgreSQL database: its tables, copied into the embedded engine.

Of events and subscriptions every column is copied, for rows that differ in any of them are different (see
`features.signals.event_versions`); of other tables just the contract's. What the user may not read of a table is left
out.
Everything is read in one read-only transaction, so the tables are of one instant. A password is in no message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from features.contract.schema import TABLES
from features.errors import SignalsError

_Copied = TypeVar("_Copied")

SCHEMES = ("postgresql", "postgres")
SUBSCRIPTIONS = "subscriptions"
FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
ROWS_AT_ONCE = 100_000
"""Rows of a table that are in flight at a time."""
PATIENCE = "10"
"""Seconds to wait for the server, unless the address says otherwise (``connect_timeout``)."""

# Tables, their partitioned parents, views, materialised views and foreign tables.
_KINDS = ("r", "p", "v", "m", "f")
# What the client or the server says, told in words of ours: theirs may quote the address.
_SILENT = "refused|timeout|timed out|translate host|not known|no route|unreachable|no such file|closed the connection"
_REFUSALS = {
    r"authentication failed|no password supplied|pg_hba|role .* does not exist": "the user or the password",
    r"database .* does not exist": "the database: there is none of that name",
}


def masked(address: str) -> str:
    """The address without its password, and without any option but the schema.

    Raises
    ------
    SignalsError
        If the address cannot be understood; it is not repeated then.
    """
    try:
        parts = urlsplit(address)
        host, port, user = parts.hostname or "", parts.port, parts.username
        options = dict(parse_qsl(parts.query))
    except ValueError:
        raise _unreadable() from None
    # A password with a slash, unescaped, would end up in the path.
    if "@" in parts.path or parts.fragment:
        raise _unreadable()
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    whom = f"{user}{':***' if parts.password else ''}@" if user else ""
    schema = urlencode({"schema": options["schema"]}) if "schema" in options else ""
    return urlunsplit((parts.scheme, whom + place, parts.path, schema, ""))


def _unreadable() -> SignalsError:
    return SignalsError(
        "a PostgreSQL address that cannot be read",
        f"{FORM}, with ?schema=NAME if it is not the default one",
        "write / @ : # % within the user or the password as %2F %40 %3A %23 %25",
    )


def read_postgres(address: str, connection: Any) -> dict[str, ibis.Table]:
    """Copy the tables and views of the contract from the database at ``address`` into ``connection``, an embedded
    DuckDB, as ``given_{name}``. Names are compared without regard to case. Columns outside the contract come as text,
    which every type can be; those of tables whose rows they do not tell apart stay where they are.

    Raises
    ------
    SignalsError
        If the driver is missing, the server cannot be reached, refuses, or has no such database or schema, or a table
        cannot be read, or is there twice.
    """

    def copy(server: Any, source: Any, schema: str, told: str) -> dict[str, ibis.Table]:
        copied = {}
        for name, held in _names(server, schema, told).items():
            table = source.table(held, database=schema)
            contract = _contract_columns(table, name, f"{told}: {schema}.{held}")
            columns = {proper: _plain(table[c]) for c, proper in contract.items()}
            if TABLES[name].event or name == SUBSCRIPTIONS:
                others = [c for c in _readable(server, schema, held) if c in table.columns and c not in contract]
                columns |= {each: table[c].cast("string") for c, each in _distinct(others, columns).items()}
            wanted = table.select(**columns)
            _copy(source, wanted, f"{schema}.{held}", _Target(connection, f"given_{name}"), told)
            copied[name] = connection.table(f"given_{name}")
        return copied

    return _reading(address, copy)


def copy_tables(address: str, connection: Any, names: Iterable[tuple[str, str]], catalog: str) -> list[tuple[str, str]]:
    """Copy the tables ``names`` (schema, or empty for the default one, and table) with all their columns into
    ``catalog`` of ``connection``, an embedded DuckDB. Names that the database does not have are left out.

    Returns
    -------
    list of (schema, table)
        What was copied, as the database spells it; the schema is empty for the default one.

    Raises
    ------
    SignalsError
        As `read_postgres`.
    """

    def copy(server: Any, source: Any, default: str, told: str) -> list[tuple[str, str]]:
        copied = []
        for schema, name in names:
            for held_schema, held in server.execute(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE lower(n.nspname) = lower(%s) AND lower(c.relname) = lower(%s) AND c.relkind = ANY(%s)",
                (schema or default, name, list(_KINDS)),
            ).fetchall():
                table = source.table(held, database=held_schema)
                wanted = table.select(**{c: _plain(table[c]) for c in table.columns})
                into = _Target(connection, held, catalog, held_schema if schema else "main")
                _copy(source, wanted, f"{held_schema}.{held}", into, told)
                copied.append((held_schema if schema else "", held))
        return copied

    return _reading(address, copy)


def _reading(address: str, copy: Callable[[Any, Any, str, str], _Copied]) -> _Copied:
    """What ``copy(server, Ibis backend, schema, masked address)`` yields in one read-only transaction."""
    told = masked(address)
    try:
        import psycopg
    except ImportError:
        raise SignalsError(
            "the driver for PostgreSQL is not installed", "psycopg", "pip install 'renewcast[postgres]'"
        ) from None
    server, schema = _connected(psycopg, address, told)
    try:
        with server:
            source = ibis.postgres.from_connection(server)
            with server.transaction():
                return copy(server, source, _found_schema(server, schema, told), told)
    except psycopg.Error:
        raise SignalsError(
            f"the connection to {told} was lost or refused while it was read", "a server that goes on answering"
        ) from None


@dataclass(frozen=True)
class _Target:
    """Where a table is copied to: a temporary table, or one in a catalog and schema of the embedded engine."""

    connection: Any
    name: str
    catalog: str = ""
    schema: str = ""

    def create(self, schema: ibis.Schema) -> None:
        if not self.catalog:
            self.connection.create_table(self.name, schema=schema, temp=True)
            return
        self.connection.raw_sql(
            f'CREATE SCHEMA IF NOT EXISTS {self.catalog}."{self.schema.replace(chr(34), chr(34) * 2)}"'
        )
        self.connection.create_table(self.name, schema=schema, database=(self.catalog, self.schema))

    def append(self, rows: pa.Table) -> None:
        self.connection.insert(self.name, rows, database=(self.catalog, self.schema) if self.catalog else None)


def _contract_columns(table: ibis.Table, name: str, place: str) -> dict[str, str]:
    """The contract's column for each column of ``table`` that is one but for case."""
    found: dict[str, str] = {}
    for column in table.columns:
        proper = column.strip().lower()
        if proper in TABLES[name].names:
            if proper in found.values():
                first = next(c for c, p in found.items() if p == proper)
                raise SignalsError(
                    f"{place} holds the column {proper} more than once: {first}, {column}",
                    "one column of each name; upper and lower case do not tell columns apart",
                    "read a view that renames or leaves out one of them",
                )
            found[column] = proper
    return found


def _readable(server: Any, schema: str, held: str) -> list[str]:
    """The columns of a table that the user may read."""
    rows = server.execute(
        "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s "
        "AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY a.attnum",
        (schema, held),
    )
    return [name for (name,) in rows]


def _distinct(columns: list[str], taken: Iterable[str]) -> dict[str, str]:
    """A name for each of ``columns`` that differs from all others in more than upper and lower case."""
    seen, names = {name.lower() for name in taken}, {}
    for column in columns:
        name, number = column, 1
        while name.lower() in seen:
            number += 1
            name = f"{column} {number}"
        seen.add(name.lower())
        names[column] = name
    return names


def _connected(psycopg: Any, address: str, told: str) -> tuple[Any, str]:
    """A connection that only reads, all at one instant; and the schema that the address names, if it does."""
    parts = urlsplit(address)
    schema = dict(parse_qsl(parts.query)).get("schema", "")
    # The rest of the address is the driver's to read.
    others = "&".join(option for option in parts.query.split("&") if not option.startswith("schema="))
    plain = urlunsplit(parts._replace(query=others))
    try:
        given = psycopg.conninfo.conninfo_to_dict(plain)
        server = psycopg.connect(**({"connect_timeout": PATIENCE, "application_name": "renewcast"} | given))
    except psycopg.ProgrammingError:
        raise _unreadable() from None
    except psycopg.OperationalError as error:
        said = str(error)
        for pattern, what in _REFUSALS.items():
            if re.search(pattern, said):
                raise SignalsError(f"the server of {told} refuses {what}", FORM, "mend the address") from None
        if re.search(_SILENT, said, re.IGNORECASE):
            raise SignalsError(
                f"no PostgreSQL server answers at {told}", FORM, "check the host and the port, and that the server runs"
            ) from None
        raise SignalsError(
            f"the server of {told} refuses the connection", FORM, "look into the server's log, which says why"
        ) from None
    server.read_only = True
    server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return server, schema


def _found_schema(server: Any, schema: str, told: str) -> str:
    """The schema to read: the one named, or else the user's first."""
    if not schema:
        (found,) = server.execute("SELECT current_schema()").fetchone()
        return str(found or "public")
    if not server.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone():
        rows = server.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1"
        )
        raise SignalsError(
            f"{told}: there is no schema {schema}", "one of " + ", ".join(name for (name,) in rows), "mend ?schema="
        )
    return schema


def _names(server: Any, schema: str, told: str) -> dict[str, str]:
    """The contract's tables that are in ``schema``, in the contract's order, each with its name there."""
    rows = server.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND lower(c.relname) = ANY(%s) AND c.relkind = ANY(%s) ORDER BY 1",
        (schema, list(TABLES), list(_KINDS)),
    )
    held: dict[str, str] = {}
    for (name,) in rows:
        if other := held.get(name.lower()):
            raise SignalsError(
                f"{told}: {schema} holds the table {name.lower()} more than once: {other}, {name}",
                "one table of each name; upper and lower case do not tell names apart",
                "rename one of them, or name another ?schema=",
            )
        held[name.lower()] = name
    return {name: held[name] for name in TABLES if name in held}


def _copy(source: Any, wanted: ibis.Table, place: str, into: _Target, told: str) -> None:
    """Copy one table, some rows at a time: neither side ever holds all of them."""
    import psycopg

    rows_as = wanted.schema().as_struct().to_pyarrow()
    into.create(wanted.schema())
    try:
        with source.con.cursor(name="renewcast_rows", binary=True) as cursor:
            cursor.execute(source.compile(wanted))
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                batch = pa.RecordBatch.from_struct_array(pa.array(rows, type=rows_as))
                into.append(pa.Table.from_batches([batch]))
    except psycopg.errors.InsufficientPrivilege:
        raise SignalsError(
            f"{told}: the user may not read {place}",
            "the right to SELECT from it",
            "grant it, or rename the table",
        ) from None
    except (psycopg.Error, pa.ArrowInvalid):
        # What could not be read is in their messages.
        raise SignalsError(
            f"{told}: the rows of {place} cannot be read",
            "values that a file could hold: dates of the years 1 to 9999, none of them infinity",
        ) from None


def _plain(column: ibis.Value) -> ibis.Value:
    """The column in a type that a file could hold: numerics as floats, or whole numbers; what the engine has no equal
    for (UUIDs, enumerations, addresses, shapes, ranges) as text."""
    kind = column.type()
    if kind.is_decimal():
        return column.cast("int64" if kind.scale == 0 else "float64")
    return column if _held(kind) else column.cast("string")


def _held(kind: dt.DataType) -> bool:
    """Whether values of this type are the same in the embedded engine."""
    if kind.is_array():
        return _held(kind.value_type)
    plain = (dt.Boolean, dt.Integer, dt.Floating, dt.String, dt.Timestamp, dt.Date, dt.Time, dt.Interval, dt.Binary)
    return isinstance(kind, plain) and not kind.is_json()
