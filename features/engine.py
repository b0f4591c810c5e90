"""Running expressions: they are written over unbound tables with fixed names, so one definition serves every
connection.

Turning an expression into SQL costs more than running it over a few accounts; the text is therefore kept for the
process. That is sound because every table that an expression names has the same columns on every connection: the
contract's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa

from features.conform import contract_schema
from features.contract import TABLES

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

GRID = ibis.table({"first_s": "int64", "step_s": "int64", "dates": "int64", "history_s": "int64"}, name="snapshot_grid")
"""One row: the grid's first instant (seconds since 1970), its step (seconds), its number of dates, and the instant from
which every feed is complete (null: from its first row)."""
DATES = ibis.table({"pos": "int64", "as_of_s": "int64"}, name="snapshot_dates")
"""The grid's instants by position."""
EVERYONE = ibis.table({"account_id": "string", "pos": "int64"}, name="snapshot_everyone")
"""Every account at every position: running sums need no gaps."""


def contract_table(name: str) -> ibis.Table:
    """The unbound contract table ``name``, as `features.signals.Signals` holds it."""
    schema = dict(contract_schema(TABLES[name]))
    schema.pop("loaded_at", None)
    if TABLES[name].event:
        schema["known_at"] = "timestamp"
    return ibis.table(schema, name=f"signals_{name}")


CUTOFF = ibis.table({"cutoff": "timestamp"}, name="signals_cutoff")
"""One row: the instant at and after which nothing is read; null for no such instant."""


@lru_cache(maxsize=512)
def _text(build: Callable[..., ibis.Table], arguments: tuple[Hashable, ...]) -> str:
    return str(ibis.to_sql(build(*arguments), dialect="duckdb"))


def set_cutoff(connection: Backend, cutoff: datetime | None) -> None:
    """Lay down `CUTOFF`."""
    instant = None if cutoff is None else cutoff.astimezone(UTC).replace(tzinfo=None)
    row = pa.table({"cutoff": pa.array([instant], pa.timestamp("us"))})
    connection.create_table("signals_cutoff", row, temp=True, overwrite=True)


def fetch(connection: Backend, build: Callable[..., ibis.Table], *arguments: Hashable) -> list[dict[str, Any]]:
    """The rows of the expression that ``build(*arguments)`` yields."""
    return connection.con.execute(_text(build, arguments)).to_arrow_table().to_pylist()  # type: ignore[no-any-return]


def store(connection: Backend, name: str, build: Callable[..., ibis.Table], *arguments: Hashable) -> None:
    """Create (or replace) temporary table ``name`` from the expression that ``build(*arguments)`` yields."""
    connection.raw_sql(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {_text(build, arguments)}')
