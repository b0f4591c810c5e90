"""Columns that say which accounts were merged into others, in tables of accounts that no pack knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.connect.column_names import plain_name
from features.connect.table_guesses import TableGuess
from features.connect.values import count_each
from features.utils.formatting import count_of, verb_for
from features.utils.sql_text import sql_identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ibis.backends.duckdb import Backend

_INTO = (
    "merged_into", "merged_into_id", "merged_into_account", "merged_into_account_id", "merged_into_customer_id",
    "merged_into_company_id", "merged_to", "merged_to_id", "merge_target", "merge_target_id", "merged_with",
    "master_record_id", "master_account_id", "surviving_id", "surviving_account_id", "survivor_id", "duplicate_of",
    "duplicate_of_id",
)  # fmt: skip
"""Names of columns of a merged account with the one that is left."""
_FROM = (
    "merged_ids", "merged_account_ids", "merged_customer_ids", "merged_company_ids", "merged_object_ids",
    "hs_merged_object_ids", "merged_from", "merged_from_ids",
)  # fmt: skip
"""Names of columns of an account with those that were merged into it, separated by commas, semicolons or bars."""


@dataclass(frozen=True)
class MergedRows:
    """What a table says about accounts that were merged.

    Parameters
    ----------
    column : the column.
    query : the SELECT of ``account_id`` and ``merged_into``, with ``{source}`` in place of the schema; empty if no row
        names another account.
    is_merged : the condition of the rows of merged accounts; empty if rows are of the accounts that are left.
    notes : what is assumed, in sentences.
    gaps : what a person must say.
    """

    column: str
    query: str = ""
    is_merged: str = ""
    notes: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


def merged_rows(engine: Backend, place: str, accounts: TableGuess, types: Mapping[str, str]) -> MergedRows | None:
    """Return what a table of accounts says about accounts that were merged; None if no column does.

    Parameters
    ----------
    engine, place : the engine, and the schema of the tables.
    accounts : what the table looks like as accounts.
    types : its columns with their types.
    """
    own = accounts.matched.get("account_id")
    others = {plain_name(column): column for column in types if column not in accounts.matched.values()}
    column = next((others[name] for name in (*_INTO, *_FROM) if name in others), None)
    if own is None or column is None:
        return None
    table, key, text = sql_identifier(accounts.name), _trimmed(own), _trimmed(column)
    if plain_name(column) in _FROM:
        each = f"trim(unnest(string_split_regex({text}, '[;,|]')))"
        query = f"SELECT {each} AS account_id, {key} AS merged_into FROM {{source}}.{table}"
        is_merged, named = "", "account_id"
    else:
        query = f"SELECT {key} AS account_id, {text} AS merged_into FROM {{source}}.{table}"
        is_merged, named = f"coalesce({text}, '') NOT IN ('', {key})", "merged_into"
    rows = (
        f"({query.replace('{source}', place)}) "
        "WHERE account_id <> merged_into AND account_id <> '' AND merged_into <> ''"
    )
    filled, known = count_each(
        engine,
        f"SELECT count(DISTINCT account_id), count(DISTINCT account_id) FILTER ({named} IN "
        f"(SELECT {key} FROM {place}.{table})) FROM {rows}",
    )
    if not filled:
        return MergedRows(column)
    if not known and named == "merged_into":
        gap = (
            f"accounts.account_id: {column} of {accounts.name} names no id of an account: "
            f"{count_of(filled, 'account')} that {'was' if filled == 1 else 'were'} merged {verb_for(filled)} kept "
            "apart until identity.merged says into which"
        )
        return MergedRows(column, gaps=(gap,))
    note = (
        f"{column} of {accounts.name} says which accounts were merged: {count_of(filled, 'id')} {verb_for(filled)} "
        "read as the account that is left, at dates before the merge too."
    )
    return MergedRows(column, query, is_merged, (note,))


def _trimmed(column: str) -> str:
    return f"trim(CAST({sql_identifier(column)} AS VARCHAR))"
