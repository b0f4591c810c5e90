"""Finding rows that came more than once, among rows that are at hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.aggregation.bucket_arithmetic import us_column
from features.signals.large_feed import Hashes
from features.sources.sql_functions import HASH

SIEVE_BITS = 24
"""Bits of a hash by which most rows are seen to be no repetition."""

Bools = npt.NDArray[np.bool_]


def repeated_hashes(hashes: Hashes) -> Hashes:
    """Those of ``hashes`` that stand there more than once."""
    ordered = np.sort(hashes)
    repeated: Hashes = ordered[1:][ordered[1:] == ordered[:-1]]
    return repeated


def first_of_each(rows: pa.Table) -> Bools | None:
    """Which rows are the first known of their event, shape (n,); None for all of them.

    Rows are one event if they agree in their hash, which is of everything that makes the event, and in every column at
    hand but that of their arrival.
    """
    hashes: Hashes = rows[HASH].to_numpy()
    twice = repeated_hashes(hashes)
    if not len(twice):
        return None
    suspects = np.flatnonzero(among(hashes, twice))
    known = us_column("known_at")
    some = rows.take(pa.array(suspects)).to_pandas().sort_values(known, kind="stable")
    again = some.duplicated([column for column in some.columns if column != known]).sort_index().to_numpy()
    first = np.ones(len(rows), dtype=np.bool_)
    first[suspects[again]] = False
    return first


def among(hashes: Hashes, some: Hashes) -> Bools:
    """Which of ``hashes`` are among ``some``, of which there is at least one."""
    sieve = np.zeros(2**SIEVE_BITS, dtype=np.bool_)
    sieve[_lowest(some)] = True
    found: Bools = sieve[_lowest(hashes)]
    ordered, sifted = np.sort(some), hashes[found]
    # NumPy's isin would look for distinct values first, which takes many times longer than this.
    found[found] = ordered[np.minimum(np.searchsorted(ordered, sifted), len(ordered) - 1)] == sifted
    return found


def _lowest(hashes: Hashes) -> npt.NDArray[np.int64]:
    return (hashes & np.uint64(2**SIEVE_BITS - 1)).view(np.int64)
