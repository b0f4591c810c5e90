"""Copy the tables of a PostgreSQL database into the embedded engine.

For events and subscriptions all columns are copied, because rows that differ in any column are different (see
`features.signals.event_versions`). For other tables only the contract's columns are copied. Columns that the user
cannot read are skipped. Everything is read in one read-only transaction, so the tables are consistent. Messages never
contain a password.
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

from features.contract.current_contract import current_tables
from features.errors import SignalsError

_Result = TypeVar("_Result")

SCHEMES = ("postgresql", "postgres")
SUBSCRIPTIONS = "subscriptions"
ADDRESS_FORMAT = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
BATCH_ROWS = 100_000
"""Rows copied at a time."""
CONNECT_TIMEOUT = "10"
"""Default timeout in seconds; ``connect_timeout`` in the address overrides it."""

# Tables, partitioned tables, views, materialized views and foreign tables.
_KINDS = ("r", "p", "v", "m", "f")
_DUCKDB_TYPES = {
    "boolean": "BOOLEAN",
    "smallint": "BIGINT",
    "integer": "BIGINT",
    "bigint": "BIGINT",
    "real": "DOUBLE",
    "double precision": "DOUBLE",
    "numeric": "DOUBLE",
    "date": "DATE",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
}
"""The types of copied columns; all others are text."""
# Messages of the client and the server may quote the address, so they are replaced by our own.
_UNREACHABLE = (
    "refused|timeout|timed out|translate host|not known|no route|unreachable|no such file|closed the connection"
)
_REFUSALS = {
    r"authentication failed|no password supplied|pg_hba|role .* does not exist": "the user or the password",
    r"database .* does not exist": "the database: it does not exist",
}


def masked_address(address: str) -> str:
    """Return the address without the password, and without options other than the schema.

    Raises
    ------
    SignalsError
        If the address is invalid; the message does not repeat it.
    """
    try:
        parts = urlsplit(address)
        host, port, user = parts.hostname or "", parts.port, parts.username
        options = dict(parse_qsl(parts.query))
    except ValueError:
        raise _invalid_address() from None
    # A password with an unescaped slash would end up in the path.
    if "@" in parts.path or parts.fragment:
        raise _invalid_address()
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    login = f"{user}{':***' if parts.password else ''}@" if user else ""
    schema = urlencode({"schema": options["schema"]}) if "schema" in options else ""
    return urlunsplit((parts.scheme, login + place, parts.path, schema, ""))


def _invalid_address() -> SignalsError:
    return SignalsError(
        "invalid PostgreSQL address",
        f"{ADDRESS_FORMAT}, with ?schema=NAME if it is not the default schema",
        "percent-encode / @ : # % in the user name or password as %2F %40 %3A %23 %25",
    )


def read_postgres(address: str, connection: Any) -> dict[str, ibis.Table]:
    """Copy the contract's tables and views at ``address`` into ``connection``, an embedded DuckDB.

    They are named ``given_{name}``. Names are compared ignoring case. Columns outside the contract are copied as text,
    and only for tables in which they distinguish rows.

    Raises
    ------
    SignalsError
        If the driver is missing, the server cannot be reached or refuses the connection, the database or schema does
        not exist, or a table cannot be read or is there twice.
    """

    def copy(server: Any, source: Any, schema: str, shown: str) -> dict[str, ibis.Table]:
        copied = {}
        for name, spelling in _contract_tables(server, schema, shown).items():
            table = source.table(spelling, database=schema)
            contract = _contract_columns(table, name, f"{shown}: {schema}.{spelling}")
            columns = {proper: _portable(table[c]) for c, proper in contract.items()}
            if current_tables()[name].event or name == SUBSCRIPTIONS:
                others = [
                    c for c in _readable_columns(server, schema, spelling) if c in table.columns and c not in contract
                ]
                columns |= {each: table[c].cast("string") for c, each in _unique_names(others, columns).items()}
            wanted = table.select(**columns)
            _copy(source, wanted, f"{schema}.{spelling}", _Target(connection, f"given_{name}"), shown)
            copied[name] = connection.table(f"given_{name}")
        return copied

    return _run_in_transaction(address, copy)


def copy_tables(address: str, connection: Any, names: Iterable[tuple[str, str]], catalog: str) -> list[tuple[str, str]]:
    """Copy the tables ``names`` with all columns into ``catalog`` of ``connection``, an embedded DuckDB.

    Parameters
    ----------
    address : the database.
    connection : the embedded DuckDB.
    names : (schema, table); the schema is empty for the default. Names that do not exist are skipped.
    catalog : the target catalog.

    Returns
    -------
    list of (schema, table)
        The copied tables in the database's spelling; the schema is empty for the default.

    Raises
    ------
    SignalsError
        As in `read_postgres`.
    """

    def copy(server: Any, source: Any, default: str, shown: str) -> list[tuple[str, str]]:
        copied = []
        for schema, name in names:
            for found_schema, found in server.execute(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE lower(n.nspname) = lower(%s) AND lower(c.relname) = lower(%s) AND c.relkind = ANY(%s)",
                (schema or default, name, list(_KINDS)),
            ).fetchall():
                table = source.table(found, database=found_schema)
                wanted = table.select(**{c: _portable(table[c]) for c in table.columns})
                into = _Target(connection, found, catalog, found_schema if schema else "main")
                _copy(source, wanted, f"{found_schema}.{found}", into, shown)
                copied.append((found_schema if schema else "", found))
        return copied

    return _run_in_transaction(address, copy)


def list_columns(address: str) -> dict[str, dict[str, dict[str, str]]]:
    """Return the tables of every schema that the user can read, with the DuckDB types of their columns once copied.

    The schema in the address, or else the user's default one, comes first.

    Raises
    ------
    SignalsError
        As in `read_postgres`.
    """

    def read(server: Any, _source: Any, default: str, _shown: str) -> dict[str, dict[str, dict[str, str]]]:
        rows = server.execute(
            "SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a "
            "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname !~ '^(pg_|information_schema)' AND c.relkind = ANY(%s) AND a.attnum > 0 "
            "AND NOT a.attisdropped AND has_schema_privilege(n.oid, 'USAGE') "
            "AND has_column_privilege(c.oid, a.attnum, 'SELECT') "
            "ORDER BY n.nspname <> %s, n.nspname, c.relname, a.attnum",
            (list(_KINDS), default),
        ).fetchall()
        schemas: dict[str, dict[str, dict[str, str]]] = {default: {}}
        for schema, table, column, kind in rows:
            schemas.setdefault(schema, {}).setdefault(table, {})[column] = _DUCKDB_TYPES.get(kind, "VARCHAR")
        return schemas

    return _run_in_transaction(address, read)


def _run_in_transaction(address: str, copy: Callable[[Any, Any, str, str], _Result]) -> _Result:
    """Call ``copy(server, Ibis backend, schema, masked address)`` in one read-only transaction."""
    shown = masked_address(address)
    try:
        import psycopg
    except ImportError:
        raise SignalsError(
            "the PostgreSQL driver is not installed", "psycopg", "pip install 'renewcast[postgres]'"
        ) from None
    server, schema = _connect(psycopg, address, shown)
    try:
        with server:
            source = ibis.postgres.from_connection(server)
            with server.transaction():
                return copy(server, source, _resolve_schema(server, schema, shown), shown)
    except psycopg.Error:
        raise SignalsError(
            f"the connection to {shown} was lost or refused during the copy", "a server that stays available"
        ) from None


@dataclass(frozen=True)
class _Target:
    """The target of a copy: a temporary table, or one in a catalog and schema of the embedded engine."""

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
    """Map columns of ``table`` to columns of the contract, ignoring case."""
    mapping: dict[str, str] = {}
    for column in table.columns:
        proper = column.strip().lower()
        if proper in current_tables()[name].names:
            if proper in mapping.values():
                first = next(c for c, p in mapping.items() if p == proper)
                raise SignalsError(
                    f"{place} has the column {proper} more than once: {first}, {column}",
                    "one column per name; names are not case-sensitive",
                    "use a view that renames or removes one of them",
                )
            mapping[column] = proper
    return mapping


def _readable_columns(server: Any, schema: str, table: str) -> list[str]:
    """Return the columns of a table that the user may read."""
    rows = server.execute(
        "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s "
        "AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY a.attnum",
        (schema, table),
    )
    return [name for (name,) in rows]


def _unique_names(columns: list[str], taken: Iterable[str]) -> dict[str, str]:
    """Return a name for each of ``columns`` that is unique ignoring case."""
    used, names = {name.lower() for name in taken}, {}
    for column in columns:
        name, number = column, 1
        while name.lower() in used:
            number += 1
            name = f"{column} {number}"
        used.add(name.lower())
        names[column] = name
    return names


def _connect(psycopg: Any, address: str, shown: str) -> tuple[Any, str]:
    """Return a read-only connection with a consistent snapshot, and the schema in the address, if any."""
    parts = urlsplit(address)
    schema = dict(parse_qsl(parts.query)).get("schema", "")
    # The driver parses the rest of the address.
    others = "&".join(option for option in parts.query.split("&") if not option.startswith("schema="))
    conninfo = urlunsplit(parts._replace(query=others))
    try:
        options = psycopg.conninfo.conninfo_to_dict(conninfo)
        server = psycopg.connect(**({"connect_timeout": CONNECT_TIMEOUT, "application_name": "renewcast"} | options))
    except psycopg.ProgrammingError:
        raise _invalid_address() from None
    except psycopg.OperationalError as error:
        message = str(error)
        for pattern, what in _REFUSALS.items():
            if re.search(pattern, message):
                raise SignalsError(
                    f"the server at {shown} refuses {what}", ADDRESS_FORMAT, "correct the address"
                ) from None
        if re.search(_UNREACHABLE, message, re.IGNORECASE):
            raise SignalsError(
                f"no PostgreSQL server answers at {shown}",
                ADDRESS_FORMAT,
                "check the host and the port, and that the server is running",
            ) from None
        raise SignalsError(
            f"the server at {shown} refuses the connection", ADDRESS_FORMAT, "check the server's log for the reason"
        ) from None
    server.read_only = True
    server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return server, schema


def _resolve_schema(server: Any, schema: str, shown: str) -> str:
    """Return the schema to read: the given one, or else the user's default."""
    if not schema:
        (current,) = server.execute("SELECT current_schema()").fetchone()
        return str(current or "public")
    if not server.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone():
        rows = server.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1"
        )
        raise SignalsError(
            f"{shown}: there is no schema {schema}", "one of " + ", ".join(name for (name,) in rows), "correct ?schema="
        )
    return schema


