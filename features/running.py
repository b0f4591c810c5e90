"""From buckets to the values at every date: running sums and running extremes along the grid.

A bucket is seen from the first date at or after it became known until the first date from which its window no longer
reaches it. So a window's sum at every date is a running sum of what begins to be seen less what ceases to be, and an
exact distinct count is that of each key's intervals, merged. Whole numbers throughout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import DAY_SECONDS, Grid, seconds
from features.measures import (
    EVER,
    ActiveDays,
    Distinct,
    Holding,
    Measure,
    Newest,
    Oldest,
    Standing,
    column_name,
    start_column,
)
from features.rollup import Gathering, Need, Pass, Presence, Starts, States, unpacked

Ints: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[Any]

UNSEEN = np.int64(-(2**62))
"""Less than any instant, rank or bucket."""
USUAL = 50
"""A lag that more than one in so many rows have is a usual one."""
KEYS_AT_ONCE = 2_000_000
"""Cells of the (key, date) table that is worked on at a time."""


@dataclass(frozen=True)
class Board:
    """Every account at every date, and the cells of it that are asked for.

    Parameters
    ----------
    accounts : all account ids, sorted, shape (a,).
    grid : the dates, p of them.
    cells : positions ``account * p + date`` of the rows asked for, shape (n,).
    """

    accounts: pa.Array
    grid: Grid
    cells: Ints

    def rows_of(self, table: pa.Table) -> tuple[pa.Table, Ints]:
        """The rows of known accounts, and which account each is of."""
        place = np.concatenate([self._places(chunk) for chunk in table["account_id"].chunks] or [np.zeros(0, np.int64)])
        if len(place) and place.min() < 0:
            table, place = table.filter(pa.array(place >= 0)), place[place >= 0]
        return table, place

    def _places(self, ids: pa.Array) -> Ints:
        """Which account each id is, -1 for none of ours."""
        if not pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_encode()
        own = pc.fill_null(pc.index_in(ids.dictionary.cast(self.accounts.type), value_set=self.accounts), -1)
        found: Ints = own.to_numpy().astype(np.int64)[ids.indices.to_numpy()]
        return found

    def blocks(self, n: int) -> list[tuple[Ints, Board]]:
        """``n`` boards of about as many accounts each, and which of this board's cells are theirs."""
        account, date = self.place
        edges = np.linspace(0, len(self.accounts), n + 1).astype(np.int64).tolist()
        found = []
        for low, high in pairwise(edges):
            mine = np.flatnonzero((account >= low) & (account < high))
            cells = (account[mine] - low) * self.grid.n + date[mine]
            found.append((mine, Board(self.accounts.slice(low, high - low), self.grid, cells)))
        return found

    @cached_property
    def place(self) -> tuple[Ints, Ints]:
        """Account and date of each cell."""
        account, date = np.divmod(self.cells, self.grid.n)
        return account, date

    @property
    def shape(self) -> tuple[int, int]:
        """Accounts and dates."""
        return len(self.accounts), self.grid.n


