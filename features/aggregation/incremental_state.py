"""State of large feeds between runs: their buckets, and the files that these were computed from.

The state of a feed is a list of pieces. A file that has been rolled up is never read again. A new file adds a piece,
even if it contains late rows of old weeks, because buckets add up in any order
(`features.aggregation.window_columns`). The rows of a deleted or changed file cannot be subtracted, so the state is
then computed again. The name of the state includes everything that changes its buckets: the text of the expressions,
the version of the engine and the weekday of the grid's dates.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from features.aggregation.arrow_files import read_table, write_table
from features.aggregation.expressions import bucket_rows, measure_rows
from features.aggregation.passes import MAX_BUCKET_DAYS, FeedStartPass, KeyPass, Pass, StatePass, groupings
from features.definitions.aggregations import Measure
from features.signals.file_partitions import FilePartition
from features.signals.large_feed import Feed
from features.sources.engine import sql_text
from features.utils.atomic_files import write_file
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds
from features.utils.json_cache import read_cache

FORMAT = 2
"""Version of the state's files. Increase it when their meaning changes."""
MAX_STATES = 8
"""Maximum number of stored states per table: one for each weekday of the snapshots, and one more."""
STRAY_SECONDS = 86_400
"""Age after which unlisted pieces are deleted; younger ones may belong to a run in progress."""


@dataclass(frozen=True)
class FeedState:
    """The stored buckets of a feed.

    Parameters
    ----------
    lots : the digests of the files that it was computed from.
    keys : the keys of the Distinct measures with few keys, in the order of their bits.
    pieces : the names of its pieces.
    tables : the buckets, one table for each pass.
    """

    lots: frozenset[str] = frozenset()
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pieces: tuple[str, ...] = ()
    tables: tuple[pa.Table, ...] = ()


@dataclass(frozen=True)
class _StoredState:
    """The content of ``state.json``: a `FeedState` with the number of its tables instead of the tables."""

    lots: tuple[str, ...]
    keys: dict[str, tuple[str, ...]]
    pieces: tuple[str, ...]
    passes: int


@dataclass(frozen=True)
class StateFolder:
    """The folder of one state."""

    folder: Path

    @classmethod
    def of(cls, root: Path, feed: Feed, what: Sequence[Pass], grid: Grid) -> StateFolder:
        """Return the folder for ``feed`` and the passes ``what``, for dates on the weekday of ``grid``'s dates.

        Parameters
        ----------
        root : the folder of all states.
        feed : the feed that the state summarizes.
        what : the passes over the feed.
        grid : the dates; only their weekday and time matter.

        Returns
        -------
        StateFolder
        """
        grouped = groupings(what)
        shape = {
            "format": FORMAT,
            "engine": duckdb.__version__,
            "arrow": pa.__version__,
            "passes": [_shape(one, feed.part) for one in what],
            "rows": sql_text(measure_rows, grouped, feed.part) if grouped else "",
            "phase": epoch_seconds(grid.first) % (MAX_BUCKET_DAYS * DAY_SECONDS),
            "extras": feed.extras,
            "files": sorted({str(file.parent.absolute()) for file in feed.files})[:1],
        }
        name = hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:24]
        return cls(root / feed.name / name)

    def read(self, lots: set[str]) -> FeedState:
        """Read the state if all its files are among ``lots``; otherwise return an empty one."""
        stored = read_cache(self.folder / "state.json", _StoredState)
        if stored is None or not set(stored.lots) <= lots:
            return FeedState()
        try:
            columns = [
                pa.concat_tables([read_table(self.folder / f"{piece}-{i}.arrow") for piece in stored.pieces])
                for i in range(stored.passes)
            ]
        except (OSError, ValueError, pa.ArrowException):
            # There is no complete state: compute it again.
            return FeedState()
        return FeedState(frozenset(stored.lots), stored.keys, stored.pieces, tuple(columns))

    def add(
        self,
        state: FeedState,
        tables: tuple[pa.Table, ...],
        lots: Sequence[FilePartition],
        keys: dict[str, tuple[str, ...]],
    ) -> FeedState:
        """Add a piece to ``state``, the buckets of ``lots``, and store it.

        Raises
        ------
        HomeError
            If the file cannot be written.
        """
        piece = uuid.uuid4().hex
        for i, table in enumerate(tables):
            write_table(self.folder / f"{piece}-{i}.arrow", table)
        buckets = tuple(
            pa.concat_tables([old, new])
            for old, new in zip(state.tables or [t[:0] for t in tables], tables, strict=True)
        )
        extended = FeedState(state.lots | {lot.digest for lot in lots}, keys, (*state.pieces, piece), buckets)
        stored = _StoredState(tuple(sorted(extended.lots)), keys, extended.pieces, len(tables))
        write_file(self.folder / "state.json", json.dumps(asdict(stored)))
        self._delete_unused(extended)
        return extended

    def _delete_unused(self, state: FeedState) -> None:
        """Delete unlisted pieces, and the least recently used states."""
        with suppress(OSError):
            for file in self.folder.glob("*.arrow"):
                if file.name.split("-")[0] not in state.pieces and time.time() - file.stat().st_mtime > STRAY_SECONDS:
                    file.unlink()
            states = sorted(self.folder.parent.glob("*/state.json"), key=lambda f: f.stat().st_mtime, reverse=True)
            for old in states[MAX_STATES:]:
                shutil.rmtree(old.parent, ignore_errors=True)


def _shape(what: Pass, view: str) -> str:
    if isinstance(what, FeedStartPass | StatePass):
        return sql_text(bucket_rows, what, view)
    days = isinstance(what, KeyPass) and what.days
    return repr((type(what).__name__, what.width, days, [_measure_shape(m) for m in what.source_measures]))


def _measure_shape(measure: Measure) -> tuple[str, ...]:
    # The first column is left out: it is the measure's name, or starts with it.
    return type(measure).__name__, measure.name, *list(measure.bucket_columns())[1:]


@dataclass(frozen=True)
class ManyKeyMeasures:
    """The Distinct measures of a feed that had too many keys to store them as bits."""

    path: Path
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, root: Path, feed: Feed) -> ManyKeyMeasures:
        """Read the measures noted for ``feed``."""
        path = root / feed.name / "crowd.json"
        return cls(path, read_cache(path, frozenset[str]) or frozenset())

    def add(self, names: set[str]) -> None:
        """Add measures to the file.

        Raises
        ------
        HomeError
            If the file cannot be written.
        """
        write_file(self.path, json.dumps(sorted(self.names | names)))
