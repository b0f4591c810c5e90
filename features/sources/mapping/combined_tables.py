"""Combine the parts of each table of the contract: rows of several sources, one row per account, rows of no account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import replace

from features.contract.current_contract import current_tables
from features.sources.mapping.file_schema import Orphans, TableMapping
from features.sources.mapping.parts import Part, PartBuilder
from features.utils.formatting import count_of
from features.utils.sql_text import sql_identifier
from features.utils.sql_types import id_text, is_text

ADDED_FOR = ("subscriptions", "orders")
"""Tables of packs whose accounts are added if they are missing: without them, revenue would be missing."""
_RANK = "_rank"
_FAR = "TIMESTAMP '9999-01-01'"


def combine(
    parts: Sequence[Part], tables: MappingABC[str, Sequence[TableMapping]], builder: PartBuilder, one_row: bool
) -> tuple[dict[str, Part], list[str]]:
    """Return one part for each table, and notes.

    Parameters
    ----------
    parts : created parts with the final account ids, in the order of preference.
    tables : the rules of the tables.
    builder : creates temporary tables.
    one_row : whether accounts with the same id are merged, although one part gives them all.
    """
    grouped: defaultdict[str, list[Part]] = defaultdict(list)
    for part in parts:
        grouped[part.table].append(part)
    result = {name: _united(some, builder) for name, some in grouped.items() if name != "accounts"}
    notes: list[str] = []
    policies = {name: _policy(name, tables.get(name, ()), grouped[name]) for name in result}
    accounts = grouped.get("accounts", [])
    if not accounts:
        return result, notes
    ranked = [_ranked(part, i, builder) for i, part in enumerate(accounts)]
    whole = _united(ranked, builder)
    merged = len(accounts) > 1 or one_row
    before = builder.count(f"SELECT count(*) FROM {whole.relation}")
    whole = builder.update(whole, _one_row_each(whole, builder, merged))
    if before and merged and (fewer := before - builder.count(f"SELECT count(*) FROM {whole.relation}")):
        notes.append(f"accounts: {count_of(fewer, 'row')} merged into other rows of the same account")
    for name in sorted(result, key=list(current_tables()).index):
        whole, result[name], note = _without_orphans(whole, result[name], policies[name], builder)
        notes += note
    result["accounts"] = whole
    return result, notes


def _policy(name: str, rules: Sequence[TableMapping], parts: Sequence[Part]) -> Orphans:
    for some in rules:
        if some.orphans is not None:
            return some.orphans
    if all(part.pack for part in parts):
        return "add" if name in ADDED_FOR else "drop"
    return "error"


def _united(parts: Sequence[Part], builder: PartBuilder) -> Part:
    """Return one part with the rows of all."""
    if len(parts) == 1:
        return parts[0]
    sql = " UNION ALL BY NAME ".join(f"SELECT * FROM {part.relation}" for part in _with_same_ids(parts, builder))
    return builder.create(replace(parts[0], sql=sql, query=None, pack=parts[0].pack or "other sources"))


def _with_same_ids(parts: Sequence[Part], builder: PartBuilder) -> list[Part]:
    """Return the parts with ids as text, so that they can be united whatever their types are."""
    result = []
    for part in parts:
        types = builder.describe(part)
        ids = [name for name in types if name.endswith("_id") and not is_text(types[name])]
        casts = ", ".join(f"{id_text(sql_identifier(name), types[name])} AS {sql_identifier(name)}" for name in ids)
        sql = f"SELECT * REPLACE ({casts}) FROM {part.relation}"
        result.append(builder.update(part, sql) if ids else part)
    return result


def _ranked(part: Part, rank: int, builder: PartBuilder) -> Part:
    return builder.update(part, f"SELECT *, {rank} AS {_RANK} FROM {part.relation}")


def _one_row_each(whole: Part, builder: PartBuilder, merged: bool) -> str:
    """Return a SELECT of one row per account: each value of the first part that has it, and the earliest creation."""
    types = builder.describe(whole)
    if not merged or "account_id" not in types:
        return f"SELECT * EXCLUDE ({_RANK}) FROM {whole.relation}"
    chosen = []
    for name in types:
        column = sql_identifier(name)
        if name == "account_id" or name == _RANK:
            continue
        if name == "created_at":
            by = f"coalesce(try_cast({column} AS TIMESTAMP), {_FAR})" if is_text(types[name]) else column
            chosen.append(f"arg_min({column}, {by}) AS {column}")
        else:
            # Among rows of one part, the order is that of the values, never that of the rows.
            chosen.append(f"arg_min({column}, ({_RANK}, CAST({column} AS VARCHAR))) AS {column}")
    account = id_text("account_id", types["account_id"])
    listed = ", ".join([f"{account} AS account_id", *chosen])
    return (
        f"SELECT {listed} FROM {whole.relation} WHERE ({account}) IS NOT NULL GROUP BY 1 UNION ALL BY NAME "
        f"SELECT * EXCLUDE ({_RANK}) FROM {whole.relation} WHERE ({account}) IS NULL ORDER BY account_id"
    )


def _without_orphans(accounts: Part, rows: Part, policy: Orphans, builder: PartBuilder) -> tuple[Part, Part, list[str]]:
    """Add or drop rows of accounts that are not in ``accounts``; rows without an account are dropped in both cases."""
    types, known_types = builder.describe(rows), builder.describe(accounts)
    at = current_tables()[rows.table].at
    if policy == "error" or "account_id" not in types or "account_id" not in known_types:
        return accounts, rows, []
    account = id_text("account_id", types["account_id"])
    known_id = id_text("account_id", known_types["account_id"])
    known = f"SELECT {known_id} FROM {accounts.relation} WHERE ({known_id}) IS NOT NULL"
    orphan = f"({account}) IS NOT NULL AND ({account}) NOT IN ({known})"
    notes = []
    if nameless := builder.count(f"SELECT count(*) FROM {rows.relation} WHERE ({account}) IS NULL"):
        notes.append(f"{rows.table}: {count_of(nameless, 'row')} without an account left out")
    row = f"SELECT count(DISTINCT {account}) FROM {rows.relation} WHERE {orphan}"
    unknown = builder.count(row)
    if not unknown and not nameless:
        return accounts, rows, notes
    number = builder.count(f"SELECT count(*) FROM {rows.relation} WHERE {orphan}")
    if unknown and policy == "add" and at in types:
        created = f"CAST(min({at}) AS VARCHAR)" if is_text(known_types.get("created_at", "VARCHAR")) else f"min({at})"
        accounts = builder.update(
            accounts,
            f"SELECT * REPLACE ({known_id} AS account_id) "
            f"FROM {accounts.relation} UNION ALL BY NAME SELECT {account} AS account_id, {created} AS created_at "
            f"FROM {rows.relation} WHERE {orphan} GROUP BY 1",
        )
        notes.append(f"accounts: {count_of(unknown, 'account')} added that only {rows.table} has ({number:,} rows)")
        rows = builder.update(rows, f"SELECT * FROM {rows.relation} WHERE ({account}) IS NOT NULL")
    else:
        if unknown:
            notes.append(
                f"{rows.table}: {count_of(number, 'row')} of {count_of(unknown, 'account')} left out "
                "that are not in accounts"
            )
        rows = builder.update(rows, f"SELECT * FROM {rows.relation} WHERE ({account}) IS NOT NULL AND NOT ({orphan})")
    return accounts, rows, notes