@dataclass(frozen=True)
class Clock:
    """Buckets of ``width`` days against the grid's dates."""

    grid: Grid
    width: int

    @property
    def first(self) -> int:
        """The bucket that ends at the first date; see `features.rollup.bucket`."""
        return seconds(self.grid.first) // (self.width * DAY_SECONDS)

    def ends(self, ago: int) -> Ints:
        """The bucket that ends ``ago`` days before each date."""
        return self.first - ago // self.width + np.arange(self.grid.n) * (self.grid.every_days // self.width)

    def date(self, buckets: Ints, later_days: int = 0) -> Ints:
        """The first date at or after the end of each bucket, ``later_days`` later; 0 to the number of dates."""
        steps = self.grid.every_days // self.width
        ahead = buckets + (later_days // self.width - self.first)
        return np.clip(-(-ahead // steps), 0, self.grid.n)

    def gone(self, buckets: Ints, days: int, ago: int) -> Ints:
        """The first date whose window of ``days`` no longer reaches the bucket; 0 is "everything"."""
        if days == EVER:
            return np.full(len(buckets), self.grid.n, dtype=np.int64)
        return self.date(buckets, days + ago)


def columns_of(what: Pass, rolled: pa.Table, needs: Iterable[Need], board: Board) -> dict[str, Values]:
    """The columns that one pass yields, at the board's cells.

    Parameters
    ----------
    what : the pass, and
    rolled : the buckets that it rolled up to, in any order; buckets may come in pieces.
    needs : everything needed of the table; what the pass does not yield is passed over.
    board : the accounts, the dates and the cells asked for.

    Returns
    -------
    dict of str to array, shape (n,)
        Counts int64, sums int64 in ten-thousandths, instants float64 in seconds with NaN for none, values that stand
        float64 in ten-thousandths with NaN for none. See `features.measures.column_name`.
    """
    if isinstance(what, Starts):
        return {}
    table, account = board.rows_of(rolled)
    clock = Clock(board.grid, what.width)
    if isinstance(what, Gathering):
        return _gathered(what, table, account, clock, needs, board)
    if isinstance(what, Presence):
        return _present(what, table, account, clock, needs, board)
    return _stood(what, table, account, clock, needs, board)


def feed_starts(what: Starts, rolled: pa.Table, grid: Grid, history_s: float) -> dict[str, npt.NDArray[np.float64]]:
    """From which instant (seconds) the feed, and each column of it, is known to reach at each date, shape (p,).

    That is its first row known by then, or ``history_s`` where the caller knows it (NaN: no); NaN where there is none.
    A history that the caller vouches for covers an empty table, but not a column that has never been filled.
    """
    place = Clock(grid, what.width).date(_ints(rolled, "kb"))
    found = {}
    feed = np.zeros(0)
    for column in ("", *what.columns):
        first = np.full(grid.n + 1, np.inf)
        np.minimum.at(first, place, _floats(rolled, f"at_s_{column}" if column else "at_s", np.inf))
        running = np.minimum.accumulate(first)[:-1]
        if not column:
            feed = running
        if not np.isnan(history_s):
            # Rows came without a value before the column began; where the first row has one, it may always have been.
            whole = np.isfinite(running) & (running <= feed)
            running = np.where(whole, history_s, running) if column else np.full(grid.n, history_s)
        found[start_column(what.table, column)] = np.where(np.isinf(running), np.nan, running)
    return found


def _ints(table: pa.Table, name: str) -> Ints:
    found: Ints = table[name].to_numpy().astype(np.int64)
    return found


def _floats(table: pa.Table, name: str, unknown: float) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = pc.fill_null(table[name].cast(pa.float64(), safe=False), unknown).to_numpy()
    return found


def _gathered(
    what: Gathering, table: pa.Table, account: Ints, clock: Clock, needs: Iterable[Need], board: Board
) -> dict[str, Values]:
    known, happened = unpacked(_ints(table, "span"))
    mine = {m: m.name for m in what.measures}
    found: dict[str, Values] = {}
    totals: dict[str, _Totals] = {}
    bits: dict[str, _Bits] = {}
    for measure, window in needs:
        name = next((n for m, n in mine.items() if _same(m, measure)), None)
        if name is None:
            continue
        if isinstance(measure, Distinct):
            if name not in bits:
                bits[name] = _Bits.of(account, known, happened, _ints(table, name), clock, board)
            dense = bits[name].over(window, measure.ago)
        elif isinstance(measure, Newest):
            dense = _extremes(measure, account, clock.date(known, measure.ago), _floats(table, name, np.nan), board)
        elif isinstance(measure, ActiveDays):
            if name not in totals:
                new = _new_days(account, np.zeros_like(account), known, happened, _ints(table, name))
                totals[name] = _Totals.of(*new, board)
            dense = totals[name].over(clock, window, measure.ago)
        else:
            if name not in totals:
                totals[name] = _Totals.of(account, known, happened, _ints(table, name), board)
            dense = totals[name].over(clock, window, measure.ago)
        found[column_name(measure, window)] = dense
    return found


def _same(measure: Measure, other: Measure) -> bool:
    return type(measure) is type(other) and measure.name == other.name


@dataclass(frozen=True)
class _Totals:
    """Amounts by account and bucket, ready for sums over any window.

    Parameters
    ----------
    board : the accounts and cells.
    low : the first bucket, and
    running : the sums of all that was known as it happened, before each bucket from there on, shape (accounts, b + 1).
    late : account, kb, ob and amount of what became known later.
    """

    board: Board
    low: int
    running: Ints
    late: tuple[Ints, Ints, Ints, Ints]

    @classmethod
    def of(cls, account: Ints, known: Ints, happened: Ints, amount: Ints, board: Board) -> _Totals:
        used = amount != 0
        account, known, happened, amount = account[used], known[used], happened[used], amount[used]
        low = int(happened.min()) if len(happened) else 0
        buckets = int(happened.max()) - low + 1 if len(happened) else 0
        table = np.zeros(len(board.accounts) * (buckets + 1), dtype=np.int64)
        late = known != happened
        np.add.at(table, account[~late] * (buckets + 1) + happened[~late] - low + 1, amount[~late])
        running: Ints = np.cumsum(table.reshape(-1, buckets + 1), axis=1)
        return cls(board, low, running, (account[late], known[late], happened[late], amount[late]))

    def over(self, clock: Clock, days: int, ago: int) -> Ints:
        """The sum over the window of ``days`` (0: everything), as it stood ``ago`` days before each cell's date."""
        ends, last = clock.ends(ago) - self.low + 1, self.running.shape[1] - 1
        total = self.running[:, np.clip(ends, 0, last)]
        if days != EVER:
            total = total - self.running[:, np.clip(ends - days // clock.width, 0, last)]
        total = total.ravel()[self.board.cells]
        account, known, happened, amount = self.late
        opens, closes = clock.date(known, ago), clock.gone(happened, days, ago)
        return total + _intervals(self.board, account, opens, closes, amount)


def _intervals(board: Board, account: Ints, opens: Ints, closes: Ints, amount: Ints) -> Ints:
    """At each cell, the sum of the amounts whose interval ``[opens, closes)`` of dates holds it."""
    accounts, dates = board.shape
    seen = (opens < closes) & (amount != 0)
    account, opens, closes, amount = account[seen], opens[seen], closes[seen], amount[seen]
    change = np.zeros(accounts * (dates + 1), dtype=np.int64)
    np.add.at(change, account * (dates + 1) + opens, amount)
    np.subtract.at(change, account * (dates + 1) + closes, amount)
    running: Ints = change.reshape(accounts, dates + 1)[:, :dates].cumsum(axis=1)
    return running.ravel()[board.cells]


def _extremes(measure: Newest, account: Ints, opens: Ints, at_s: Values, board: Board) -> Values:
    """At each cell, the latest (earliest) instant among what is known there."""
    accounts, dates = board.shape
    seen = ~np.isnan(at_s) & (opens < dates)
    oldest = isinstance(measure, Oldest)
    best = np.full(accounts * dates, np.inf if oldest else -np.inf)
    (np.minimum if oldest else np.maximum).at(best, account[seen] * dates + opens[seen], at_s[seen])
    table = best.reshape(accounts, dates)
    running = (np.minimum if oldest else np.maximum).accumulate(table, axis=1).ravel()[board.cells]
    return np.where(np.isinf(running), np.nan, running)


def _present(
    what: Presence, table: pa.Table, account: Ints, clock: Clock, needs: Iterable[Need], board: Board
) -> dict[str, Values]:
    wanted = [n for n in needs if _same(what.measure, getattr(n[0], "of", None) or n[0])]
    if not wanted:
        return {}
    known, happened = unpacked(_ints(table, "span"))
    # What is known only after the last date, or out of every window at the first, changes nothing.
    reach = max((days + m.ago if days else 2**40) for m, days in wanted)
    last = clock.first + (board.grid.n - 1) * (board.grid.every_days // what.width)
    seen = (known <= last) & (happened + reach // what.width > clock.first)
    account, known, happened = account[seen], known[seen], happened[seen]
    key = _codes(table["key"])[seen]
    found: dict[str, Values] = {}
    if any(isinstance(m, Distinct) for m, _ in wanted):
        merged = _merged(account, key, known, happened)
        for measure, window in wanted:
            if isinstance(measure, Distinct):
                found[column_name(measure, window)] = _distinct(merged, clock, window, measure.ago, board)
    if what.days:
        who, since, at, many = _new_days(account, key, known, happened, _ints(table, "days")[seen])
        for measure, window in wanted:
            if isinstance(measure, ActiveDays):
                opens, closes = clock.date(since, measure.ago), clock.gone(at, window, measure.ago)
                found[column_name(measure, window)] = _intervals(board, who, opens, closes, many)
    return found


def _distinct(merged: _Merged, clock: Clock, days: int, ago: int, board: Board) -> Ints:
    """At each cell, how many keys have a row in the window."""
    account, known, happened, before, many = merged
    covered = np.where(before == UNSEEN, 0, clock.gone(before, days, ago))
    opens = np.maximum(clock.date(known, ago), covered)
    return _intervals(board, account, opens, clock.gone(happened, days, ago), many)


@dataclass(frozen=True)
class _Bits:
    """Keys as bits by account and bucket, ready to be counted over any window.

    Parameters
    ----------
    by_lag : for the usual lags between happening and being known (buckets), the bits of each account and bucket, shape
        (accounts, b), from bucket ``low`` to the last one that ends before the last date.
    late : account, kb, ob and bits of what became known after a lag that is rare.
    """

    clock: Clock
    board: Board
    low: int
    by_lag: dict[int, Ints]
    late: tuple[Ints, Ints, Ints, Ints]

    @classmethod
    def of(cls, account: Ints, known: Ints, happened: Ints, bits: Ints, clock: Clock, board: Board) -> _Bits:
        last = int(clock.ends(0)[-1])
        used = (bits != 0) & (happened <= last)
        account, known, happened, bits = account[used], known[used], happened[used], bits[used]
        low = int(happened.min()) if len(happened) else last
        lags, many = np.unique(known - happened, return_counts=True)
        usual = [int(lag) for lag in lags[many * USUAL > len(account)]]
        by_lag, wide = {}, last - low + 1
        for lag in usual:
            rows = known - happened == lag
            table = np.zeros(len(board.accounts) * wide, dtype=np.int64)
            np.bitwise_or.at(table, account[rows] * wide + happened[rows] - low, bits[rows])
            by_lag[lag] = table.reshape(-1, wide)
        rare = ~np.isin(known - happened, usual)
        return cls(clock, board, low, by_lag, (account[rare], known[rare], happened[rare], bits[rare]))

    def over(self, days: int, ago: int) -> Ints:
        """How many keys the window of ``days`` (0: everything) holds, as it stood ``ago`` days before each date."""
        accounts, dates = self.board.shape
        found = np.zeros((accounts, dates), dtype=np.int64)
        ends = self.clock.ends(ago) - self.low
        for lag, table in self.by_lag.items():
            length = table.shape[1] if days == EVER else days // self.clock.width - lag
            if length > 0:
                seen = _either(table, min(length, table.shape[1]))
                at = ends - lag
                # Beyond the last bucket nothing is known yet; before the first there was nothing.
                found |= np.where(at < 0, 0, seen[:, np.clip(at, 0, table.shape[1] - 1)])
        account, known, happened, bits = self.late
        flat, opens, closes = found.ravel(), self.clock.date(known, ago), self.clock.gone(happened, days, ago)
        while (still := opens < closes).any():
            account, opens, closes, bits = account[still], opens[still], closes[still], bits[still]
            np.bitwise_or.at(flat, account * dates + opens, bits)
            opens = opens + 1
        return np.bitwise_count(flat[self.board.cells]).astype(np.int64)


def _either(table: Ints, length: int) -> Ints:
    """The bits of the last ``length`` columns up to each one."""
    found, done = table.copy(), 1
    while done < length:
        step = min(done, length - done)
        found[:, step:] |= found[:, :-step].copy()
        done += step
    return found


def _codes(column: pa.ChunkedArray) -> Ints:
    """Equal texts as equal numbers."""
    if not len(column):
        return np.zeros(0, dtype=np.int64)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    merged = column.unify_dictionaries().combine_chunks()
    if isinstance(merged, pa.ChunkedArray):
        merged = merged.chunk(0)
    codes: Ints = merged.indices.to_numpy().astype(np.int64)
    return codes


def _sorted(*columns: Ints) -> tuple[Ints, ...]:
    """The rows in order of the columns, the first one first."""
    spans = [int(c.max()) - int(c.min()) + 1 if len(c) else 1 for c in columns]
    room = 1
    for span in spans:
        room *= span
    if room >= 2**63:
        order = np.lexsort(columns[::-1])
        return tuple(c[order] for c in columns)
    # One number for the whole row sorts many times faster than an index over several columns.
    packed = np.zeros(len(columns[0]), dtype=np.int64)
    lows = [int(c.min()) if len(c) else 0 for c in columns]
    for column, low, span in zip(columns, lows, spans, strict=True):
        packed = packed * span + (column - low)
    packed.sort()
    found = []
    for low, span in zip(reversed(lows), reversed(spans), strict=True):
        packed, rest = np.divmod(packed, span)
        found.append(rest + low)
    return tuple(reversed(found))


_Merged: TypeAlias = tuple[Ints, Ints, Ints, Ints, Ints]


def _merged(account: Ints, key: Ints, known: Ints, happened: Ints) -> _Merged:
    """Each key's rows in the order in which they became known: account, kb, ob, the latest ob before (`UNSEEN`: none),
    and how many keys of the account share all of that."""
    who, code, since, at = _sorted(account, key, known, happened)
    first = _begins(who, code)
    group = np.cumsum(first)
    low, span = (int(at.min()), int(at.max()) - int(at.min()) + 1) if len(at) else (0, 1)
    # Groups are numbered upwards, so that a running maximum starts anew with each.
    latest = np.maximum.accumulate(group * span + (at - low)) - group * span + low
    before = np.full_like(latest, low - 1)
    before[1:] = np.where(first[1:], low - 1, latest[:-1])
    who, since, at, before = _sorted(who, since, at, before)
    new = _begins(who, since, at, before)
    starts = np.flatnonzero(new)
    many = np.diff(np.append(starts, len(who)))
    before = before[starts]
    return who[starts], since[starts], at[starts], np.where(before < low, UNSEEN, before), many.astype(np.int64)


def _begins(*columns: Ints) -> npt.NDArray[np.bool_]:
    """Whether a row differs from the one before it."""
    new = np.zeros(len(columns[0]), dtype=np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def _new_days(account: Ints, key: Ints, known: Ints, happened: Ints, days: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """How many days of each bucket became known when: account, kb, ob, days that no earlier knowledge had."""
    who, code, at, since, bits = _sorted(account, key, happened, known, days)
    first = _begins(who, code, at)
    before = np.zeros_like(bits)
    rest = np.flatnonzero(~first)
    # A bucket of a key mostly comes whole; each turn deals with one more piece of those that came in several.
    turn = rest[first[rest - 1]] if len(rest) else rest
    while len(turn):
        before[turn] = before[turn - 1] | bits[turn - 1]
        turn = turn[turn + 1 < len(bits)] + 1
        turn = turn[~first[turn]]
    many = np.bitwise_count(bits & ~before).astype(np.int64)
    return who, since, at, many


def _stood(
    what: States, table: pa.Table, account: Ints, clock: Clock, needs: Iterable[Need], board: Board
) -> dict[str, Values]:
    found: dict[str, Values] = {}
    known, amount = _ints(table, "kb"), _ints(table, "amount")
    for measure, window in needs:
        if not _same(what.measure, measure):
            continue
        opens = clock.date(known, measure.ago)
        if isinstance(measure, Standing):
            ended = table["eb"].is_valid().to_numpy()
            ends = pc.fill_null(table["eb"], 0).to_numpy().astype(np.int64)
            closes = np.where(ended, clock.date(ends, measure.ago), board.grid.n)
            value: Values = _intervals(board, account, opens, closes, amount)
        elif isinstance(measure, Holding):
            part = _codes(table["part"]) if measure.by else np.zeros_like(account)
            value = _held(account, _codes(table["key"]), part, opens, _ints(table, "at_us"), amount, board)
        else:
            value = _latest(account, opens, _ints(table, "at_us"), amount, board)
        found[column_name(measure, window)] = value
    return found


def _in_force(line: Ints, lines: int, opens: Ints, at_us: Ints, amount: Ints, dates: int) -> Values:
    """On each line at each date, the amount of the latest row known, shape (lines, dates); NaN for none.

    Later is by instant, then by when it became known; among equals the lowest amount counts.
    """
    seen = opens < dates
    line, opens, at_us, amount = line[seen], opens[seen], at_us[seen], amount[seen]
    order = np.lexsort((-amount, opens, at_us, line))
    rank = np.full(lines * dates, -1, dtype=np.int64)
    np.maximum.at(rank, line[order] * dates + opens[order], np.arange(len(order)))
    rank = np.maximum.accumulate(rank.reshape(lines, dates), axis=1)
    amounts = np.append(amount[order].astype(np.float64), np.nan)
    return amounts[rank]


def _latest(account: Ints, opens: Ints, at_us: Ints, amount: Ints, board: Board) -> Values:
    accounts, dates = board.shape
    return _in_force(account, accounts, opens, at_us, amount, dates).ravel()[board.cells]


def _held(account: Ints, key: Ints, part: Ints, opens: Ints, at_us: Ints, holds: Ints, board: Board) -> Ints:
    """At each cell, how many of the account's keys hold in one of their parts."""
    accounts, dates = board.shape
    order = np.lexsort((part, key, account))
    account, key, part, opens, at_us, holds = (c[order] for c in (account, key, part, opens, at_us, holds))
    line = np.cumsum(_begins(account, key, part)) - 1
    first = _begins(account, key)
    owner, starts = account[first], line[first]
    total = np.zeros((accounts, dates), dtype=np.int64)
    block = max(KEYS_AT_ONCE // dates, 1)
    for low in range(0, len(owner), block):
        mine = starts[low : low + block]
        end = starts[low + block] if low + block < len(starts) else int(line[-1]) + 1
        here = slice(*np.searchsorted(line, [mine[0], end]))
        state = _in_force(line[here] - mine[0], int(end - mine[0]), opens[here], at_us[here], holds[here], dates)
        any_part = np.logical_or.reduceat(state == 1, mine - mine[0], axis=0)
        np.add.at(total, owner[low : low + block], any_part.astype(np.int64))
    return total.ravel()[board.cells]
