"""Getting a table's buckets: in one go, or for a feed too large for that in parts, each event once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.deduplicate import among, first_of_each, repeated_hashes
from features.aggregation.expressions import rolled_up, row_by_row
from features.aggregation.incremental_state import Crowd, Kept
from features.aggregation.numpy_groupby import Bools, Crowded, Numbers, grouped
from features.aggregation.passes import (
    Gathering,
    Grouping,
    Need,
    Pass,
    Starts,
    States,
    groupings,
    measured,
    measured_rows,
    passes,
)
from features.definitions.aggregations import Distinct
from features.signals.file_partitions import FilePartition, file_partitions
from features.signals.large_feed import Feed, Hashes
from features.signals.signals import Signals
from features.sources.engine import collect
from features.sources.sql_functions import HASH
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds

ROWS_AT_ONCE = 4_000_000
"""Rows of a feed that are at hand at a time, about."""
AHEAD = 2
"""Parts that may be grouped while the next one is read."""
ROWS_TO_BEGIN = 500_000
"""Rows of a feed that are looked at for its beginning before all are."""

Tables = tuple[pa.Table, ...]
NO_HASHES: Hashes = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class Rolled:
    """The buckets of one table: ``tables[i]`` is what ``passes[i]`` yielded, in no order and perhaps in pieces.

    ``versions`` holds all rows, one by one (`features.aggregation.passes.measured_rows`), of the accounts of which an
    event has
    several versions: their buckets hold the newest versions only. None where there are no such accounts.
    """

    passes: tuple[Pass, ...]
    tables: Tables
    versions: pa.Table | None = None

    @property
    def starts(self) -> tuple[Starts, pa.Table]:
        """The pass that tells when the feed began, and what it yielded."""
        what = self.passes[0]
        assert isinstance(what, Starts)
        return what, self.tables[0]


def roll(signals: Signals, name: str, needs: Iterable[Need], grid: Grid, kept: Path | None = None) -> Rolled:
    """Everything needed of table ``name``, rolled up to buckets that ``grid``'s dates do not cut through.

    Parameters
    ----------
    kept : where the buckets of feeds that lie in files are kept; only files not seen before are read then.
    """
    feed = signals.feeds.get(name)
    if feed is None:
        found, needs = passes(name, needs, grid.every_days), tuple(needs)
        tables = tuple(collect(signals.connection, rolled_up, what) for what in found)
        rows = collect(signals.connection, measured_rows, measured(needs)) if name in signals.versioned else None
        return Rolled(found, tables, rows)
    # What is kept knows no cut-off: a snapshot looks at what was known by its date anyway.
    if kept is not None and feed.files and grid.last <= feed.cutoff:
        return _from_kept(feed, frozenset(needs), grid, kept)
    few = _countable(needs)
    while True:
        found = passes(name, needs, grid.every_days, few)
        try:
            return Rolled(found, _in_parts(feed, found, feed.rows, grid, Numbers()))
        except Crowded as crowded:
            few.remove(crowded.measure)


def _from_kept(feed: Feed, needs: frozenset[Need], grid: Grid, folder: Path) -> Rolled:
    lots = file_partitions(feed.files, folder)
    crowd = Crowd.of(folder, feed)
    found = passes(feed.name, needs, grid.every_days, [m for m in _countable(needs) if m.name not in crowd.names])
    kept = Kept.of(folder, feed, found, grid)
    state = kept.read({lot.digest for lot in lots})
    new = [lot for lot in lots if lot.digest not in state.lots]
    if not new:
        return Rolled(found, state.tables)
    view = feed.of_files([lot.path for lot in new], "new")
    numbers = Numbers({name: list(keys) for name, keys in state.keys.items()})
    older = _overlapping([lot for lot in lots if lot.digest in state.lots], new)
    try:
        piece = _in_parts(feed, found, view, grid, numbers, older)
    except Crowded as crowded:
        # From now on its keys are rows of their own.
        crowd.add({crowded.measure.name})
        return _from_kept(feed, needs, grid, folder)
    return Rolled(found, kept.add(state, piece, new, {m: tuple(keys) for m, keys in numbers.keys.items()}).tables)


def _countable(needs: Iterable[Need]) -> list[Distinct]:
    """The Distinct measures whose keys are of no interest beyond their number."""
    counting = {m.back(0): None for m, _ in needs if m.counted_key is not None}
    keyed = {m.counted_key for m in counting if m.counted_key != m}
    return [key for m in counting if (key := m.counted_key) == m and key is not None and key not in keyed]


def _in_parts(
    feed: Feed, found: tuple[Pass, ...], view: str, grid: Grid, numbers: Numbers, older: Sequence[Path] = ()
) -> Tables:
    """The buckets of ``view``; ``older`` are files rolled up before that may hold some of its events already."""
    pieces: dict[Pass, list[pa.Table]] = {what: [] for what in found}
    for what in found:
        if isinstance(what, Starts):
            pieces[what] = _started(feed, what, view, grid)
        elif isinstance(what, States):
            pieces[what] = [_compact(collect(feed.connection, rolled_up, what, view))]
    if several := groupings(found):
        pieces.update(_grouped(feed, several, view, grid, numbers, older).items())
    return tuple(pa.concat_tables(into) for into in pieces.values())


def _grouped(
    feed: Feed, found: tuple[Grouping, ...], view: str, grid: Grid, numbers: Numbers, older: Sequence[Path]
) -> dict[Grouping, list[pa.Table]]:
    """The buckets of ``view`` for each grouping, in pieces. One part is grouped while the next is read."""
    into: dict[Grouping, list[pa.Table]] = {what: [] for what in found}
    past = feed.of_files(older, "old") if older else ""
    before = feed.hashes(past) if past else None
    again: list[Hashes] = []
    alike: list[Hashes] = []
    waiting: deque[Future[Part]] = deque()

    def take() -> None:
        part = waiting.popleft().result()
        _add(into, part.tables)
        again.append(part.again)
        alike.append(part.alike)

    with ThreadPoolExecutor(AHEAD) as pool:
        for part, _ in feed.parts(view, ROWS_AT_ONCE):
            rows = collect(feed.connection, row_by_row, found, part)
            waiting.append(pool.submit(_part, rows, found, grid, numbers, before, bool(feed.extras)))
            if len(waiting) > AHEAD:
                take()
        while waiting:
            take()
    _put_right(feed, into, view, past, np.concatenate([NO_HASHES, *again]), grid, numbers)
    _add_alike(feed, into, view, np.concatenate([NO_HASHES, *alike]), grid, numbers)
    return into


@dataclass(frozen=True)
class Part:
    """The buckets of a part of a feed's rows, and the hashes of those that are left out of them.

    Parameters
    ----------
    tables : the buckets, one table for each grouping.
    again : rows that older files may hold already.
    alike : rows that agree in all columns of the contract, while others may tell them apart.
    """

    tables: list[pa.Table]
    again: Hashes
    alike: Hashes


def _part(
    rows: pa.Table, found: Sequence[Grouping], grid: Grid, numbers: Numbers, before: Hashes | None, extras: bool
) -> Part:
    """The buckets of rows at hand, each event once."""
    hashes: Hashes = rows[HASH].to_numpy()
    met, alike = NO_HASHES, NO_HASHES
    keep: Bools | None = None
    if not extras:
        keep = first_of_each(rows)
    elif len(repeated := repeated_hashes(hashes)):
        keep = ~among(hashes, repeated)
        alike = np.unique(repeated)
    if before is not None and len(before):
        old = among(hashes, before)
        keep, met = ~old if keep is None else keep & ~old, hashes[old]
        if len(alike) and len(met):
            alike = alike[~among(alike, met)]
    return Part(grouped(rows, found, epoch_seconds(grid.first), numbers, keep), met, alike)


def _add(into: dict[Grouping, list[pa.Table]], tables: Sequence[pa.Table]) -> None:
    for pieces, table in zip(into.values(), tables, strict=True):
        pieces.append(table)


def _add_alike(
    feed: Feed, into: dict[Grouping, list[pa.Table]], view: str, alike: Hashes, grid: Grid, numbers: Numbers
) -> None:
    """Add the rows of ``view`` that columns outside the contract tell apart, each event once."""
    if len(alike):
        rows = collect(feed.connection, row_by_row, tuple(into), feed.once([feed.of_hashes(view, alike, "alike")]))
        _add(into, grouped(rows, tuple(into), epoch_seconds(grid.first), numbers))


def _put_right(
    feed: Feed,
    into: dict[Grouping, list[pa.Table]],
    view: str,
    past: str,
    again: Hashes,
    grid: Grid,
    numbers: Numbers,
) -> None:
    """Let rows of ``view`` that were in older files count once, from when they were first known: what those files have
    of them is taken away, and all of them are added. A key that is there twice is there: only what is added up has to
    be taken away.
    """
    if not len(again):
        return
    found, earlier = tuple(into), feed.of_hashes(past, again, "earlier")
    if sums := tuple(what for what in found if isinstance(what, Gathering)):
        rows = collect(feed.connection, row_by_row, sums, feed.once([earlier]))
        for what, table in zip(sums, grouped(rows, sums, epoch_seconds(grid.first), numbers), strict=True):
            into[what].append(_negated(what, table))
    everything = feed.once([earlier, feed.of_hashes(view, again, "again")])
    rows = collect(feed.connection, row_by_row, found, everything)
    _add(into, grouped(rows, found, epoch_seconds(grid.first), numbers))


def _started(feed: Feed, what: Starts, view: str, grid: Grid) -> list[pa.Table]:
    """When ``view`` and its columns began, looking no further than needed."""
    for part, high in feed.parts(view, ROWS_TO_BEGIN):
        first = collect(feed.connection, rolled_up, what, part)
        if _has_begun(what, first, high, grid):
            return [first]
        break
    return [collect(feed.connection, rolled_up, what, view)]


def _has_begun(what: Starts, table: pa.Table, high: datetime | None, grid: Grid) -> bool:
    """Whether every column had a value that was known before anything at ``high`` or later could be: then no later row
    is the first of anything."""
    if high is None:
        return False
    width = what.width * DAY_SECONDS
    next_known = (epoch_seconds(high.replace(tzinfo=UTC)) - epoch_seconds(grid.first) % width) // width + 1
    early = table.filter(pc.less_equal(table["kb"], next_known))
    return all(early[name].null_count < len(early) for name in early.column_names)


def _negated(what: Gathering, table: pa.Table) -> pa.Table:
    for measure in what.measures:
        for column, reduction in measure.bucket_columns().items():
            if reduction in ("count", "sum"):
                place = table.schema.get_field_index(column)
                table = table.set_column(place, table.schema.field(place), pc.negate(table[column]))
    return table


def _compact(table: pa.Table) -> pa.Table:
    """Texts that recur are held once."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(place, field.name, table[place].cast(pa.string()).dictionary_encode())
    return table


def _overlapping(old: Sequence[FilePartition], new: Sequence[FilePartition]) -> list[Path]:
    """The old files whose instants overlap those of the new ones."""
    low, high = min(lot.first for lot in new), max(lot.last for lot in new)
    return [lot.path for lot in old if lot.first <= high and lot.last >= low]
