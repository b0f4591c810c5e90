"""A feed: an event table too large to be copied. It is read where it lies, in parts, and rows sent again are found.

Only the embedded engine knows feeds; others spread the work themselves.
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
from features.signals.casting import arrived, conformed
from features.signals.event_versions import EXTRA
from features.sources.base import create_parquet_view, partition_base
from features.sources.engine import Backend, create_table
from features.sources.sql_functions import HASH

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Feed:
    """One event table, as a view ``signals_{name}`` that may hold an event several times.

    Parameters
    ----------
    connection : the in-process DuckDB.
    name : contract table.
    cutoff : the view holds nothing that happened at this instant or later,
    arrival : nor anything that was loaded at this one or later.
    files : the Parquet files that it lies in, if it lies in any.
    extras : the given columns outside the contract. They too tell events apart, and are read only of rows that agree in
        all other columns.
    extents : rows, first and last instant of its views, as far as looked up.
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
        """The view of all its rows before the cut-off."""
        return f"signals_{self.name}"

    @property
    def part(self) -> str:
        """The view of the part that is being worked on."""
        return f"{self.view}_part"

    @property
    def rows(self) -> str:
        """`view` with `features.sources.sql_functions.HASH` besides."""
        return f"{self.view}_rows"

    def lay_view(self, given: ibis.Table, text: bool) -> None:
        """Create the views over the table as given."""
        rows = _known(given.select(**conformed(given, TABLES[self.name], text), **self._extras_of(given)))
        happened, known = (
            ibis.literal(t.astimezone(UTC).replace(tzinfo=None)) for t in (self.cutoff, max(self.cutoff, self.arrival))
        )
        rows = rows.filter((rows.occurred_at < happened) & (rows.known_at < known))
        self.connection.create_view(self.view, rows, overwrite=True)
        self._lay_rows(self.rows, self.view)

    def of_files(self, files: Sequence[Path], ending: str) -> str:
        """`rows` of these files, whatever their instants."""
        raw = f"given_{self.name}_{ending}"
        given = create_parquet_view(self.connection, raw, files, partition_base(self.files), self.name)
        view = f"{self.view}_{ending}"
        rows = _known(given.select(**conformed(given, TABLES[self.name], text=False), **self._extras_of(given)))
        self.connection.create_view(view, rows, overwrite=True)
        self._lay_rows(f"{view}_rows", view)
        return f"{view}_rows"

    def _lay_rows(self, name: str, view: str) -> None:
        self.extents.pop(name, None)
        self.connection.con.execute(
            f'CREATE OR REPLACE VIEW "{name}" AS SELECT *, hash({self._same}) AS "{HASH}" FROM "{view}"'
        )

    def _extras_of(self, given: ibis.Table) -> dict[str, ibis.Value]:
        """As texts, since files may differ in their types; null where a file lacks a column."""
        return {
            f"{EXTRA}{i}": given[name].cast("string") if name in given.columns else ibis.null("string")
            for i, name in enumerate(self.extras)
        }

    @property
    def _same(self) -> str:
        """What makes an event: every column of the contract but when it arrived."""
        return ", ".join(f'"{c}"' for c in TABLES[self.name].names if c != "loaded_at")

    def parts(self, view: str, rows: int) -> Iterator[tuple[str, datetime | None]]:
        """Views that share ``view`` out, whole days each, about ``rows`` rows at a time, in the order of time; one is
        there at a time. With each, the instant (UTC, without a zone) at which the next one begins; None for the last.
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
        """The midnights that cut the feed's time into equal spans, one for every ``rows`` rows."""
        if view not in self.extents:
            found = self.connection.con.execute(f'SELECT count(*), min(occurred_at), max(occurred_at) FROM "{view}"')
            self.extents[view] = found.fetchone()
        total, first, last = self.extents[view]
        parts = -(-total // rows)
        cuts = [first + (last - first) * i / parts for i in range(1, parts)]
        return sorted({cut.replace(hour=0, minute=0, second=0, microsecond=0) for cut in cuts})

    def hashes(self, view: str) -> Hashes:
        """`features.sources.sql_functions.HASH` of each row of ``view``."""
        found = self.connection.con.execute(f'SELECT "{HASH}" FROM "{view}"').to_arrow_table()
        hashes: Hashes = found[HASH].to_numpy()
        return hashes

    def of_hashes(self, view: str, hashes: Hashes, ending: str) -> str:
        """A table of the rows of ``view`` that bear one of ``hashes``."""
        create_table(self.connection, "signals_hashes", pa.table({HASH: hashes}))
        name = f"{self.view}_{ending}"
        self.connection.con.execute(
            f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT * FROM "{view}" '
            f'WHERE "{HASH}" IN (SELECT "{HASH}" FROM signals_hashes)'
        )
        return name

    def once(self, tables: Sequence[str]) -> str:
        """A table of the events in ``tables``, each once, known since it first was."""
        columns = ", ".join([self._same, *(f'"{EXTRA}{i}"' for i in range(len(self.extras))), f'"{HASH}"'])
        rows = " UNION ALL ".join(f'SELECT {columns}, known_at FROM "{table}"' for table in tables)
        name = f"{self.view}_once"
        self.connection.con.execute(
            f'CREATE OR REPLACE TEMP TABLE "{name}" AS '
            f"SELECT {columns}, min(known_at) AS known_at, NULL::TIMESTAMP AS until_at FROM ({rows}) GROUP BY {columns}"
        )
        return name


def _known(table: ibis.Table) -> ibis.Table:
    """A conformed event table with ``known_at`` in place of ``loaded_at``; no row is a version of another."""
    return table.mutate(known_at=arrived(table), until_at=ibis.null("timestamp")).drop("loaded_at")
