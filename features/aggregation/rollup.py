"""Roll a table up to buckets: in one query, or in parts for a large feed, counting each event once."""

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

from features.aggregation.deduplicate import first_occurrences, is_in, repeated_hashes
from features.aggregation.expressions import bucket_rows, measure_rows
from features.aggregation.incremental_state import ManyKeyMeasures, StateFolder
from features.aggregation.numpy_groupby import KeyBits, TooManyKeys, group_rows
from features.aggregation.passes import (
    BucketPass,
    FeedStartPass,
    Grouping,
    Need,
    Pass,
    StatePass,
    groupings,
    measures_of,
    plan_passes,
    versioned_account_rows,
)
from features.definitions.aggregations import Distinct
from features.signals.file_partitions import FilePartition, file_partitions
from features.signals.large_feed import Feed, Hashes
from features.signals.signals import OpenSignals
from features.sources.engine import collect
from features.sources.sql_functions import HASH
from features.utils.arrays import Bools
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds

PART_ROWS = 4_000_000
"""Approximate number of rows in a part of a feed."""
MAX_PARTS_AHEAD = 2
"""Maximum number of parts that are grouped while the next one is read."""
START_SEARCH_ROWS = 500_000
"""Number of rows in which the start of a feed is searched before all rows are read."""

Tables = tuple[pa.Table, ...]
NO_HASHES: Hashes = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class RolledTable:
    """The buckets of one table.

    Parameters
    ----------
    passes : the passes.
    tables : the result of each pass, in any order of rows and possibly in pieces.
    versions : all rows (`features.aggregation.passes.versioned_account_rows`) of the accounts with an event of several
        versions, because their buckets contain the newest versions only; None if there are no such accounts.
    """

    passes: tuple[Pass, ...]
    tables: Tables
    versions: pa.Table | None = None

    @property
    def starts(self) -> tuple[FeedStartPass, pa.Table]:
        """The pass for the start of the feed, and its result."""
        what = self.passes[0]
        assert isinstance(what, FeedStartPass)
        return what, self.tables[0]


def roll_up(
    signals: OpenSignals, name: str, needs: Iterable[Need], grid: Grid, rollup_folder: Path | None = None
) -> RolledTable:
    """Roll up everything needed from table ``name`` to buckets that no date of ``grid`` divides.

    Parameters
    ----------
    signals : the signals.
    name : the table.
    needs : the measures and their windows, in days.
    grid : the dates.
    rollup_folder : the folder in which the buckets of feeds in files are stored, so that only new files are read; None
        to store nothing.
    """
    feed = signals.feeds.get(name)
    if feed is None:
        planned, needs = plan_passes(name, needs, grid.every_days), tuple(needs)
        tables = tuple(collect(signals.connection, bucket_rows, what) for what in planned)
        rows = (
            collect(signals.connection, versioned_account_rows, measures_of(needs))
            if name in signals.versioned
            else None
        )
        return RolledTable(planned, tables, rows)
    # The stored buckets have no cutoff: a snapshot only uses rows known by its date anyway.
    if rollup_folder is not None and feed.files and grid.last <= feed.cutoff:
        return _roll_up_incrementally(feed, frozenset(needs), grid, rollup_folder)
    few = _countable(needs)
    while True:
        planned = plan_passes(name, needs, grid.every_days, few)
        try:
            return RolledTable(planned, _in_parts(feed, planned, feed.rows, grid, KeyBits()))
        except TooManyKeys as crowded:
            few.remove(crowded.measure)


def _roll_up_incrementally(feed: Feed, needs: frozenset[Need], grid: Grid, folder: Path) -> RolledTable:
    lots = file_partitions(feed.files, folder)
    crowd = ManyKeyMeasures.of(folder, feed)
    planned = plan_passes(
        feed.name, needs, grid.every_days, [m for m in _countable(needs) if m.name not in crowd.names]
    )
    stored = StateFolder.of(folder, feed, planned, grid)
    state = stored.read({lot.digest for lot in lots})
    new = [lot for lot in lots if lot.digest not in state.lots]
    if not new:
        return RolledTable(planned, state.tables)
    view = feed.of_files([lot.path for lot in new], "new")
    numbers = KeyBits({name: list(keys) for name, keys in state.keys.items()})
    older = _overlapping([lot for lot in lots if lot.digest in state.lots], new)
    try:
        piece = _in_parts(feed, planned, view, grid, numbers, older)
    except TooManyKeys as crowded:
        # From now on its keys are stored as rows.
        crowd.add({crowded.measure.name})
        return _roll_up_incrementally(feed, needs, grid, folder)
    return RolledTable(
        planned, stored.add(state, piece, new, {m: tuple(keys) for m, keys in numbers.keys.items()}).tables
    )