def _contract_tables(server: Any, schema: str, shown: str) -> dict[str, str]:
    """Map the contract's tables in ``schema`` to their spelling, in the contract's order."""
    rows = server.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND lower(c.relname) = ANY(%s) AND c.relkind = ANY(%s) ORDER BY 1",
        (schema, list(current_tables()), list(_KINDS)),
    )
    spellings: dict[str, str] = {}
    for (name,) in rows:
        if other := spellings.get(name.lower()):
            raise SignalsError(
                f"{shown}: {schema} has the table {name.lower()} more than once: {other}, {name}",
                "one table per name; names are not case-sensitive",
                "rename one of them, or use another ?schema=",
            )
        spellings[name.lower()] = name
    return {name: spellings[name] for name in current_tables() if name in spellings}


def _copy(source: Any, wanted: ibis.Table, place: str, into: _Target, shown: str) -> None:
    """Copy one table in batches, so that neither side has to hold all rows."""
    import psycopg

    rows_as = wanted.schema().as_struct().to_pyarrow()
    into.create(wanted.schema())
    try:
        with source.con.cursor(name="renewcast_rows", binary=True) as cursor:
            cursor.execute(source.compile(wanted))
            while rows := cursor.fetchmany(BATCH_ROWS):
                batch = pa.RecordBatch.from_struct_array(pa.array(rows, type=rows_as))
                into.append(pa.Table.from_batches([batch]))
    except psycopg.errors.InsufficientPrivilege:
        raise SignalsError(
            f"{shown}: the user is not allowed to read {place}",
            "the SELECT privilege on the table",
            "grant the privilege, or rename the table if it should be ignored",
        ) from None
    except (psycopg.Error, pa.ArrowInvalid):
        # Their messages contain the values.
        raise SignalsError(
            f"{shown}: the rows of {place} cannot be read",
            "values that can be copied: dates in the years 1 to 9999, not infinity",
        ) from None


def _portable(column: ibis.Value) -> ibis.Value:
    """Convert the column to a type that a file can store: numerics to floats or integers; types without an equivalent
    (UUIDs, enumerations, addresses, shapes, ranges) to text."""
    kind = column.type()
    if kind.is_decimal():
        return column.cast("int64" if kind.scale == 0 else "float64")
    return column if _is_portable(kind) else column.cast("string")


def _is_portable(kind: dt.DataType) -> bool:
    """Return whether the embedded engine has the same type."""
    if kind.is_array():
        return _is_portable(kind.value_type)
    portable = (dt.Boolean, dt.Integer, dt.Floating, dt.String, dt.Timestamp, dt.Date, dt.Time, dt.Interval, dt.Binary)
    return isinstance(kind, portable) and not kind.is_json()
