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

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.account_date_grid import Board, Ints, Values, intervals
from features.aggregation.bucket_arithmetic import us_column
from features.aggregation.distinct_keys import begins, codes
from features.aggregation.latest_values import extremes, held, latest
from features.aggregation.passes import Need, holds_column, part_column, value_column
from features.definitions.aggregations import (
    EVER,
    ActiveDays,
    Count,
    Distinct,
    Holding,
    Latest,
    Measure,
    Newest,
    Standing,
    column_name,
)
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
        board, at = self.board, self._us(measure.at)
        known = at if isinstance(measure, Standing) else self._us(measure.known)
        opens, closes = self._dates(known, measure.ago), self._dates(self._us("until_at"), measure.ago)
        opens = np.maximum(opens, self._dates(at, measure.ago))
        if days != EVER:
            closes = np.minimum(closes, self._dates(at, measure.ago + days))
        if isinstance(measure, Standing):
            closes = np.minimum(closes, self._dates(self._us(measure.end), measure.ago))
        counts = self._counts(measure) & (opens < closes)
        rows = self.account[counts], opens[counts], closes[counts]
        if isinstance(measure, Distinct | ActiveDays):
            return self._different(measure, counts, at[counts], *rows)
        if isinstance(measure, Newest):
            at_s = np.floor_divide(at[counts], SECOND).astype(np.float64)
            return extremes(measure, rows[0], rows[1], at_s, board, rows[2])
        if isinstance(measure, Count):
            return intervals(board, *rows, np.ones(len(rows[0]), dtype=np.int64))
        if isinstance(measure, Holding):
            key, part = (codes(self.table[c].filter(pa.array(counts))) for c in _key_columns(measure))
            holds = self._ints(holds_column(measure))[counts]
            return held(rows[0], key, part, rows[1], at[counts], holds, board, rows[2])
        amount = self._ints(value_column(measure))[counts]
        if isinstance(measure, Latest):
            return latest(rows[0], rows[1], at[counts], amount, board, rows[2])
        return intervals(board, *rows, amount)

    def _different(
        self, measure: Distinct | ActiveDays, counts: Bools, at: Ints, account: Ints, opens: Ints, closes: Ints
    ) -> Ints:
        """Different keys, days, or days of keys: the dates at which each is there, which its rows may share."""
        keys = [account]
        if isinstance(measure, Distinct) or measure.of is not None:
            keys.append(codes(self.table[value_column(measure)].filter(pa.array(counts))))
        if isinstance(measure, ActiveDays):
            keys.append((at - epoch_seconds(self.board.grid.first) % DAY_SECONDS * SECOND) // DAY_MICROS)
        order = np.lexsort((opens, *keys[::-1]))
        account, opens, closes = account[order], opens[order], closes[order]
        # Numbered so that no key's dates reach into those of the next.
        base = (np.cumsum(begins(*(k[order] for k in keys))) - 1) * (self.board.grid.n + 1)
        reached = np.maximum.accumulate(base + closes) if len(base) else base
        before = np.append(np.zeros(1, dtype=np.int64), reached[:-1])[: len(base)]
        opens = np.maximum(base + opens, before) - base
        return intervals(self.board, account, opens, closes, np.ones(len(account), dtype=np.int64))

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

    def _ints(self, column: str) -> Ints:
        found: Ints = pc.fill_null(self.table[column], 0).to_numpy().astype(np.int64)
        return found

    def _dates(self, us: Ints, later_days: int) -> Ints:
        """`features.utils.dates.Grid.position` of instants, so many days later."""
        grid: Grid = self.board.grid
        since = us // SECOND + (later_days * DAY_SECONDS - epoch_seconds(grid.first))
        return np.clip(since // (grid.every_days * DAY_SECONDS) + 1, 0, grid.n)


def _key_columns(measure: Holding) -> tuple[str, str]:
    return value_column(measure), part_column(measure)
