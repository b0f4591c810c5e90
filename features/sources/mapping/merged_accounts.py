"""Accounts that were merged into others of the same source: what belongs to them counts for those that are left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from features.sources.mapping.identity import SourceId
from features.sources.mapping.mapping_file import Mapping as MappingFile
from features.sources.mapping.parts import Part, PartBuilder
from features.utils.formatting import count_of
from features.utils.sql_text import sql_identifier
from features.utils.sql_types import id_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_MERGED = "identity_merged"
_COLUMNS = ("account_id", "merged_into")


class MergedAccounts:
    """The accounts of a source that were merged, with those that are left.

    Parameters
    ----------
    connection : the confined engine.
    mapping : the mapping, for messages.
    builder : creates temporary tables.
    """

    def __init__(self, connection: Backend, mapping: MappingFile, builder: PartBuilder) -> None:
        self._connection, self._mapping, self._builder = connection, mapping, builder
        self._left: dict[SourceId, str] = {}
        self.notes: list[str] = []

    def apply(self, parts: Sequence[Part], merged: Part, *, apart: bool) -> list[Part]:
        """Return the parts without the merged accounts: the one that is left has the earliest creation of them.

        Parameters
        ----------
        parts : created parts.
        merged : reads which accounts were merged.
        apart : whether equal ids of several sources are different companies.

        Raises
        ------
        SignalsError
            If the query does not run, or lacks a column.
        """
        pairs = self._pairs(merged)
        accounts = [part for part in parts if part.table == "accounts" and part.ids == merged.ids]
        listed = {each for part in accounts for each in self._account_ids(part)}
        left = {each: last for each in pairs if (last := _last(each, pairs)) in listed and last != each}
        if others := len(pairs) - len(left):
            self.notes.append(
                f"identity: {count_of(others, 'account')} merged into one that is not among the accounts, or into each "
                "other: kept as they are"
            )
        if not left:
            return list(parts)
        sources = {merged.ids} if apart else {part.ids for part in parts} | {merged.ids}
        self._left = {(source, each): last for source in sources for each, last in left.items()}
        self._store(left)
        self.notes.append(f"identity: {count_of(len(left), 'account')} merged into others, and counted as these")
        result, creations = list[Part](), list[Part]()
        for part in parts:
            if part not in accounts:
                result.append(part)
                continue
            types = self._builder.describe(part)
            given = id_text("account_id", types["account_id"]) if "account_id" in types else "NULL"
            if "created_at" in types:
                sql = (
                    "SELECT m.last AS account_id, a.created_at "
                    f"FROM (SELECT *, {given} AS own FROM {part.relation}) AS a "
                    f"JOIN {_MERGED} AS m ON m.id = a.own"
                )
                creations.append(self._builder.create(replace(part, sql=sql, relation="")))
            kept = (
                f"SELECT * FROM {part.relation} WHERE ({given}) IS NULL OR ({given}) NOT IN (SELECT id FROM {_MERGED})"
            )
            result.append(self._builder.update(part, kept))
        return [*result, *creations]

    def translated(
        self, links: Sequence[tuple[str | None, ...]], sources: Sequence[str]
    ) -> list[tuple[str | None, ...]]:
        """Return rows of ids of one company with the accounts that are left.

        Parameters
        ----------
        links : the rows.
        sources : the source of each position.
        """
        return [
            tuple(
                None if each is None else self._left.get((source, each), each)
                for source, each in zip(sources, row, strict=True)
            )
            for row in links
        ]

    def added_to(self, account_ids: Mapping[SourceId, str]) -> dict[SourceId, str]:
        """Return the account ids of companies with those of the merged accounts."""
        own = {(s, each): account_ids.get((s, last), last) for (s, each), last in self._left.items()}
        return {**account_ids, **own}

    def _pairs(self, merged: Part) -> dict[str, str]:
        types = {name.lower(): (name, kind) for name, kind in self._builder.describe(merged).items()}
        if missing := [name for name in _COLUMNS if name not in types]:
            raise self._mapping.error(
                merged.keys,
                f"there is no column {missing[0]}",
                "a SELECT of account_id and merged_into",
                "name it with AS",
            )
        account, into = (id_text(sql_identifier(types[name][0]), types[name][1]) for name in _COLUMNS)
        try:
            rows = self._connection.con.execute(
                f"SELECT {account} AS id, min({into}) FROM (\n{merged.sql}\n) "
                f"WHERE ({account}) IS NOT NULL AND ({into}) IS NOT NULL AND ({account}) <> ({into}) GROUP BY 1"
            ).fetchall()
        except duckdb.Error as error:
            raise self._builder.error(merged, error) from None
        return dict(rows)

    def _account_ids(self, part: Part) -> list[str]:
        types = self._builder.describe(part)
        if "account_id" not in types:
            return []
        text = id_text("account_id", types["account_id"])
        rows = self._connection.con.execute(f"SELECT DISTINCT {text} FROM {part.relation}").fetchall()
        return [each for (each,) in rows if each is not None]

    def _store(self, left: Mapping[str, str]) -> None:
        table = pa.table({"id": pa.array(left, pa.string()), "last": pa.array(left.values(), pa.string())})
        self._connection.con.register("merged_rows", table)
        try:
            self._connection.con.execute(f"CREATE OR REPLACE TEMP TABLE {_MERGED} AS SELECT * FROM merged_rows")
        finally:
            self._connection.con.unregister("merged_rows")


def _last(account: str, pairs: Mapping[str, str]) -> str:
    """Return the account that is left after all merges; the account itself if they go in a circle."""
    seen, last = {account}, account
    while last in pairs:
        last = pairs[last]
        if last in seen:
            return account
        seen.add(last)
    return last
