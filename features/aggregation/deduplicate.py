"""Find repeated rows in an Arrow table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.aggregation.bucket_arithmetic import us_column
from features.signals.large_feed import Hashes
from features.sources.sql_functions import HASH
from features.utils.arrays import Bools, Ints

SIEVE_BITS = 24
"""Bits of a hash that are enough to rule out most rows as repetitions."""


def repeated_hashes(hashes: Hashes) -> Hashes:
    """Return the hashes that occur more than once."""
    ordered = np.sort(hashes)
    repeated: Hashes = ordered[1:][ordered[1:] == ordered[:-1]]
    return repeated


def first_occurrences(rows: pa.Table) -> Bools | None:
    """Return a mask of the first known row of each event, shape (n,); None if no row is repeated.

    Rows are the same event if their hashes, computed from all columns that identify an event, and all other columns
    except the arrival are equal.
    """
    hashes: Hashes = rows[HASH].to_numpy()
    repeated = repeated_hashes(hashes)
    if not len(repeated):
        return None
    suspects = np.flatnonzero(is_in(hashes, repeated))
    arrival = us_column("known_at")
    some = rows.take(pa.array(suspects)).to_pandas().sort_values(arrival, kind="stable")
    duplicates = some.duplicated([column for column in some.columns if column != arrival]).sort_index().to_numpy()
    first = np.ones(len(rows), dtype=np.bool_)
    first[suspects[duplicates]] = False
    return first


def is_in(hashes: Hashes, some: Hashes) -> Bools:
    """Return a mask of the hashes that occur in ``some``, which must not be empty."""
    sieve = np.zeros(2**SIEVE_BITS, dtype=np.bool_)
    sieve[_lowest(some)] = True
    matches: Bools = sieve[_lowest(hashes)]
    ordered, candidates = np.sort(some), hashes[matches]
    # NumPy's isin finds distinct values first, which takes many times longer.
    matches[matches] = ordered[np.minimum(np.searchsorted(ordered, candidates), len(ordered) - 1)] == candidates
    return matches


def _lowest(hashes: Hashes) -> Ints:
    return (hashes & np.uint64(2**SIEVE_BITS - 1)).view(np.int64)
