"""Running expressions: they are written over unbound tables with fixed names, so one definition serves every engine.

Turning an expression into SQL costs more than running it over a few accounts; for the embedded engine the text is
therefore kept, for the process and (`features.sources.sql_cache`) beyond it. That is sound because every table that an
expression
names has the same columns on every connection: the contract's.
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

from features.contract.ibis_types import ibis_schema
from features.contract.schema import TABLES, known_at_column
from features.sources.base import lay_arrow
from features.sources.sql_cache import kept_text

Backend: TypeAlias = Any
"""An Ibis backend, DuckDB's or `features.sources.spark.Spark`: their methods are beyond the type checker."""

GRID = ibis.table({"first_s": "int64", "step_s": "int64", "dates": "int64"}, name="snapshot_grid")
"""One row: the grid's first instant (seconds since 1970), its step (seconds) and its number of dates."""
CUTOFF = ibis.table({"cutoff": "timestamp", "arrival_cutoff": "timestamp"}, name="signals_cutoff")
"""One row: the instant at and after which nothing that happens is read, and that for what arrives; null for no such
instant."""


def contract_table(name: str, view: str = "") -> ibis.Table:
    """The unbound contract table ``name``, as `features.signals.signals.Signals` holds it (or a ``view`` with its
    columns)."""
    schema = dict(ibis_schema(TABLES[name]))
    arrives = schema.pop("loaded_at", None) is not None
    if TABLES[name].event:
        schema |= {"known_at": "timestamp", "until_at": "timestamp"}
    if arrives:
        schema |= {known_at_column(c): "timestamp" for c in TABLES[name].columns if c.known_from is not None}
    return ibis.table(schema, name=view or f"signals_{name}")


def known_before(rows: Any, instant: Any) -> Any:
    """Whether a row of an event table was known before ``instant``, and no later version of it was.

    Parameters
    ----------
    rows : an event table of `features.signals.signals.Signals`.
    instant : a timestamp without a zone, in UTC.
    """
    return (rows.known_at < instant) & (rows.until_at.isnull() | (rows.until_at >= instant))


def newest_versions(rows: Any) -> Any:
    """The rows of an event table that no later version replaces."""
    return rows.filter(rows.until_at.isnull())


@lru_cache(maxsize=512)
def text_of(build: Callable[..., ibis.Table], *arguments: Hashable) -> str:
    """The embedded engine's SQL of the expression that ``build(*arguments)`` yields."""
    return kept_text(build, arguments, lambda: str(ibis.to_sql(build(*arguments), dialect="duckdb", pretty=False)))


def threads() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def embedded(connection: Backend) -> bool:
    """Whether the engine is the in-process DuckDB."""
    return bool(connection.name == "duckdb")


def errors(connection: Backend) -> tuple[type[Exception], ...]:
    """What the engine raises where rows cannot be read. The messages may quote them and are never passed on."""
    if embedded(connection):
        return (duckdb.Error,)
    from features.sources.spark import ERRORS

    return ERRORS


def collect(connection: Backend, build: Callable[..., ibis.Table], *arguments: Hashable) -> pa.Table:
    """The expression that ``build(*arguments)`` yields, as an Arrow table."""
    if embedded(connection):
        return connection.con.execute(text_of(build, *arguments)).to_arrow_table()
    return connection.to_pyarrow(build(*arguments))


def fetch(connection: Backend, build: Callable[..., ibis.Table], *arguments: Hashable) -> list[dict[str, Any]]:
    """The rows of the expression that ``build(*arguments)`` yields."""
    return collect(connection, build, *arguments).to_pylist()  # type: ignore[no-any-return]


def store(connection: Backend, name: str, build: Callable[..., ibis.Table], *arguments: Hashable) -> None:
    """Create (or replace) ``name`` from the expression that ``build(*arguments)`` yields: a temporary table; on Spark a
    temporary view that is worked out once."""
    if embedded(connection):
        connection.raw_sql(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {text_of(build, *arguments)}')
    else:
        connection.keep(name, build(*arguments))


def lay(connection: Backend, name: str, table: pa.Table) -> None:
    """Make a small Arrow table readable under ``name``."""
    if embedded(connection):
        lay_arrow(connection, name, table)
    else:
        connection.lay(name, table)


def set_cutoff(connection: Backend, cutoff: datetime | None, arrival: datetime | None = None) -> None:
    """Lay down `CUTOFF`; without ``arrival``, ``cutoff`` holds for what arrives, too."""
    instants = {"cutoff": cutoff, "arrival_cutoff": arrival or cutoff}
    plain = {n: None if t is None else t.astimezone(UTC).replace(tzinfo=None) for n, t in instants.items()}
    lay(connection, "signals_cutoff", pa.table({n: pa.array([t], pa.timestamp("us")) for n, t in plain.items()}))
