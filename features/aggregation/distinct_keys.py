"""Distinct counts of any number of keys: each key's intervals on the grid, merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.aggregation.account_date_grid import Board, Clock, Ints, intervals
from features.aggregation.passes import Need
from features.definitions.aggregations import EVER, column_name

UNSEEN = np.int64(-(2**62))
"""Less than any bucket."""
Merged: TypeAlias = tuple[Ints, Ints, Ints, Ints, Ints]


def distinct(merged: Merged, clock: Clock, days: int, ago: int, board: Board) -> Ints:
    """At each cell, how many keys have a row in the window."""
    account, known, happened, before, many = merged
    covered = np.where(before == UNSEEN, 0, clock.gone(before, days, ago))
    opens = np.maximum(clock.date(known, ago), covered)
    return intervals(board, account, opens, clock.gone(happened, days, ago), many)


def distinct_at_once(
    account: Ints, key: Ints, known: Ints, happened: Ints, needs: Sequence[Need], clock: Clock, board: Board
) -> dict[str, Ints]:
    """At the cells of a board of one date, how many keys have a row in each window: a key is in every window that
    reaches the latest row known of it."""
    pair, firsts = pd.factorize(account * (int(key.max(initial=0)) + 1) + key)
    owner = firsts // (int(key.max(initial=0)) + 1)
    found: dict[str, Ints] = {}
    for ago in sorted({m.ago for m, _ in needs}):
        end = int(clock.ends(ago)[0])
        by_then = known <= end
        latest = np.full(len(owner), UNSEEN)
        np.maximum.at(latest, pair[by_then], happened[by_then])
        for measure, days in needs:
            if measure.ago == ago:
                there = latest > (UNSEEN if days == EVER else end - days // clock.width)
                many = np.bincount(owner[there], minlength=len(board.accounts))
                found[column_name(measure, days)] = many[board.cells]
    return found


def merged(account: Ints, key: Ints, known: Ints, happened: Ints) -> Merged:
    """Each key's rows in the order in which they became known: account, kb, ob, the latest ob before (`UNSEEN`: none),
    and how many keys of the account share all of that."""
    who, code, since, at = in_order(account, key, known, happened)
    first = begins(who, code)
    group = np.cumsum(first)
    low, span = (int(at.min()), int(at.max()) - int(at.min()) + 1) if len(at) else (0, 1)
    # Groups are numbered upwards, so that a running maximum starts anew with each.
    latest = np.maximum.accumulate(group * span + (at - low)) - group * span + low
    before = np.full_like(latest, low - 1)
    before[1:] = np.where(first[1:], low - 1, latest[:-1])
    who, since, at, before = in_order(who, since, at, before)
    new = begins(who, since, at, before)
    starts = np.flatnonzero(new)
    many = np.diff(np.append(starts, len(who)))
    before = before[starts]
    return who[starts], since[starts], at[starts], np.where(before < low, UNSEEN, before), many.astype(np.int64)


def new_days(account: Ints, key: Ints, known: Ints, happened: Ints, days: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """How many days of each bucket became known when: account, kb, ob, days that no earlier knowledge had."""
    who, code, at, since, bits = in_order(account, key, happened, known, days)
    first = begins(who, code, at)
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


def codes(column: pa.ChunkedArray) -> Ints:
    """Equal keys, numbers or texts, as equal numbers from 0."""
    if not (pa.types.is_integer(column.type) or pa.types.is_dictionary(column.type)):
        column = column.dictionary_encode()
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([c.indices for c in column.unify_dictionaries().chunks], pa.int32())
    found: Ints = pd.factorize(column.to_numpy())[0].astype(np.int64)
    return found


def in_order(*columns: Ints) -> tuple[Ints, ...]:
    """The rows in order of the columns, the first one first."""
    lows = [int(c.min()) if len(c) else 0 for c in columns]
    widths = [(int(c.max()) - low).bit_length() if len(c) else 0 for c, low in zip(columns, lows, strict=True)]
    if sum(widths) > 63:
        order = np.lexsort(columns[::-1])
        return tuple(c[order] for c in columns)
    # One number for the whole row sorts many times faster than an index over several columns.
    packed = np.zeros(len(columns[0]), dtype=np.int64)
    for column, low, width in zip(columns, lows, widths, strict=True):
        packed <<= width
        packed |= column - low
    packed.sort()
    found = []
    for low, width in zip(reversed(lows), reversed(widths), strict=True):
        found.append((packed & ((1 << width) - 1)) + low)
        packed >>= width
    return tuple(reversed(found))


def begins(*columns: Ints) -> npt.NDArray[np.bool_]:
    """Whether a row differs from the one before it."""
    new = np.zeros(len(columns[0]), dtype=np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new
