"""Getting a table's buckets: in one go, or for a feed too large for that in parts, each event once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import DAY_SECONDS, Grid, seconds
from features.engine import collect, lay
from features.feed import Feed
from features.kept.lots import Lot, lots_of
from features.kept.state import Crowd, Kept
from features.measures import ActiveDays, Count, Distinct, Sum
from features.rollup import FEW, Gathering, Need, Pass, Starts, few_table, keys_of, passes, rolled_up
from features.signals import Signals

ROWS_AT_ONCE = 8_000_000
"""Rows of a feed that are grouped at a time: as fast as more of them, in bounded memory."""

Keys = dict[Distinct, tuple[str, ...]]
"""The keys of the Distinct measures that have few, in the order of their bits."""
Tables = tuple[pa.Table, ...]


@dataclass(frozen=True)
class Rolled:
    """The buckets of one table: ``tables[i]`` is what ``passes[i]`` yielded, in no order and perhaps in pieces."""

    passes: tuple[Pass, ...]
    tables: Tables

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
        found = passes(name, needs, grid.every_days)
        return Rolled(found, tuple(collect(signals.connection, rolled_up, what) for what in found))
    # What is kept knows no cut-off: a snapshot looks at what was known by its date anyway.
    if kept is not None and feed.files and grid.last <= feed.cutoff:
        return _from_kept(feed, frozenset(needs), grid, kept)
    keys = _few(feed, _countable(needs), feed.view, {})
    found = passes(name, needs, grid.every_days, keys)
    return Rolled(found, _in_parts(feed, found, feed.view, grid))


def _from_kept(feed: Feed, needs: frozenset[Need], grid: Grid, folder: Path) -> Rolled:
    lots = lots_of(feed.files, folder)
    crowd = Crowd.of(folder, feed)
    few = [m for m in _countable(needs) if m.name not in crowd.names]
    found = passes(feed.name, needs, grid.every_days, few)
    kept = Kept.of(folder, feed, found, grid)
    state = kept.read({lot.digest for lot in lots})
    new = [lot for lot in lots if lot.digest not in state.lots]
    if not new:
        return Rolled(found, state.tables)
    view = feed.of_files([lot.path for lot in new], "new")
    keys = _few(feed, few, view, {m: state.keys.get(m.name, ()) for m in few})
    if len(keys) < len(few):
        # Too many keys for bits: from now on they are rows of their own.
        crowd.add({m.name for m in few if m not in keys})
        return _from_kept(feed, needs, grid, folder)
    piece = _in_parts(feed, found, view, grid, _overlapping([lot for lot in lots if lot.digest in state.lots], new))
    return Rolled(found, kept.add(state, piece, new, {m.name: k for m, k in keys.items()}).tables)


def _countable(needs: Iterable[Need]) -> list[Distinct]:
    """The Distinct measures whose keys are of no interest beyond their number."""
    keyed = {m.of for m, _ in needs if isinstance(m, ActiveDays)}
    return [m for m in {m.back(0): None for m, _ in needs if isinstance(m, Distinct)} if m not in keyed]


def _few(feed: Feed, measures: Sequence[Distinct], view: str, before: Keys) -> Keys:
    """The Distinct measures that have few keys in all, those of ``view`` after those there were."""
    found: Keys = {}
    for measure in measures:
        fresh = set(collect(feed.connection, keys_of, measure, view, FEW + 1)["key"].to_pylist())
        known = before.get(measure, ())
        keys = (*known, *sorted(fresh - set(known)))
        if len(keys) <= FEW:
            bits = pa.array([1 << i for i in range(len(keys))], pa.int64())
            lay(feed.connection, few_table(measure), pa.table({"key": pa.array(keys, pa.string()), "bit": bits}))
            found[measure] = keys
    return found


def _in_parts(feed: Feed, found: tuple[Pass, ...], view: str, grid: Grid, older: Sequence[Path] = ()) -> Tables:
    """The buckets of ``view``; ``older`` are files rolled up before that may hold some of its events already."""
    pieces: list[list[pa.Table]] = [[] for _ in found]
    past = feed.of_files(older, "old") if older else ""
    begun = False
    for part, high in feed.parts(view, ROWS_AT_ONCE):
        for what, into in zip(found, pieces, strict=True):
            if isinstance(what, Starts) and begun:
                continue
            into.append(_compact(collect(feed.connection, rolled_up, what, part)))
            if isinstance(what, Starts):
                begun = _has_begun(what, into[-1], high, grid)
        for what, tables in _corrections(feed, found, part, past):
            pieces[found.index(what)] += tables
    return tuple(pa.concat_tables(into) for into in pieces)


def _has_begun(what: Starts, table: pa.Table, high: datetime | None, grid: Grid) -> bool:
    """Whether every column had a value that was known before anything at ``high`` or later could be: then no later row
    is the first of anything."""
    if high is None:
        return False
    width = what.width * DAY_SECONDS
    next_known = (seconds(high.replace(tzinfo=UTC)) - seconds(grid.first) % width) // width + 1
    early = table.filter(pc.less_equal(table["kb"], next_known))
    return all(early[name].null_count < len(early) for name in early.column_names)


def _corrections(feed: Feed, found: tuple[Pass, ...], view: str, past: str) -> Iterable[tuple[Pass, list[pa.Table]]]:
    """What makes rows that came several times count once: all of them taken away, each event that is new added.

    Rows that are the same event share account and instant, so only those are looked at that share the hash of both;
    rows that merely look alike are both taken away and added. A key that is there twice is there: only what is added up
    has to be put right.
    """
    hashes = feed.hashes(view)
    before = feed.hashes(past) if past else hashes[:0]
    again_here = np.zeros(len(hashes), dtype=np.bool_)
    again_here[1:] = hashes[1:] == hashes[:-1]
    if len(before):
        again_here |= before[np.minimum(np.searchsorted(before, hashes), len(before) - 1)] == hashes
    twice = hashes[again_here]
    if not len(twice):
        return
    again = feed.of_hashes(view, twice, "again")
    earlier = [feed.of_hashes(past, twice, "earlier")] if past else []
    sums = [what for what in found if isinstance(what, Gathering)]
    run = feed.connection
    away = [_negated(what, collect(run, rolled_up, what, again)) for what in sums]
    if earlier:
        had = feed.once(earlier)
        away = [
            pa.concat_tables([a, _negated(w, collect(run, rolled_up, w, had))]) for w, a in zip(sums, away, strict=True)
        ]
    once = feed.once([again, *earlier])
    for what, table in zip(sums, away, strict=True):
        yield what, [_compact(table), _compact(collect(run, rolled_up, what, once))]


def _negated(what: Gathering, table: pa.Table) -> pa.Table:
    for measure in what.measures:
        if isinstance(measure, Count | Sum):
            place = table.schema.get_field_index(measure.name)
            table = table.set_column(place, table.schema.field(place), pc.negate(table[measure.name]))
    return table


def _compact(table: pa.Table) -> pa.Table:
    """Texts that recur are held once."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(place, field.name, table[place].cast(pa.string()).dictionary_encode())
    return table


def _overlapping(old: Sequence[Lot], new: Sequence[Lot]) -> list[Path]:
    """The old files whose instants overlap those of the new ones."""
    low, high = min(lot.first for lot in new), max(lot.last for lot in new)
    return [lot.path for lot in old if lot.first <= high and lot.last >= low]
