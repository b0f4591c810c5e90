"""Count row by row at every date, for events with several versions.

Buckets add up all rows ever known, but a version that another one replaced must be subtracted. The accounts with such
events are therefore counted from their rows. A row counts from the first date after it became known until the arrival
of the next version, or until its window has passed. The result is that of `features.aggregation.window_columns` with
the versions known at each date.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.account_date_grid import Panel, Values, interval_sums
from features.aggregation.bucket_arithmetic import us_column
from features.aggregation.distinct_keys import integer_codes, run_starts
from features.aggregation.latest_values import extremes, keys_in_state, latest_value
from features.aggregation.passes import Need, holds_column, part_column, value_column
from features.definitions.aggregations import ALL_TIME, Measure, MeasureWindow, column_name
from features.sources.sql_functions import DAY_MICROS
from features.utils.arrays import Bools, Ints
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds

SECOND = 1_000_000
NEVER = 2**60
"""An instant, in microseconds, that is later than any other."""


def with_versions(columns: dict[str, Values], rows: pa.Table, needs: Iterable[Need], panel: Panel) -> dict[str, Values]:
    """Replace the values of the accounts in ``rows`` by values counted from these rows.

    Parameters
    ----------
    columns : see `features.aggregation.window_columns.window_columns`.
    rows : all rows of some accounts, from `features.aggregation.passes.versioned_account_rows`, for the measures of
        ``needs`` or more.
    needs : everything needed from the table.
    panel : the accounts, the dates and the requested cells.
    """
    table, account = panel.rows_of(rows)
    affected = np.zeros(len(panel.accounts), dtype=np.bool_)
    affected[account] = True
    in_rows = affected[panel.place[0]]
    counted, merged = _VersionedRows(table, account, panel), dict(columns)
    for measure, days in needs:
        name = column_name(measure, days)
        merged[name] = np.where(in_rows, counted.over(measure, days), merged[name])
    return merged


@dataclass(frozen=True)
class _VersionedRows:
    """The rows, the positions of their accounts in the panel, and the panel."""

    table: pa.Table
    account: Ints
    panel: Panel

    def over(self, measure: Measure, days: int) -> Values:
        """Compute ``measure`` over the window of ``days`` (0: all rows) for each cell of the panel."""
        at, until = self._us(measure.at), self._us("until_at")
        known = at if measure.end_column else self._us(measure.known_at)
        opens, closes = self._dates(known, measure.ago), self._dates(until, measure.ago)
        opens = np.maximum(opens, self._dates(at, measure.ago))
        if days != ALL_TIME:
            closes = np.minimum(closes, self._dates(at, measure.ago + days))
        if measure.end_column:
            closes = np.minimum(closes, self._dates(self._us(measure.end_column), measure.ago))
        counts = self._counts(measure) & (opens < closes)
        rows = self.account[counts], opens[counts], closes[counts]
        columns = [value_column(measure), part_column(measure), holds_column(measure)]
        own = self.table.select([c for c in columns if c in self.table.column_names]).filter(pa.array(counts))
        return measure.evaluate(_RowWindow(measure, own, at[counts], rows, self.panel))

    def _counts(self, measure: Measure) -> Bools:
        """Return a mask of the rows that count: with a value, or marked as counting, and with their instants."""
        value = self.table[value_column(measure)]
        counts = value if pa.types.is_boolean(value.type) else value.is_valid()
        counted: Bools = np.asarray(counts.to_numpy(), dtype=np.bool_)
        for column in (measure.at, measure.known_at):
            counted = counted & self.table[us_column(column)].is_valid().to_numpy()
        return counted

    def _us(self, column: str) -> Ints:
        """Return an instant column in microseconds; null becomes `NEVER`."""
        values: Ints = pc.fill_null(self.table[us_column(column)], NEVER).to_numpy().astype(np.int64)
        return values

    def _dates(self, us: Ints, later_days: int) -> Ints:
        """Return `features.utils.dates.Grid.position` of instants plus ``later_days``."""
        grid: Grid = self.panel.grid
        since = us // SECOND + (later_days * DAY_SECONDS - epoch_seconds(grid.first))
        return np.clip(since // (grid.every_days * DAY_SECONDS) + 1, 0, grid.n)


@dataclass(frozen=True)
class _RowWindow(MeasureWindow):
    """The rows of a measure that count in one window.

    Parameters
    ----------
    measure : the measure.
    table : the values that it reads.
    at : the instants, in microseconds.
    rows : the positions of the accounts, and the dates from which and until which each row counts.
    panel : the panel.
    """

    measure: Measure
    table: pa.Table
    at: Ints
    rows: tuple[Ints, Ints, Ints]
    panel: Panel

    def count(self) -> Values:
        """The number of rows."""
        return interval_sums(self.panel, *self.rows, np.ones(len(self.at), dtype=np.int64))

    def sum(self) -> Values:
        """The sum of the rows' numbers."""
        return interval_sums(self.panel, *self.rows, self._number)

    def least(self) -> Values:
        """The least number or instant."""
        return self._extreme("least")

    def greatest(self) -> Values:
        """The greatest number or instant."""
        return self._extreme("greatest")

    def days(self) -> Values:
        """The number of days with a row, or of pairs of a key and a day."""
        day = (self.at - epoch_seconds(self.panel.grid.first) % DAY_SECONDS * SECOND) // DAY_MICROS
        return self._distinct(day) if self.measure.counted_key is None else self._distinct(self._key, day)

    def keys(self) -> Values:
        """The number of distinct keys."""
        return self._distinct(self._key)

    def state(self) -> Values:
        """The number of the latest row."""
        account, opens, closes = self.rows
        return latest_value(account, opens, self.at, self._number, self.panel, closes)

    def keys_in_state(self) -> Values:
        """The number of keys whose latest row meets the condition."""
        account, opens, closes = self.rows
        part, holds = integer_codes(self.table[part_column(self.measure)]), self._ints(holds_column(self.measure))
        return keys_in_state(account, self._key, part, opens, self.at, holds, self.panel, closes)

    def interval_sum(self) -> Values:
        """The sum of the numbers of the intervals that contain the date."""
        return self.sum()

    @property
    def _number(self) -> Ints:
        return self._ints(value_column(self.measure))

    @property
    def _key(self) -> Ints:
        return integer_codes(self.table[value_column(self.measure)])

    def _extreme(self, reduction: Literal["least", "greatest"]) -> Values:
        account, opens, closes = self.rows
        amount = np.floor_divide(self.at, SECOND) if self.measure.number is None else self._number
        return extremes(reduction, account, opens, amount.astype(np.float64), self.panel, closes)

    def _distinct(self, *parts: Ints) -> Ints:
        """Count distinct keys, days, or days of keys; overlapping rows of one key count once."""
        account, opens, closes = self.rows
        keys = [account, *parts]
        order = np.lexsort((opens, *keys[::-1]))
        account, opens, closes = account[order], opens[order], closes[order]
        # Offsets keep the dates of different keys from overlapping.
        base = (np.cumsum(run_starts(*(k[order] for k in keys))) - 1) * (self.panel.grid.n + 1)
        reached = np.maximum.accumulate(base + closes) if len(base) else base
        before = np.append(np.zeros(1, dtype=np.int64), reached[:-1])[: len(base)]
        opens = np.maximum(base + opens, before) - base
        return interval_sums(self.panel, account, opens, closes, np.ones(len(account), dtype=np.int64))

    def _ints(self, column: str) -> Ints:
        values: Ints = pc.fill_null(self.table[column], 0).to_numpy().astype(np.int64)
        return values
