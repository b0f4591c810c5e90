"""Contracts whose ends are inclusive: a period that ends a second or a day before the next one starts.

Billing systems often write the last instant, or the last day, of a period as its end: 2026-06-30 23:59:59 or
2026-06-30 before a period that starts on 2026-07-01. Read as an instant, such an end leaves a gap in which a renewed
account has no contract. Where a period of the same account starts exactly one day after an end, or at the next whole
second, the two are contiguous: the end is read as that start. An end by cancellation or nonpayment is no renewal and
stays as it is, as does one at which another period starts.
"""

from __future__ import annotations

import ibis

from features.contract.schema import TABLES
from features.signals.casting import Schema, conformed, given_table
from features.sources.sql_functions import DAY_MICROS, epoch_us

SECOND = 1_000_000
ENDED_FOR_GOOD = ("cancelled", "nonpayment")


def contiguous(rows: ibis.Table) -> ibis.Table:
    """The conformed subscriptions with inclusive ends read as the start of the period that follows."""
    columns = rows.columns
    found = _followed(rows)
    ended = ibis.coalesce(found._next, found.ended_at)
    return found.mutate(ended_at=ended).select(*columns)


def contiguous_count(schema: Schema, text: bool) -> ibis.Table:
    """One row: ``n``, how many periods of the subscriptions as given end inclusively."""
    given = given_table("subscriptions", schema)
    found = _followed(given.select(**conformed(given, TABLES["subscriptions"], text)))
    return found.aggregate(n=found._next.count())


def _followed(rows: ibis.Table) -> ibis.Table:
    """The rows with ``_next``: the start of the period that follows an inclusive end; else null."""
    starts = rows.filter(rows.started_at.notnull()).select("account_id", "started_at").distinct()
    starts = starts.mutate(_at=epoch_us(starts.started_at))
    end = epoch_us(rows.ended_at)
    renewed = ~rows.end_reason.isin(ENDED_FOR_GOOD).fill_null(False)
    rows = rows.mutate(_end=ibis.ifelse(renewed, end, None))
    rows = rows.mutate(_second=rows._end - rows._end % SECOND + SECOND, _day=rows._end + DAY_MICROS)
    for column in ("_end", "_second", "_day"):
        at = starts.select(
            **{f"_of{column}": starts.account_id, f"_at{column}": starts._at, f"_start{column}": starts.started_at}
        )
        rows = rows.left_join(at, (rows.account_id == at[f"_of{column}"]) & (rows[column] == at[f"_at{column}"]))
    following = ibis.coalesce(rows._start_second, rows._start_day)
    return rows.mutate(_next=ibis.ifelse(rows._start_end.isnull(), following, None))
