"""Distinct counts of any number of keys, from the merged intervals of each key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from features.aggregation.account_date_grid import BucketCalendar, Panel, interval_sums
from features.aggregation.passes import Need
from features.definitions.aggregations import ALL_TIME, column_name
from features.utils.arrays import Bools, Ints

NO_BUCKET = np.int64(-(2**62))
"""A number lower than any bucket."""
MergedKeys: TypeAlias = tuple[Ints, Ints, Ints, Ints, Ints]


def distinct_counts(merged_keys: MergedKeys, calendar: BucketCalendar, days: int, ago: int, panel: Panel) -> Ints:
    """Return for each cell the number of keys with a row in the window.

    Parameters
    ----------
    merged_keys : the rows, from `merge_keys`.
    calendar : the buckets of the dates.
    days, ago : length of the window in days (0: all rows), and how many days before the date it ends.
    panel : the accounts and dates of the cells.

    Returns
    -------
    array of shape (cells,)
        The numbers of keys.
    """
    account, known, happened, before, counts = merged_keys
    covered = np.where(before == NO_BUCKET, 0, calendar.closing_date(before, days, ago))
    opens = np.maximum(calendar.date(known, ago), covered)
    return interval_sums(panel, account, opens, calendar.closing_date(happened, days, ago), counts)


def distinct_counts_on_one_date(
    account: Ints, key: Ints, known: Ints, happened: Ints, needs: Sequence[Need], calendar: BucketCalendar, panel: Panel
) -> dict[str, Ints]:
    """Return for each cell of a panel with one date the number of keys with a row in each window.

    A key is in every window that contains its latest known row.

    Parameters
    ----------
    account, key, known, happened : position of the account, number of the key, bucket in which the row became known,
        and bucket of the event; shape (n,) each.
    needs : the measures, each with its window in days.
    calendar : the buckets of the date.
    panel : the accounts and dates of the cells.

    Returns
    -------
    dict of str to array of shape (cells,)
        The numbers of keys, by column name.
    """
    pair, firsts = pd.factorize(account * (int(key.max(initial=0)) + 1) + key)
    owner = firsts // (int(key.max(initial=0)) + 1)
    columns: dict[str, Ints] = {}
    for ago in sorted({m.ago for m, _ in needs}):
        end = int(calendar.ends(ago)[0])
        by_then = known <= end
        latest = np.full(len(owner), NO_BUCKET)
        np.maximum.at(latest, pair[by_then], happened[by_then])
        for measure, days in needs:
            if measure.ago == ago:
                in_window = latest > (NO_BUCKET if days == ALL_TIME else end - days // calendar.width)
                counts = np.bincount(owner[in_window], minlength=len(panel.accounts))
                columns[column_name(measure, days)] = counts[panel.cells]
    return columns


def merge_keys(account: Ints, key: Ints, known: Ints, happened: Ints) -> MergedKeys:
    """Merge the rows of each key, in the order in which they became known.

    Parameters
    ----------
    account, key, known, happened : position of the account, number of the key, bucket in which the row became known,
        and bucket of the event; shape (n,) each.

    Returns
    -------
    tuple of arrays
        account, kb (bucket when known), ob (bucket of the event), the latest earlier ob (`NO_BUCKET` if none), and the
        number of the account's keys with the same values.
    """
    who, code, since, at = sort_rows(account, key, known, happened)
    first = run_starts(who, code)
    group = np.cumsum(first)
    low, span = (int(at.min()), int(at.max()) - int(at.min()) + 1) if len(at) else (0, 1)
    # Group numbers increase, so a running maximum starts again in each group.
    latest = np.maximum.accumulate(group * span + (at - low)) - group * span + low
    before = np.full_like(latest, low - 1)
    before[1:] = np.where(first[1:], low - 1, latest[:-1])
    who, since, at, before = sort_rows(who, since, at, before)
    new = run_starts(who, since, at, before)
    starts = np.flatnonzero(new)
    counts = np.diff(np.append(starts, len(who)))
    before = before[starts]
    return who[starts], since[starts], at[starts], np.where(before < low, NO_BUCKET, before), counts.astype(np.int64)


def new_days(account: Ints, key: Ints, known: Ints, happened: Ints, days: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Count the days of each bucket by when they became known.

    Parameters
    ----------
    account, key, known, happened : position of the account, number of the key, bucket in which the row became known,
        and bucket of the event; shape (n,) each.
    days : the days of the bucket as bits, shape (n,).

    Returns
    -------
    tuple of arrays
        account, kb, ob, and the number of days that were not known earlier.
    """
    who, code, at, since, bits = sort_rows(account, key, happened, known, days)
    first = run_starts(who, code, at)
    before = np.zeros_like(bits)
    rest = np.flatnonzero(~first)
    # Most buckets of a key have one row; each iteration handles the next row of buckets with several.
    rows = rest[first[rest - 1]] if len(rest) else rest
    while len(rows):
        before[rows] = before[rows - 1] | bits[rows - 1]
        rows = rows[rows + 1 < len(bits)] + 1
        rows = rows[~first[rows]]
    counts = np.bitwise_count(bits & ~before).astype(np.int64)
    return who, since, at, counts


def integer_codes(column: pa.ChunkedArray) -> Ints:
    """Encode keys (numbers or texts) as integers from 0; equal keys get equal integers."""
    if not (pa.types.is_integer(column.type) or pa.types.is_dictionary(column.type)):
        column = column.dictionary_encode()
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([c.indices for c in column.unify_dictionaries().chunks], pa.int32())
    encoded: Ints = pd.factorize(column.to_numpy())[0].astype(np.int64)
    return encoded


def sort_rows(*columns: Ints) -> tuple[Ints, ...]:
    """Sort rows by the columns, the first column first."""
    lows = [int(c.min()) if len(c) else 0 for c in columns]
    widths = [(int(c.max()) - low).bit_length() if len(c) else 0 for c, low in zip(columns, lows, strict=True)]
    if sum(widths) > 63:
        order = np.lexsort(columns[::-1])
        return tuple(c[order] for c in columns)
    # Sorting one packed number per row is many times faster than sorting an index of several columns.
    packed = np.zeros(len(columns[0]), dtype=np.int64)
    for column, low, width in zip(columns, lows, widths, strict=True):
        packed <<= width
        packed |= column - low
    packed.sort()
    sorted_columns = []
    for low, width in zip(reversed(lows), reversed(widths), strict=True):
        sorted_columns.append((packed & ((1 << width) - 1)) + low)
        packed >>= width
    return tuple(reversed(sorted_columns))


def run_starts(*columns: Ints) -> Bools:
    """Return a mask of the rows that differ from the previous row."""
    new = np.zeros(len(columns[0]), dtype=np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new
