"""From buckets to the values at every date: running sums and running extremes along the grid.

A bucket is seen from the first date at or after it became known until the first date from which its window no longer
reaches it. So a window's sum at every date is a running sum of what begins to be seen less what ceases to be, and an
exact distinct count is that of each key's intervals, merged. Whole numbers throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.account_date_grid import Board, Clock, Ints, Values, intervals
from features.aggregation.bucket_arithmetic import unpacked
from features.aggregation.distinct_bitsets import Bits
from features.aggregation.distinct_keys import Merged, codes, distinct, distinct_at_once, merged, new_days
from features.aggregation.latest_values import extremes, held, latest
from features.aggregation.passes import Gathering, Need, Pass, Presence, Starts, States
from features.aggregation.window_sums import Totals
from features.definitions.aggregations import EVER, Measure, Reduction, Window, column_name, start_column
from features.utils.dates import Grid


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
        float64 in ten-thousandths with NaN for none. See `features.definitions.aggregations.column_name`.
    """
    if isinstance(what, Starts):
        return {}
    table, account = board.rows_of(rolled)
    buckets = _Buckets(table, account, Clock(board.grid, what.width), board)
    wanted = [need for need in needs if _yields(what, need[0])]
    window: Callable[[Measure, int], Window]
    if isinstance(what, Gathering):
        window = partial(_GatheredWindow, _Gathered(buckets))
    elif isinstance(what, Presence):
        window = partial(_KeyWindow, _Keys(buckets, wanted))
    else:
        window = partial(_StateWindow, buckets)
    return {column_name(measure, days): measure.evaluate(window(measure, days)) for measure, days in wanted}


def _yields(what: Gathering | Presence | States, measure: Measure) -> bool:
    """Whether the pass holds what the measure follows from."""
    if isinstance(what, Presence):
        return measure.counted_key is not None and measure.counted_key.back(0) == what.measure
    return measure.back(0) in (what.measures if isinstance(what, Gathering) else (what.measure,))


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


@dataclass(frozen=True)
class _Buckets:
    """What a pass rolled up to, and whose each row is (places on the board)."""

    table: pa.Table
    account: Ints
    clock: Clock
    board: Board

    @cached_property
    def span(self) -> tuple[Ints, Ints]:
        """The bucket in which each row became known, and that in which it happened."""
        return unpacked(_ints(self.table, "span"))


@dataclass(frozen=True)
class _Gathered:
    """Buckets of a Gathering; what several windows of a column look at is worked out once."""

    buckets: _Buckets
    _totals: dict[str, Totals] = field(default_factory=dict)
    _bits: dict[str, Bits] = field(default_factory=dict)

    def totals(self, column: str, reduction: Reduction) -> Totals:
        """Counts, sums or days, ready to be added up."""
        if column not in self._totals:
            b = self.buckets
            amounts = b.account, *b.span, _ints(b.table, column)
            if reduction == "days":
                amounts = new_days(amounts[0], np.zeros_like(b.account), *amounts[1:])
            self._totals[column] = Totals.of(*amounts, b.board)
        return self._totals[column]

    def bits(self, column: str) -> Bits:
        """Keys as bits, ready to be counted."""
        if column not in self._bits:
            b = self.buckets
            self._bits[column] = Bits.of(b.account, *b.span, _ints(b.table, column), b.clock, b.board)
        return self._bits[column]


@dataclass(frozen=True)
class _GatheredWindow(Window):
    """One window of a measure that is held in buckets."""

    gathered: _Gathered
    measure: Measure
    window_days: int

    def count(self) -> Values:
        """The number of rows."""
        return self._total("count")

    def sum(self) -> Values:
        """The sum of the rows' numbers."""
        return self._total("sum")

    def days(self) -> Values:
        """The number of days with a row."""
        return self._total("days")

    def least(self) -> Values:
        """The least number or instant."""
        return self._extreme("least")

    def greatest(self) -> Values:
        """The greatest number or instant."""
        return self._extreme("greatest")

    def keys(self) -> Values:
        """The number of different keys."""
        return self.gathered.bits(self._column("keys")).over(self.window_days, self.measure.ago)

    def _total(self, reduction: Reduction) -> Ints:
        totals = self.gathered.totals(self._column(reduction), reduction)
        return totals.over(self.gathered.buckets.clock, self.window_days, self.measure.ago)

    def _extreme(self, reduction: Literal["least", "greatest"]) -> Values:
        buckets, ago = self.gathered.buckets, self.measure.ago
        known, happened = buckets.span
        opens = buckets.clock.date(known, ago)
        closes = None if self.window_days == EVER else buckets.clock.gone(happened, self.window_days, ago)
        amounts = _floats(buckets.table, self._column(reduction), np.nan)
        return extremes(reduction, buckets.account, opens, amounts, buckets.board, closes)

    def _column(self, reduction: Reduction) -> str:
        return next(column for column, each in self.measure.bucket_columns().items() if each == reduction)


