"""A fingerprint of the content of signals: equal for the same rows in any order and format, different if any value is.

It is computed from the conformed tables and not from files: folders, databases and mappings have no common file format,
a repeated export has other bytes but the same rows, and rows at or after ``data_through`` were not reviewed. DuckDB
hashes every row, an event counts once from when it was first known, and the hashes are summed as integers, so that the
order of rows does not matter and nothing is rounded. DuckDB's hash is much faster than SHA-256 or MD5 (3 instead of 16
seconds for 2.5 million rows), but may change with its version, so the version is the prefix of the fingerprint. It
detects accidental changes and edits, but not rows that are crafted to have the same hashes.
"""

from __future__ import annotations

import hashlib
import json

import duckdb

from features.contract.current_contract import current_tables
from features.errors import BadRequest
from features.signals.signals import OpenSignals
from features.sources.engine import is_embedded

SALT = "the second half"


def fingerprint(signals: OpenSignals) -> str:
    """Return ``duckdb-VERSION:`` and the hex SHA-256 of the tables' names, row counts and sums of row hashes.

    Parameters
    ----------
    signals : checked signals on the embedded engine.

    Raises
    ------
    BadRequest
        The signals are on another engine.
    """
    if not is_embedded(signals.connection):
        raise BadRequest("fingerprints are not supported on this engine", "the embedded engine", "omit --engine")
    sums = {name: _sums(signals, name) for name in sorted(signals.tables)}
    digest = hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()
    return f"{engine_version()}:{digest}"


def engine_version() -> str:
    """Return the prefix of fingerprints; fingerprints with different prefixes cannot be compared."""
    return f"duckdb-{duckdb.__version__}"


def _sums(signals: OpenSignals, name: str) -> list[str]:
    """Return the number of rows and two sums of their hashes."""
    same = ", ".join(f'"{c}"' for c in sorted(signals.tables[name].columns) if c != "known_at")
    known = "min(known_at)" if current_tables()[name].event else "NULL::TIMESTAMP"
    # A copied table has each event once, so equal rows are different events.
    times = "1" if name in signals.feeds else "count(*)"
    rows = f'SELECT hash({same}) AS said, {known} AS known, {times} AS times FROM "signals_{name}" GROUP BY said'
    totals = signals.connection.con.execute(
        "SELECT coalesce(sum(times), 0), coalesce(sum(times * hash(said, known)::HUGEINT), 0), "
        f"coalesce(sum(times * hash(known, said, '{SALT}')::HUGEINT), 0) FROM ({rows})"
    ).fetchone()
    return [str(value) for value in totals]
