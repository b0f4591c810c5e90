"""Feeds: event tables too large to copy. They are read in place, in parts, and repeated rows are detected.

Feeds exist only on the embedded engine; other engines distribute the work themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.contract.schema import TABLES
from features.signals.casting import conformed_columns, known_instant
from features.signals.event_versions import EXTRA_PREFIX
from features.sources.base import create_parquet_view, partition_base
from features.sources.engine import Backend, create_table
from features.sources.sql_functions import HASH

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Feed:
    """One event table as a view ``signals_{name}``, which may contain an event several times.

    Parameters
    ----------
    connection : the in-process DuckDB.
    name : the contract's table.
    cutoff : the view excludes events at or after this instant.
    arrival : the view excludes rows loaded at or after this instant.
    files : its Parquet files, if any.
    extras : source columns outside the contract. They also distinguish events, and are read only for rows that agree
        in all other columns.
    extents : cached rows, first and last instant of its views.
    """

    connection: Backend
    name: str
    cutoff: datetime
    arrival: datetime
    files: tuple[Path, ...] = ()
    extras: tuple[str, ...] = ()
    extents: dict[str, tuple[int, datetime, datetime]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def view(self) -> str:
        """Name of the view of all rows before the cut-off."""
        return f"signals_{self.name}"

    @property
    def part(self) -> str:
        """Name of the view of the current part."""
        return f"{self.view}_part"

    @property
    def rows(self) -> str:
        """Name of the view with the additional column `features.sources.sql_functions.HASH`."""
        return f"{self.view}_rows"

    def create_views(self, source_rows: ibis.Table, text: bool) -> None:
        """Create the views of the source table."""
        rows = _with_known_at(
            source_rows.select(
                **conformed_columns(source_rows, TABLES[self.name], text), **self._extras_of(source_rows)
            )
        )
        happened, known = (
            ibis.literal(t.astimezone(UTC).replace(tzinfo=None)) for t in (self.cutoff, max(self.cutoff, self.arrival))
        )
        rows = rows.filter((rows.occurred_at < happened) & (rows.known_at < known))
        self.connection.create_view(self.view, rows, overwrite=True)
        self._create_hash_view(self.rows, self.view)

    def of_files(self, files: Sequence[Path], ending: str) -> str:
        """Create a view like `rows` for these files, regardless of instants."""
        raw = f"given_{self.name}_{ending}"
        source_rows = create_parquet_view(self.connection, raw, files, partition_base(self.files), self.name)
        view = f"{self.view}_{ending}"
        rows = _with_known_at(
            source_rows.select(
                **conformed_columns(source_rows, TABLES[self.name], text=False), **self._extras_of(source_rows)
            )
        )
        self.connection.create_view(view, rows, overwrite=True)
        self._create_hash_view(f"{view}_rows", view)
        return f"{view}_rows"

    def _create_hash_view(self, name: str, view: str) -> None:
        self.extents.pop(name, None)
        self.connection.con.execute(
            f'CREATE OR REPLACE VIEW "{name}" AS SELECT *, hash({self._same}) AS "{HASH}" FROM "{view}"'
        )

    def _extras_of(self, source_rows: ibis.Table) -> dict[str, ibis.Value]:
        """Return the extra columns as text, because types may differ between files; null if a file lacks a column."""
        return {
            f"{EXTRA_PREFIX}{i}": source_rows[name].cast("string")
            if name in source_rows.columns
            else ibis.null("string")
            for i, name in enumerate(self.extras)
        }

    @property
    def _same(self) -> str:
        """The columns that identify an event: all of the contract except the arrival."""
        return ", ".join(f'"{c}"' for c in TABLES[self.name].names if c != "loaded_at")

    def parts(self, view: str, rows: int) -> Iterator[tuple[str, datetime | None]]:
        """Yield views of whole days that partition ``view`` in time order, with about ``rows`` rows each.

        Only one view exists at a time. Each comes with the instant (UTC, without a time zone) at which the next one
        begins; None for the last.
        """
        table, name = self.connection.table(view), self.part
        edges = [None, *self._edges(view, rows), None]
        for low, high in pairwise(edges):
            part = table
            if low is not None:
                part = part.filter(part.occurred_at >= ibis.literal(low))
            if high is not None:
                part = part.filter(part.occurred_at < ibis.literal(high))
            self.connection.create_view(name, part, overwrite=True)
            yield name, high

    def _edges(self, view: str, rows: int) -> list[datetime]:
        """Return the midnights that divide the feed into equal spans, one for every ``rows`` rows."""
        if view not in self.extents:
            result = self.connection.con.execute(f'SELECT count(*), min(occurred_at), max(occurred_at) FROM "{view}"')
            self.extents[view] = result.fetchone()
        total, first, last = self.extents[view]
        parts = -(-total // rows)
        cuts = [first + (last - first) * i / parts for i in range(1, parts)]
        return sorted({cut.replace(hour=0, minute=0, second=0, microsecond=0) for cut in cuts})

    def hashes(self, view: str) -> Hashes:
        """Return `features.sources.sql_functions.HASH` of each row of ``view``."""
        table = self.connection.con.execute(f'SELECT "{HASH}" FROM "{view}"').to_arrow_table()
        hashes: Hashes = table[HASH].to_numpy()
        return hashes

    def of_hashes(self, view: str, hashes: Hashes, ending: str) -> str:
        """Create a table of the rows of ``view`` with one of ``hashes``."""
        create_table(self.connection, "signals_hashes", pa.table({HASH: hashes}))
        name = f"{self.view}_{ending}"
        self.connection.con.execute(
            f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT * FROM "{view}" '
            f'WHERE "{HASH}" IN (SELECT "{HASH}" FROM signals_hashes)'
        )
        return name

    def once(self, tables: Sequence[str]) -> str:
        """Create a table of the distinct events in ``tables``, each with its first known instant."""
        columns = ", ".join([self._same, *(f'"{EXTRA_PREFIX}{i}"' for i in range(len(self.extras))), f'"{HASH}"'])
        rows = " UNION ALL ".join(f'SELECT {columns}, known_at FROM "{table}"' for table in tables)
        name = f"{self.view}_once"
        self.connection.con.execute(
            f'CREATE OR REPLACE TEMP TABLE "{name}" AS '
            f"SELECT {columns}, min(known_at) AS known_at, NULL::TIMESTAMP AS until_at FROM ({rows}) GROUP BY {columns}"
        )
        return name


def _with_known_at(table: ibis.Table) -> ibis.Table:
    """Replace ``loaded_at`` of a conformed event table with ``known_at``; no row is a version of another."""
    return table.mutate(known_at=known_instant(table, "occurred_at"), until_at=ibis.null("timestamp")).drop("loaded_at")
