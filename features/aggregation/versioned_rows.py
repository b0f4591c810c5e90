"""Counting row by row at every date, where events have versions.

Buckets add up what was ever known; a version that another one replaced has to be taken out again. The accounts that
have such events are therefore counted from their rows: a row is seen from the first date after it was known, until the
first date that no longer lies before the arrival of the next version, or whose window no longer reaches the row. What
comes out is what `features.aggregation.window_columns` would yield if it knew at each date only the versions of that
date.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.account_date_grid import Board, Ints, Values, intervals
from features.aggregation.bucket_arithmetic import us_column
from features.aggregation.distinct_keys import begins, codes
from features.aggregation.latest_values import extremes, held, latest
from features.aggregation.passes import Need, holds_column, part_column, value_column
from features.definitions.aggregations import EVER, Measure, Window, column_name
from features.sources.sql_functions import DAY_MICROS
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds

SECOND = 1_000_000
NEVER = 2**60
"""Microseconds beyond every instant."""

Bools = npt.NDArray[np.bool_]


def with_versions(columns: dict[str, Values], rows: pa.Table, needs: Iterable[Need], board: Board) -> dict[str, Values]:
    """``columns`` of all accounts, those that ``rows`` are of counted from these.

    Parameters
    ----------
    columns : see `features.aggregation.window_columns.columns_of`.
    rows : all rows of some accounts (`features.aggregation.passes.measured_rows`), for the measures of ``needs`` or
    more.
    needs : everything needed of the table.
    board : the accounts, the dates and the cells asked for.
    """
    table, account = board.rows_of(rows)
    affected = np.zeros(len(board.accounts), dtype=np.bool_)
    affected[account] = True
    mine = affected[board.place[0]]
    counted, found = _Rows(table, account, board), dict(columns)
    for measure, days in needs:
        name = column_name(measure, days)
        found[name] = np.where(mine, counted.over(measure, days), found[name])
    return found


@dataclass(frozen=True)
class _Rows:
    """The rows, whose they are (places on the board), and the board."""

    table: pa.Table
    account: Ints
    board: Board

    def over(self, measure: Measure, days: int) -> Values:
        """What ``measure`` comes to over the window of ``days`` (0: everything) at each cell of the board."""
        at, until = self._us(measure.at), self._us("until_at")
        known = at if measure.end_column else self._us(measure.known)
        opens, closes = self._dates(known, measure.ago), self._dates(until, measure.ago)
        opens = np.maximum(opens, self._dates(at, measure.ago))
        if days != EVER:
            closes = np.minimum(closes, self._dates(at, measure.ago + days))
        if measure.end_column:
            closes = np.minimum(closes, self._dates(self._us(measure.end_column), measure.ago))
        counts = self._counts(measure) & (opens < closes)
        rows = self.account[counts], opens[counts], closes[counts]
        columns = [value_column(measure), part_column(measure), holds_column(measure)]
        own = self.table.select([c for c in columns if c in self.table.column_names]).filter(pa.array(counts))
        return measure.evaluate(_RowWindow(measure, own, at[counts], rows, self.board))

    def _counts(self, measure: Measure) -> Bools:
        """Which rows count: those with a value, or marked so, that are placed in time."""
        value = self.table[value_column(measure)]
        counts = value if pa.types.is_boolean(value.type) else value.is_valid()
        there: Bools = np.asarray(counts.to_numpy(), dtype=np.bool_)
        for column in (measure.at, measure.known):
            there = there & self.table[us_column(column)].is_valid().to_numpy()
        return there

    def _us(self, column: str) -> Ints:
        """An instant column in microseconds; null is never."""
        found: Ints = pc.fill_null(self.table[us_column(column)], NEVER).to_numpy().astype(np.int64)
        return found

    def _dates(self, us: Ints, later_days: int) -> Ints:
        """`features.utils.dates.Grid.position` of instants, so many days later."""
        grid: Grid = self.board.grid
        since = us // SECOND + (later_days * DAY_SECONDS - epoch_seconds(grid.first))
        return np.clip(since // (grid.every_days * DAY_SECONDS) + 1, 0, grid.n)


@dataclass(frozen=True)
class _RowWindow(Window):
    """The rows of a measure that count in one window: their instants (microseconds), and their accounts with the dates
    from which and until which each is seen."""

    measure: Measure
    table: pa.Table
    at: Ints
    rows: tuple[Ints, Ints, Ints]
    board: Board

    def count(self) -> Values:
        """The number of rows."""
        return intervals(self.board, *self.rows, np.ones(len(self.at), dtype=np.int64))

    def sum(self) -> Values:
        """The sum of the rows' numbers."""
        return intervals(self.board, *self.rows, self._number)

    def least(self) -> Values:
        """The least number or instant."""
        return self._extreme("least")

    def greatest(self) -> Values:
        """The greatest number or instant."""
        return self._extreme("greatest")

    def days(self) -> Values:
        """The number of days with a row, or of pairs of a key and a day."""
        day = (self.at - epoch_seconds(self.board.grid.first) % DAY_SECONDS * SECOND) // DAY_MICROS
        return self._different(day) if self.measure.counted_key is None else self._different(self._key, day)

    def keys(self) -> Values:
        """The number of different keys."""
        return self._different(self._key)

    def state(self) -> Values:
        """The number of the latest row."""
        account, opens, closes = self.rows
        return latest(account, opens, self.at, self._number, self.board, closes)

    def keys_in_state(self) -> Values:
        """The number of keys whose latest row fulfils the condition."""
        account, opens, closes = self.rows
        part, holds = codes(self.table[part_column(self.measure)]), self._ints(holds_column(self.measure))
        return held(account, self._key, part, opens, self.at, holds, self.board, closes)

    def in_force(self) -> Values:
        """The sum of the numbers of the intervals that are in force."""
        return self.sum()

    @property
    def _number(self) -> Ints:
        return self._ints(value_column(self.measure))

    @property
    def _key(self) -> Ints:
        return codes(self.table[value_column(self.measure)])

    def _extreme(self, reduction: Literal["least", "greatest"]) -> Values:
        account, opens, closes = self.rows
        amount = np.floor_divide(self.at, SECOND) if self.measure.number is None else self._number
        return extremes(reduction, account, opens, amount.astype(np.float64), self.board, closes)

    def _different(self, *parts: Ints) -> Ints:
        """Different keys, days, or days of keys: the dates at which each is there, which its rows may share."""
        account, opens, closes = self.rows
        keys = [account, *parts]
        order = np.lexsort((opens, *keys[::-1]))
        account, opens, closes = account[order], opens[order], closes[order]
        # Numbered so that no key's dates reach into those of the next.
        base = (np.cumsum(begins(*(k[order] for k in keys))) - 1) * (self.board.grid.n + 1)
        reached = np.maximum.accumulate(base + closes) if len(base) else base
        before = np.append(np.zeros(1, dtype=np.int64), reached[:-1])[: len(base)]
        opens = np.maximum(base + opens, before) - base
        return intervals(self.board, account, opens, closes, np.ones(len(account), dtype=np.int64))

    def _ints(self, column: str) -> Ints:
        found: Ints = pc.fill_null(self.table[column], 0).to_numpy().astype(np.int64)
        return found
