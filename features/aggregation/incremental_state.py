"""What is kept of a feed between runs: its buckets, and which files they come from.

The state of a feed is a list of pieces. A file that has been rolled up is never read again; what a new file brings,
late rows of old weeks included, is a further piece, for buckets add up in any order
(`features.aggregation.window_columns`). A file that is gone or was changed cannot be taken out again, so the state is
then made anew. Everything that shapes a bucket is part of the state's name: the expressions' text, the engine's version
and how the grid lies in the week.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from features.aggregation.arrow_files import read_table, write_table
from features.aggregation.expressions import rolled_up, row_by_row
from features.aggregation.passes import WIDEST, Pass, Presence, Starts, States, groupings
from features.definitions.aggregations import Measure
from features.signals.file_partitions import FilePartition
from features.signals.large_feed import Feed
from features.sources.engine import sql_text
from features.utils.atomic_files import write_file
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds

FORMAT = 2
"""To be raised when the files of a state change their meaning."""
STATES_KEPT = 8
"""States of one table that stay: one for each weekday of the snapshots, and one more."""
STRAY_SECONDS = 86_400
"""Pieces that no list names are cleared away after a day: another run may be about to name them."""


@dataclass(frozen=True)
class State:
    """What is known of a feed.

    Parameters
    ----------
    lots : the digests of the files that went into it.
    keys : the keys, in the order of their bits, of the Distinct measures that have few.
    pieces : the names of its pieces.
    tables : the buckets, a table for each pass.
    """

    lots: frozenset[str] = frozenset()
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pieces: tuple[str, ...] = ()
    tables: tuple[pa.Table, ...] = ()


@dataclass(frozen=True)
class Kept:
    """The place of one state."""

    folder: Path

    @classmethod
    def of(cls, root: Path, feed: Feed, what: Sequence[Pass], grid: Grid) -> Kept:
        """The state of ``feed`` rolled up by ``what``, at dates that lie in the week as ``grid``'s do."""
        several = groupings(what)
        shape = {
            "format": FORMAT,
            "engine": duckdb.__version__,
            "arrow": pa.__version__,
            "passes": [_shape(one, feed.part) for one in what],
            "rows": sql_text(row_by_row, several, feed.part) if several else "",
            "phase": epoch_seconds(grid.first) % (WIDEST * DAY_SECONDS),
            "extras": feed.extras,
            "files": sorted({str(file.parent.absolute()) for file in feed.files})[:1],
        }
        name = hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:24]
        return cls(root / feed.name / name)

    def read(self, lots: set[str]) -> State:
        """The state, if all its files are among ``lots``; else an empty one."""
        try:
            told = json.loads((self.folder / "state.json").read_bytes())
            if not set(told["lots"]) <= lots:
                return State()
            pieces = tuple(told["pieces"])
            columns = [
                pa.concat_tables([read_table(self.folder / f"{piece}-{i}.arrow") for piece in pieces])
                for i in range(told["passes"])
            ]
        except (OSError, ValueError, KeyError, pa.ArrowInvalid):
            # Nothing kept, or not wholly: it is made anew.
            return State()
        return State(frozenset(told["lots"]), {m: tuple(k) for m, k in told["keys"].items()}, pieces, tuple(columns))

    def add(
        self,
        state: State,
        tables: tuple[pa.Table, ...],
        lots: Sequence[FilePartition],
        keys: dict[str, tuple[str, ...]],
    ) -> State:
        """Keep ``state`` with a further piece: what ``lots`` rolled up to.

        Raises
        ------
        HomeError
            If the place cannot be written.
        """
        piece = uuid.uuid4().hex
        for i, table in enumerate(tables):
            write_table(self.folder / f"{piece}-{i}.arrow", table)
        both = tuple(
            pa.concat_tables([old, new])
            for old, new in zip(state.tables or [t[:0] for t in tables], tables, strict=True)
        )
        whole = State(state.lots | {lot.digest for lot in lots}, keys, (*state.pieces, piece), both)
        told = {"lots": sorted(whole.lots), "keys": keys, "pieces": whole.pieces, "passes": len(tables)}
        write_file(self.folder / "state.json", json.dumps(told))
        self._tidy(whole)
        return whole

    def _tidy(self, state: State) -> None:
        """Clear away pieces that nothing names, and the states that were used longest ago."""
        with suppress(OSError):
            for file in self.folder.glob("*.arrow"):
                if file.name.split("-")[0] not in state.pieces and time.time() - file.stat().st_mtime > STRAY_SECONDS:
                    file.unlink()
            states = sorted(self.folder.parent.glob("*/state.json"), key=lambda f: f.stat().st_mtime, reverse=True)
            for old in states[STATES_KEPT:]:
                shutil.rmtree(old.parent, ignore_errors=True)


def _shape(what: Pass, view: str) -> str:
    if isinstance(what, Starts | States):
        return sql_text(rolled_up, what, view)
    days = isinstance(what, Presence) and what.days
    return repr((type(what).__name__, what.width, days, [_of(m) for m in what.looked_at]))


def _of(measure: Measure) -> tuple[str, ...]:
    # The first column needs no mention: it bears the measure's name, or begins with it.
    return type(measure).__name__, measure.name, *list(measure.bucket_columns())[1:]


@dataclass(frozen=True)
class Crowd:
    """The Distinct measures of a feed that once had too many keys to be told apart by bits."""

    place: Path
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, root: Path, feed: Feed) -> Crowd:
        """What is noted of ``feed``."""
        place = root / feed.name / "crowd.json"
        try:
            return cls(place, frozenset(json.loads(place.read_bytes())))
        except (OSError, ValueError, TypeError):
            return cls(place)

    def add(self, names: set[str]) -> None:
        """Note further measures.

        Raises
        ------
        HomeError
            If the place cannot be written.
        """
        write_file(self.place, json.dumps(sorted(self.names | names)))
