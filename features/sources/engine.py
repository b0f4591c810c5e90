"""Run expressions on the engine of a source.

Expressions use unbound tables with fixed names, so that one definition works on every engine. Translating an expression
to SQL takes longer than running it for a few accounts. For the embedded engine, the SQL is therefore cached, in the
process and on disk (`features.sources.sql_cache`). This is valid because the tables of an expression have the same
columns on every connection: those of the contract, and of the declared extra tables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

import duckdb
import ibis
import pyarrow as pa

from features.contract.current_contract import current_tables, extra_tables_digest
from features.contract.ibis_types import IBIS_TYPES, ibis_schema
from features.contract.schema import known_at_column
from features.sources.base import create_arrow_table
from features.sources.sql_cache import cached_sql

Backend: TypeAlias = Any
"""An Ibis backend, DuckDB's or `features.sources.spark.Spark`, or a `features.sources.memory.engine.MemoryEngine`.
Their methods are not typed."""

GRID = ibis.table({"first_s": "int64", "step_s": "int64", "dates": "int64"}, name="snapshot_grid")
"""One row: the grid's first instant (seconds since 1970), its step (seconds) and its number of dates."""
CUTOFF = ibis.table({"cutoff": "timestamp", "arrival_cutoff": "timestamp"}, name="signals_cutoff")
"""One row: the instants from which events and arrivals are ignored; null for none."""


def contract_table(name: str, view: str = "") -> ibis.Table:
    """Return the unbound contract table ``name`` of `features.signals.signals.OpenSignals`, or a ``view`` of it."""
    schema = dict(ibis_schema(current_tables()[name]))
    arrives = schema.pop("loaded_at", None) is not None
    schema |= {column: IBIS_TYPES[kind] for column, kind in current_tables()[name].derived}
    if current_tables()[name].event:
        schema |= {"known_at": "timestamp", "until_at": "timestamp"}
    if arrives:
        schema |= {known_at_column(c): "timestamp" for c in current_tables()[name].columns if c.known_from is not None}
    return ibis.table(schema, name=view or f"signals_{name}")


def known_before(rows: Any, instant: Any) -> Any:
    """Return whether a row of an event table is the latest version known before ``instant``.

    Parameters
    ----------
    rows : an event table of `features.signals.signals.OpenSignals`.
    instant : a timestamp in UTC, without a time zone.
    """
    return (rows.known_at < instant) & (rows.until_at.isnull() | (rows.until_at >= instant))


def newest_versions(rows: Any) -> Any:
    """Return the rows of an event table that no later version replaces."""
    return rows.filter(rows.until_at.isnull())


def sql_text(build: Callable[..., ibis.Table], *arguments: Hashable) -> str:
    """Return the embedded engine's SQL for the expression ``build(*arguments)``."""
    return _sql_text(extra_tables_digest(), build, *arguments)


@lru_cache(maxsize=512)
def _sql_text(extra_tables: str, build: Callable[..., ibis.Table], *arguments: Hashable) -> str:
    # The columns of extra tables depend on their declaration, which is not part of the arguments.
    key = (*arguments, extra_tables) if extra_tables else arguments
    return cached_sql(build, key, lambda: str(ibis.to_sql(build(*arguments), dialect="duckdb", pretty=False)))


def available_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_embedded(connection: Backend) -> bool:
    """Return whether the engine is the in-process DuckDB."""
    return bool(connection.name == "duckdb")


def is_memory(connection: Backend) -> bool:
    """Return whether the engine is that of `features.sources.memory`, for the rows of one request."""
    return bool(connection.name == "memory")


def error_types(connection: Backend) -> tuple[type[Exception], ...]:
    """Return the engine's exceptions for unreadable rows. Their messages may contain values and are never shown."""
    if is_embedded(connection):
        return (duckdb.Error,)
    if is_memory(connection):
        return ()
    from features.sources.spark import ERRORS

    return ERRORS


def collect(connection: Backend, build: Callable[..., ibis.Table], *arguments: Hashable) -> pa.Table:
    """Return the result of the expression ``build(*arguments)`` as an Arrow table."""
    if is_embedded(connection):
        return connection.con.execute(sql_text(build, *arguments)).to_arrow_table()
    if is_memory(connection):
        return connection.collect(build, arguments, extra_tables_digest())
    return connection.to_pyarrow(build(*arguments))


def fetch(connection: Backend, build: Callable[..., ibis.Table], *arguments: Hashable) -> list[dict[str, Any]]:
    """Return the rows of the expression ``build(*arguments)``."""
    return collect(connection, build, *arguments).to_pylist()  # type: ignore[no-any-return]


def materialize(connection: Backend, name: str, build: Callable[..., ibis.Table], *arguments: Hashable) -> None:
    """Create (or replace) ``name`` from ``build(*arguments)``: a temporary table, or a cached view on Spark.

    Parameters
    ----------
    connection : the engine.
    name : the name in SQL.
    build : the function that returns the expression.
    arguments : its arguments.
    """
    if is_embedded(connection):
        connection.raw_sql(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {sql_text(build, *arguments)}')
    elif is_memory(connection):
        connection.materialize(name, build, arguments, extra_tables_digest())
    else:
        connection.materialize(name, build(*arguments))


def create_table(connection: Backend, name: str, table: pa.Table) -> None:
    """Make a small Arrow table available as ``name``.

    Parameters
    ----------
    connection : the engine.
    name : the name in SQL; an existing table of this name is replaced.
    table : the rows.
    """
    if is_embedded(connection):
        create_arrow_table(connection, name, table)
    else:
        connection.create_arrow_view(name, table)


def set_cutoff(connection: Backend, cutoff: datetime | None, arrival: datetime | None = None) -> None:
    """Set `CUTOFF`; without ``arrival``, ``cutoff`` also applies to arrivals.

    Parameters
    ----------
    connection : the engine.
    cutoff : the instant from which events are ignored; None for none.
    arrival : the instant from which arrivals are ignored.
    """
    instants = {"cutoff": cutoff, "arrival_cutoff": arrival or cutoff}
    naive = {n: None if t is None else t.astimezone(UTC).replace(tzinfo=None) for n, t in instants.items()}
    create_table(
        connection, "signals_cutoff", pa.table({n: pa.array([t], pa.timestamp("us")) for n, t in naive.items()})
    )
