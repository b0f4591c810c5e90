"""A fingerprint of what signals say: the same for the same rows, whatever their order and their files; another as
soon as one value that was known differs.

It is taken of the conformed tables and not of files: a folder, a database and a mapping have no files in common, an
export that is written anew has other bytes and the same rows, and rows at or after ``data_through`` do not belong to
what was reviewed. Every row is hashed by DuckDB, an event counts once from when it was first known, and the hashes are
summed as whole numbers, so that the order of rows does not matter and no sum is rounded. DuckDB's hash is many times
faster than SHA-256 or MD5 (2.5 million rows: 3 seconds against 16), but may change with its version, which therefore
stands in front. It finds every change that comes about by accident or edit; it is no proof against somebody who makes
rows up to that end.
"""

from __future__ import annotations

import hashlib
import json

import duckdb

from features.contract.schema import TABLES
from features.errors import BadRequest
from features.signals.signals import Signals
from features.sources.engine import is_embedded

SALT = "the second half"


def fingerprint(signals: Signals) -> str:
    """``duckdb-VERSION:`` and the SHA-256, in hex, over the tables' names, row counts and sums of row hashes.

    Parameters
    ----------
    signals : open and checked, on the embedded engine; nothing at or after its cut-off belongs to it.

    Raises
    ------
    BadRequest
        The signals are read by another engine.
    """
    if not is_embedded(signals.connection):
        raise BadRequest("a fingerprint of signals on another engine", "the embedded engine", "leave --engine out")
    told = {name: _sums(signals, name) for name in sorted(signals.tables)}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return f"{engine_version()}:{digest}"


def engine_version() -> str:
    """What stands in front of a fingerprint; two that begin otherwise cannot be compared."""
    return f"duckdb-{duckdb.__version__}"


def _sums(signals: Signals, name: str) -> list[str]:
    """Rows, and two sums of their hashes."""
    same = ", ".join(f'"{c}"' for c in sorted(signals.tables[name].columns) if c != "known_at")
    known = "min(known_at)" if TABLES[name].event else "NULL::TIMESTAMP"
    # A table that was copied holds each event once, so that rows which read the same are several.
    times = "1" if name in signals.feeds else "count(*)"
    rows = f'SELECT hash({same}) AS said, {known} AS known, {times} AS times FROM "signals_{name}" GROUP BY said'
    found = signals.connection.con.execute(
        "SELECT coalesce(sum(times), 0), coalesce(sum(times * hash(said, known)::HUGEINT), 0), "
        f"coalesce(sum(times * hash(known, said, '{SALT}')::HUGEINT), 0) FROM ({rows})"
    ).fetchone()
    return [str(value) for value in found]