def _countable(needs: Iterable[Need]) -> list[Distinct]:
    """Return the Distinct measures of which only the number of keys is needed."""
    counting = {m.lagged(0): None for m, _ in needs if m.counted_key is not None}
    keyed = {m.counted_key for m in counting if m.counted_key != m}
    return [key for m in counting if (key := m.counted_key) == m and key is not None and key not in keyed]


def _in_parts(
    feed: Feed, planned: tuple[Pass, ...], view: str, grid: Grid, numbers: KeyBits, older: Sequence[Path] = ()
) -> Tables:
    """Return the buckets of ``view``; ``older`` are files rolled up earlier that may contain some of its events."""
    pieces: dict[Pass, list[pa.Table]] = {what: [] for what in planned}
    for what in planned:
        if isinstance(what, FeedStartPass):
            pieces[what] = _started(feed, what, view, grid)
        elif isinstance(what, StatePass):
            pieces[what] = [_compact(collect(feed.connection, bucket_rows, what, view))]
    if grouped := groupings(planned):
        pieces.update(_grouped(feed, grouped, view, grid, numbers, older).items())
    return tuple(pa.concat_tables(into) for into in pieces.values())


def _grouped(
    feed: Feed, planned: tuple[Grouping, ...], view: str, grid: Grid, numbers: KeyBits, older: Sequence[Path]
) -> dict[Grouping, list[pa.Table]]:
    """Return the buckets of ``view`` for each grouping, in pieces; parts are grouped while the next one is read."""
    into: dict[Grouping, list[pa.Table]] = {what: [] for what in planned}
    past = feed.of_files(older, "old") if older else ""
    before = feed.hashes(past) if past else None
    repeated_rows: list[Hashes] = []
    undecided: list[Hashes] = []
    waiting: deque[Future[GroupedPart]] = deque()

    def take() -> None:
        part = waiting.popleft().result()
        _add(into, part.tables)
        repeated_rows.append(part.repeated)
        undecided.append(part.undecided)

    with ThreadPoolExecutor(MAX_PARTS_AHEAD) as pool:
        for part, _ in feed.parts(view, PART_ROWS):
            rows = collect(feed.connection, measure_rows, planned, part)
            waiting.append(pool.submit(_part, rows, planned, grid, numbers, before, bool(feed.extras)))
            if len(waiting) > MAX_PARTS_AHEAD:
                take()
        while waiting:
            take()
    _correct_repeated(feed, into, view, past, np.concatenate([NO_HASHES, *repeated_rows]), grid, numbers)
    _add_undecided(feed, into, view, np.concatenate([NO_HASHES, *undecided]), grid, numbers)
    return into


@dataclass(frozen=True)
class GroupedPart:
    """The buckets of a part of a feed's rows, and the hashes of the rows that were left out.

    Parameters
    ----------
    tables : the buckets, one table for each grouping.
    repeated : rows that older files may already contain.
    undecided : rows that are equal in all columns of the contract, but may differ in others.
    """

    tables: list[pa.Table]
    repeated: Hashes
    undecided: Hashes


def _part(
    rows: pa.Table, planned: Sequence[Grouping], grid: Grid, numbers: KeyBits, before: Hashes | None, extras: bool
) -> GroupedPart:
    """Return the buckets of some rows, counting each event once."""
    hashes: Hashes = rows[HASH].to_numpy()
    in_older, undecided = NO_HASHES, NO_HASHES
    keep: Bools | None = None
    if not extras:
        keep = first_occurrences(rows)
    elif len(repeated := repeated_hashes(hashes)):
        keep = ~is_in(hashes, repeated)
        undecided = np.unique(repeated)
    if before is not None and len(before):
        old = is_in(hashes, before)
        keep, in_older = ~old if keep is None else keep & ~old, hashes[old]
        if len(undecided) and len(in_older):
            undecided = undecided[~is_in(undecided, in_older)]
    return GroupedPart(group_rows(rows, planned, epoch_seconds(grid.first), numbers, keep), in_older, undecided)