@dataclass(frozen=True)
class _Keys:
    """The keys of a Presence, and everything that is needed of them."""

    buckets: _Buckets
    needs: Sequence[Need]

    @cached_property
    def at_once(self) -> dict[str, Ints]:
        """The number of different keys at the only date, by column."""
        rows, counted = self._counted
        return distinct_at_once(*rows, counted, self.buckets.clock, self.buckets.board)

    @cached_property
    def merged(self) -> Merged:
        """The rows of every key, merged."""
        rows, _ = self._counted
        return merged(*rows)

    @cached_property
    def days(self) -> tuple[Ints, Ints, Ints, Ints]:
        """How many days of each bucket became known when."""
        wanted = [need for need in self.needs if "days" in need[0].reductions]
        b, (known, happened) = self.buckets, self.buckets.span
        seen = _reached(known, happened, wanted, b.clock)
        rows = b.account[seen], codes(b.table["key"].filter(pa.array(seen))), known[seen], happened[seen]
        return new_days(*rows, _ints(b.table, "days")[seen])

    @cached_property
    def _counted(self) -> tuple[tuple[Ints, Ints, Ints, Ints], list[Need]]:
        wanted = [need for need in self.needs if "keys" in need[0].reductions]
        b, (known, happened) = self.buckets, self.buckets.span
        seen = _reached(known, happened, wanted, b.clock)
        return (b.account[seen], codes(b.table["key"])[seen], known[seen], happened[seen]), wanted


@dataclass(frozen=True)
class _KeyWindow(Window):
    """One window of a measure that counts keys."""

    held_keys: _Keys
    measure: Measure
    window_days: int

    def keys(self) -> Values:
        """The number of different keys."""
        buckets = self.held_keys.buckets
        if buckets.board.grid.n == 1:
            return self.held_keys.at_once[column_name(self.measure, self.window_days)]
        return distinct(self.held_keys.merged, buckets.clock, self.window_days, self.measure.ago, buckets.board)

    def days(self) -> Values:
        """The number of pairs of a key and a day."""
        buckets = self.held_keys.buckets
        who, since, at, many = self.held_keys.days
        opens = buckets.clock.date(since, self.measure.ago)
        closes = buckets.clock.gone(at, self.window_days, self.measure.ago)
        return intervals(buckets.board, who, opens, closes, many)


def _reached(known: Ints, happened: Ints, needs: Iterable[Need], clock: Clock) -> npt.NDArray[np.bool_]:
    """Which rows are known by the last date and in one of the windows of the first: the others change nothing."""
    reach = max((days + m.ago if days else 2**40) for m, days in needs)
    reached: npt.NDArray[np.bool_] = (known <= clock.ends(0)[-1]) & (happened + reach // clock.width > clock.first)
    return reached


@dataclass(frozen=True)
class _StateWindow(Window):
    """A measure of states or intervals."""

    buckets: _Buckets
    measure: Measure
    window_days: int

    def state(self) -> Values:
        """The number of the latest row."""
        table = self.buckets.table
        return latest(self.buckets.account, self._opens, _ints(table, "at_us"), self._amount, self.buckets.board)

    def keys_in_state(self) -> Values:
        """The number of keys whose latest row fulfils the condition."""
        b, table = self.buckets, self.buckets.table
        part = codes(table["part"]) if self.measure.state_part else np.zeros_like(b.account)
        return held(b.account, codes(table["key"]), part, self._opens, _ints(table, "at_us"), self._amount, b.board)

    def in_force(self) -> Values:
        """The sum of the numbers of the intervals that are in force."""
        b, table = self.buckets, self.buckets.table
        ends = pc.fill_null(table["eb"], 0).to_numpy().astype(np.int64)
        closes = np.where(table["eb"].is_valid().to_numpy(), b.clock.date(ends, self.measure.ago), b.board.grid.n)
        return intervals(b.board, b.account, self._opens, closes, self._amount)

    @property
    def _opens(self) -> Ints:
        return self.buckets.clock.date(_ints(self.buckets.table, "kb"), self.measure.ago)

    @property
    def _amount(self) -> Ints:
        return _ints(self.buckets.table, "amount")


def _ints(table: pa.Table, name: str) -> Ints:
    found: Ints = table[name].to_numpy().astype(np.int64)
    return found


def _floats(table: pa.Table, name: str, unknown: float) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = pc.fill_null(table[name].cast(pa.float64(), safe=False), unknown).to_numpy()
    return found
