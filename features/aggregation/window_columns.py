"""Values at every date from buckets: running sums and running extremes along the grid.

A bucket counts from the first date at or after it became known until the first date whose window no longer contains
it. A window's sum is therefore a running sum of the buckets that start to count, minus those that stop. An exact
distinct count is computed from the merged intervals of each key. All numbers are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.account_date_grid import BucketCalendar, Panel, Values, interval_sums
from features.aggregation.bucket_arithmetic import unpack_span
from features.aggregation.distinct_bitsets import KeyBitsets
from features.aggregation.distinct_keys import (
    MergedKeys,
    distinct_counts,
    distinct_counts_on_one_date,
    integer_codes,
    merge_keys,
    new_days,
)
from features.aggregation.latest_values import extremes, keys_in_state, latest_value
from features.aggregation.passes import BucketPass, FeedStartPass, KeyPass, Need, Pass, StatePass
from features.aggregation.window_sums import Totals
from features.definitions.aggregations import ALL_TIME, Measure, MeasureWindow, Reduction, column_name, start_column
from features.utils.arrays import Bools, Floats, Ints
from features.utils.dates import Grid


def window_columns(what: Pass, rolled: pa.Table, needs: Iterable[Need], panel: Panel) -> dict[str, Values]:
    """Compute the columns of one pass at the panel's cells.

    Parameters
    ----------
    what : the pass.
    rolled : its buckets, in any order and in any number of pieces.
    needs : everything needed from the table; measures of other passes are ignored.
    panel : the accounts, the dates and the requested cells.

    Returns
    -------
    dict of str to array, shape (n,)
        Counts int64, sums int64 in ten-thousandths, instants float64 in seconds with NaN for none, latest values
        float64 in ten-thousandths with NaN for none. See `features.definitions.aggregations.column_name`.
    """
    if isinstance(what, FeedStartPass):
        return {}
    table, account = panel.rows_of(rolled)
    buckets = _Buckets(table, account, BucketCalendar(panel.grid, what.width), panel)
    wanted = [need for need in needs if _yields(what, need[0])]
    window: Callable[[Measure, int], MeasureWindow]
    if isinstance(what, BucketPass):
        window = partial(_BucketWindow, _BucketTotals(buckets))
    elif isinstance(what, KeyPass):
        window = partial(_KeyWindow, _Keys(buckets, wanted))
    else:
        window = partial(_StateWindow, buckets)
    return {column_name(measure, days): measure.evaluate(window(measure, days)) for measure, days in wanted}


def _yields(what: BucketPass | KeyPass | StatePass, measure: Measure) -> bool:
    """Check that the pass computes the measure."""
    if isinstance(what, KeyPass):
        return measure.counted_key is not None and measure.counted_key.lagged(0) == what.measure
    return measure.lagged(0) in (what.measures if isinstance(what, BucketPass) else (what.measure,))


def feed_starts(what: FeedStartPass, rolled: pa.Table, grid: Grid, history_s: float) -> dict[str, Floats]:
    """Return the instant (seconds) from which the feed, and each column of it, is known to be complete, shape (p,).

    It is the first row known by the date, or ``history_s`` if the caller gives it (NaN if not); NaN if there is none.
    A given history applies to an empty table, but not to a column that has never been filled.

    Parameters
    ----------
    what : the pass over the feed.
    rolled : its rolled-up rows.
    grid : the p dates.
    history_s : the instant (seconds) from which the caller has complete history; NaN if not given.

    Returns
    -------
    dict of str to array
        The instants by column of `start_column`.
    """
    place = BucketCalendar(grid, what.width).date(_ints(rolled, "kb"))
    starts = {}
    feed = np.zeros(0)
    for column in ("", *what.columns):
        first = np.full(grid.n + 1, np.inf)
        np.minimum.at(first, place, _floats(rolled, f"at_s_{column}" if column else "at_s", np.inf))
        running = np.minimum.accumulate(first)[:-1]
        if not column:
            feed = running
        if not np.isnan(history_s):
            # If the first row has a value, the column may always have existed; otherwise it started later.
            whole = np.isfinite(running) & (running <= feed)
            running = np.where(whole, history_s, running) if column else np.full(grid.n, history_s)
        starts[start_column(what.table, column)] = np.where(np.isinf(running), np.nan, running)
    return starts


@dataclass(frozen=True)
class _Buckets:
    """The buckets of a pass, and the positions of their accounts in the panel."""

    table: pa.Table
    account: Ints
    calendar: BucketCalendar
    panel: Panel

    @cached_property
    def span(self) -> tuple[Ints, Ints]:
        """The bucket in which each row became known, and the bucket in which it happened."""
        return unpack_span(_ints(self.table, "span"))


@dataclass(frozen=True)
class _BucketTotals:
    """Buckets of a `BucketPass`; values that several windows of a column need are computed once."""

    buckets: _Buckets
    _totals: dict[str, Totals] = field(default_factory=dict)
    _bits: dict[str, KeyBitsets] = field(default_factory=dict)

    def totals(self, column: str, reduction: Reduction) -> Totals:
        """Return the counts, sums or days of a column, ready for sums over windows."""
        if column not in self._totals:
            b = self.buckets
            amounts = b.account, *b.span, _ints(b.table, column)
            if reduction == "days":
                amounts = new_days(amounts[0], np.zeros_like(b.account), *amounts[1:])
            self._totals[column] = Totals.of(*amounts, b.panel)
        return self._totals[column]

    def bits(self, column: str) -> KeyBitsets:
        """Return the keys of a column as bits, ready to be counted."""
        if column not in self._bits:
            b = self.buckets
            self._bits[column] = KeyBitsets.of(b.account, *b.span, _ints(b.table, column), b.calendar, b.panel)
        return self._bits[column]


@dataclass(frozen=True)
class _BucketWindow(MeasureWindow):
    """One window of a measure that is stored in buckets."""

    bucket_totals: _BucketTotals
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
        """The number of distinct keys."""
        return self.bucket_totals.bits(self._column("keys")).over(self.window_days, self.measure.ago)

    def _total(self, reduction: Reduction) -> Ints:
        totals = self.bucket_totals.totals(self._column(reduction), reduction)
        return totals.over(self.bucket_totals.buckets.calendar, self.window_days, self.measure.ago)

    def _extreme(self, reduction: Literal["least", "greatest"]) -> Values:
        buckets, ago = self.bucket_totals.buckets, self.measure.ago
        known, happened = buckets.span
        opens = buckets.calendar.date(known, ago)
        closes = (
            None if self.window_days == ALL_TIME else buckets.calendar.closing_date(happened, self.window_days, ago)
        )
        amounts = _floats(buckets.table, self._column(reduction), np.nan)
        return extremes(reduction, buckets.account, opens, amounts, buckets.panel, closes)

    def _column(self, reduction: Reduction) -> str:
        return next(column for column, each in self.measure.bucket_columns().items() if each == reduction)


@dataclass(frozen=True)
class _Keys:
    """The keys of a `KeyPass`, and the measures computed from them."""

    buckets: _Buckets
    needs: Sequence[Need]

    @cached_property
    def on_one_date(self) -> dict[str, Ints]:
        """The number of distinct keys at the only date, by column."""
        rows, counted = self._counted
        return distinct_counts_on_one_date(*rows, counted, self.buckets.calendar, self.buckets.panel)

    @cached_property
    def merged(self) -> MergedKeys:
        """The rows of every key, merged."""
        rows, _ = self._counted
        return merge_keys(*rows)

    @cached_property
    def days(self) -> tuple[Ints, Ints, Ints, Ints]:
        """The days of each bucket by when they became known."""
        wanted = [need for need in self.needs if "days" in need[0].reductions]
        b, (known, happened) = self.buckets, self.buckets.span
        relevant = _relevant_rows(known, happened, wanted, b.calendar)
        rows = (
            b.account[relevant],
            integer_codes(b.table["key"].filter(pa.array(relevant))),
            known[relevant],
            happened[relevant],
        )
        return new_days(*rows, _ints(b.table, "days")[relevant])

    @cached_property
    def _counted(self) -> tuple[tuple[Ints, Ints, Ints, Ints], list[Need]]:
        wanted = [need for need in self.needs if "keys" in need[0].reductions]
        b, (known, happened) = self.buckets, self.buckets.span
        relevant = _relevant_rows(known, happened, wanted, b.calendar)
        return (
            b.account[relevant],
            integer_codes(b.table["key"])[relevant],
            known[relevant],
            happened[relevant],
        ), wanted


@dataclass(frozen=True)
class _KeyWindow(MeasureWindow):
    """One window of a measure that counts keys."""

    key_buckets: _Keys
    measure: Measure
    window_days: int

    def keys(self) -> Values:
        """The number of distinct keys."""
        buckets = self.key_buckets.buckets
        if buckets.panel.grid.n == 1:
            return self.key_buckets.on_one_date[column_name(self.measure, self.window_days)]
        return distinct_counts(
            self.key_buckets.merged, buckets.calendar, self.window_days, self.measure.ago, buckets.panel
        )

    def days(self) -> Values:
        """The number of pairs of a key and a day."""
        buckets = self.key_buckets.buckets
        account, known, happened, days = self.key_buckets.days
        opens = buckets.calendar.date(known, self.measure.ago)
        closes = buckets.calendar.closing_date(happened, self.window_days, self.measure.ago)
        return interval_sums(buckets.panel, account, opens, closes, days)


def _relevant_rows(known: Ints, happened: Ints, needs: Iterable[Need], calendar: BucketCalendar) -> Bools:
    """Return a mask of the rows known by the last date and in a window of the first; others have no effect."""
    reach = max((days + m.ago if days else 2**40) for m, days in needs)
    relevant: Bools = (known <= calendar.ends(0)[-1]) & (happened + reach // calendar.width > calendar.first)
    return relevant


@dataclass(frozen=True)
class _StateWindow(MeasureWindow):
    """A measure of states or intervals."""

    buckets: _Buckets
    measure: Measure
    window_days: int

    def state(self) -> Values:
        """The number of the latest row."""
        table = self.buckets.table
        return latest_value(self.buckets.account, self._opens, _ints(table, "at_us"), self._amount, self.buckets.panel)

    def keys_in_state(self) -> Values:
        """The number of keys whose latest row meets the condition."""
        b, table = self.buckets, self.buckets.table
        part = integer_codes(table["part"]) if self.measure.state_part else np.zeros_like(b.account)
        return keys_in_state(
            b.account, integer_codes(table["key"]), part, self._opens, _ints(table, "at_us"), self._amount, b.panel
        )

    def interval_sum(self) -> Values:
        """The sum of the numbers of the intervals that contain the date."""
        b, table = self.buckets, self.buckets.table
        ends = pc.fill_null(table["eb"], 0).to_numpy().astype(np.int64)
        closes = np.where(table["eb"].is_valid().to_numpy(), b.calendar.date(ends, self.measure.ago), b.panel.grid.n)
        return interval_sums(b.panel, b.account, self._opens, closes, self._amount)

    @property
    def _opens(self) -> Ints:
        return self.buckets.calendar.date(_ints(self.buckets.table, "kb"), self.measure.ago)

    @property
    def _amount(self) -> Ints:
        return _ints(self.buckets.table, "amount")


def _ints(table: pa.Table, name: str) -> Ints:
    values: Ints = table[name].to_numpy().astype(np.int64)
    return values


def _floats(table: pa.Table, name: str, unknown: float) -> Floats:
    values: Floats = pc.fill_null(table[name].cast(pa.float64(), safe=False), unknown).to_numpy()
    return values
