"""Parents in a source that do not count: circles, accounts that are their own parent, and unknown accounts."""

from __future__ import annotations

from typing import Literal

import ibis

from features.contract.current_contract import current_tables
from features.signals.casting import SourceSchema, conformed_columns, source_schema, source_table
from features.sources.base import Source
from features.sources.engine import collect
from features.utils.account_hierarchies import accounts_in_circles, parents_of

Misplacement = Literal["circle", "own", "unknown"]
MISPLACEMENTS: tuple[Misplacement, ...] = ("circle", "own", "unknown")


def misplaced_parents(source: Source) -> dict[Misplacement, tuple[int, tuple[int, ...]]]:
    """Find the parents in a source that do not count.

    Parameters
    ----------
    source : the source tables, with valid columns.

    Returns
    -------
    dict
        For ``circle``, ``own`` (an account that is its own parent) and ``unknown`` (no account of the source): the
        number of rows, and their positions from 1. Only those that occur.
    """
    schema = source_schema(source, "accounts")
    if "parent_id" not in dict(schema):
        return {}
    rows = collect(source.connection, _parents, schema, "accounts" in source.text).to_pandas()
    parents = parents_of(rows)
    circles = accounts_in_circles(parents)
    given, known = rows["parent_id"].notna(), set(rows["account_id"])
    own = given & (rows["parent_id"] == rows["account_id"])
    marked = {
        "circle": rows["account_id"].isin(circles),
        "own": own,
        "unknown": given & ~own & ~rows["parent_id"].isin(known),
    }
    found: dict[Misplacement, tuple[int, tuple[int, ...]]] = {}
    for name in MISPLACEMENTS:
        positions = sorted(int(row) for row in rows["_row"][marked[name]])
        if positions:
            found[name] = len(positions), tuple(positions)
    return found


def _parents(schema: SourceSchema, text: bool) -> ibis.Table:
    given, contract = source_table("accounts", schema), current_tables()["accounts"]
    rows = given.mutate(_row=ibis.row_number() + 1)
    rows = rows.select("_row", **conformed_columns(rows, contract, text))
    return rows.select("_row", "account_id", "parent_id")
