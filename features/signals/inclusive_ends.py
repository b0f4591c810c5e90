"""Contracts with inclusive ends: a period that ends a second or a day before the next one starts.

Billing systems often store the last instant or the last day of a period as its end: 2026-06-30 23:59:59 or 2026-06-30
before a period that starts on 2026-07-01. As an instant, such an end leaves a gap without a contract before a renewal.
If a period of the same account starts exactly one day after an end, or at the next whole second, the periods are
contiguous and the end is moved to that start. Ends by cancellation or nonpayment are unchanged, as are ends at which
another period starts.
"""

from __future__ import annotations

import ibis

from features.contract.schema import TABLES
from features.signals.casting import SourceSchema, conformed_columns, source_table
from features.sources.sql_functions import DAY_MICROS, epoch_us

SECOND = 1_000_000
FINAL_END_REASONS = ("cancelled", "nonpayment")


def with_contiguous_periods(rows: ibis.Table) -> ibis.Table:
    """Return the conformed subscriptions with inclusive ends moved to the start of the next period."""
    columns = rows.columns
    periods = _with_next_start(rows)
    ended = ibis.coalesce(periods._next, periods.ended_at)
    return periods.mutate(ended_at=ended).select(*columns)


def count_inclusive_ends(schema: SourceSchema, text: bool) -> ibis.Table:
    """Return one row with ``n``, the number of subscription periods with an inclusive end."""
    given = source_table("subscriptions", schema)
    periods = _with_next_start(given.select(**conformed_columns(given, TABLES["subscriptions"], text)))
    return periods.aggregate(n=periods._next.count())


def _with_next_start(rows: ibis.Table) -> ibis.Table:
    """Return the rows with ``_next``: the start of the period after an inclusive end, else null."""
    starts = rows.filter(rows.started_at.notnull()).select("account_id", "started_at").distinct()
    starts = starts.mutate(_at=epoch_us(starts.started_at))
    end = epoch_us(rows.ended_at)
    renewed = ~rows.end_reason.isin(FINAL_END_REASONS).fill_null(False)
    rows = rows.mutate(_end=ibis.ifelse(renewed, end, None))
    rows = rows.mutate(_second=rows._end - rows._end % SECOND + SECOND, _day=rows._end + DAY_MICROS)
    for column in ("_end", "_second", "_day"):
        at = starts.select(
            **{f"_of{column}": starts.account_id, f"_at{column}": starts._at, f"_start{column}": starts.started_at}
        )
        rows = rows.left_join(at, (rows.account_id == at[f"_of{column}"]) & (rows[column] == at[f"_at{column}"]))
    following = ibis.coalesce(rows._start_second, rows._start_day)
    return rows.mutate(_next=ibis.ifelse(rows._start_end.isnull(), following, None))
