"""Distinct counts of any number of keys: each key's intervals on the grid, merged."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.running.board import Board, Clock, Ints, intervals

UNSEEN = np.int64(-(2**62))
"""Less than any bucket."""
Merged: TypeAlias = tuple[Ints, Ints, Ints, Ints, Ints]


def distinct(merged: Merged, clock: Clock, days: int, ago: int, board: Board) -> Ints:
    """At each cell, how many keys have a row in the window."""
    account, known, happened, before, many = merged
    covered = np.where(before == UNSEEN, 0, clock.gone(before, days, ago))
    opens = np.maximum(clock.date(known, ago), covered)
    return intervals(board, account, opens, clock.gone(happened, days, ago), many)


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


def in_order(*columns: Ints) -> tuple[Ints, ...]:
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


def begins(*columns: Ints) -> npt.NDArray[np.bool_]:
    """Whether a row differs from the one before it."""
    new = np.zeros(len(columns[0]), dtype=np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new