def _add(into: dict[Grouping, list[pa.Table]], tables: Sequence[pa.Table]) -> None:
    for pieces, table in zip(into.values(), tables, strict=True):
        pieces.append(table)


def _add_undecided(
    feed: Feed, into: dict[Grouping, list[pa.Table]], view: str, undecided: Hashes, grid: Grid, numbers: KeyBits
) -> None:
    """Add the rows of ``view`` that differ only in columns outside the contract, counting each event once."""
    if len(undecided):
        rows = collect(
            feed.connection, measure_rows, tuple(into), feed.once([feed.of_hashes(view, undecided, "undecided")])
        )
        _add(into, group_rows(rows, tuple(into), epoch_seconds(grid.first), numbers))


def _correct_repeated(
    feed: Feed,
    into: dict[Grouping, list[pa.Table]],
    view: str,
    past: str,
    repeated_rows: Hashes,
    grid: Grid,
    numbers: KeyBits,
) -> None:
    """Count rows of ``view`` that are also in older files once, from when they were first known.

    The rows in the older files are subtracted, and then all of them are added. Only counts and sums are subtracted:
    adding a key twice has no effect.
    """
    if not len(repeated_rows):
        return
    planned, earlier = tuple(into), feed.of_hashes(past, repeated_rows, "earlier")
    if sums := tuple(what for what in planned if isinstance(what, BucketPass)):
        rows = collect(feed.connection, measure_rows, sums, feed.once([earlier]))
        for what, table in zip(sums, group_rows(rows, sums, epoch_seconds(grid.first), numbers), strict=True):
            into[what].append(_negated(what, table))
    everything = feed.once([earlier, feed.of_hashes(view, repeated_rows, "repeated")])
    rows = collect(feed.connection, measure_rows, planned, everything)
    _add(into, group_rows(rows, planned, epoch_seconds(grid.first), numbers))


def _started(feed: Feed, what: FeedStartPass, view: str, grid: Grid) -> list[pa.Table]:
    """Find the start of ``view`` and its columns, reading no more rows than needed."""
    for part, high in feed.parts(view, START_SEARCH_ROWS):
        first = collect(feed.connection, bucket_rows, what, part)
        if _is_complete(what, first, high, grid):
            return [first]
        break
    return [collect(feed.connection, bucket_rows, what, view)]


def _is_complete(what: FeedStartPass, table: pa.Table, high: datetime | None, grid: Grid) -> bool:
    """Check that every column has a value that was known before any row at ``high`` or later.

    In that case no later row can be the first of a column.
    """
    if high is None:
        return False
    width = what.width * DAY_SECONDS
    next_known = (epoch_seconds(high.replace(tzinfo=UTC)) - epoch_seconds(grid.first) % width) // width + 1
    early = table.filter(pc.less_equal(table["kb"], next_known))
    return all(early[name].null_count < len(early) for name in early.column_names)


def _negated(what: BucketPass, table: pa.Table) -> pa.Table:
    for measure in what.measures:
        for column, reduction in measure.bucket_columns().items():
            if reduction in ("count", "sum"):
                place = table.schema.get_field_index(column)
                table = table.set_column(place, table.schema.field(place), pc.negate(table[column]))
    return table


def _compact(table: pa.Table) -> pa.Table:
    """Encode text columns as dictionaries, so that repeated texts are stored once."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(place, field.name, table[place].cast(pa.string()).dictionary_encode())
    return table


def _overlapping(old: Sequence[FilePartition], new: Sequence[FilePartition]) -> list[Path]:
    """Return the old files whose instants overlap those of the new ones."""
    low, high = min(lot.first for lot in new), max(lot.last for lot in new)
    return [lot.path for lot in old if lot.first <= high and lot.last >= low]
