"""The queries of a mapping: parsed once, and turned into parts when the names of all tables are known."""

from __future__ import annotations

from dataclasses import dataclass

from features.sources.mapping.mapping_file import Mapping
from features.sources.mapping.names import Names, QualifiedQuery, Query, parse
from features.sources.mapping.parts import Part
from features.utils.sql_text import sql_identifier
from features.utils.toml_positions import Keys


@dataclass(frozen=True)
class MappingQueries:
    """The parsed queries of a mapping.

    Parameters
    ----------
    mapping : the mapping.
    tables : the query of each part of a table that has one, by the name of the table and the number of the part.
    accounts, users : the queries of ``[identity]``, if given.
    """

    mapping: Mapping
    tables: dict[tuple[str, int], Query]
    accounts: Query | None
    users: Query | None
    merged: Query | None

    @property
    def all(self) -> list[Query]:
        """Every query."""
        return [*self.tables.values(), *(query for query in (self.accounts, self.users, self.merged) if query)]

    def part(self, table: str, number: int, names: Names) -> Part:
        """Return the part that a query of a table gives."""
        query = self.tables[table, number]
        qualified = names.qualified(query)
        ids = self.mapping.content.tables[table][number].ids
        return Part(table, qualified.text, query.keys, self._ids(qualified, ids), qualified)

    def accounts_query(self, names: Names) -> QualifiedQuery | None:
        """Return the query that joins accounts, if there is one."""
        return names.qualified(self.accounts) if self.accounts else None

    def users_parts(self, names: Names) -> list[Part]:
        """Return the part that maps users to accounts, if there is one."""
        if self.users is None:
            return []
        qualified = names.qualified(self.users)
        ids = self._ids(qualified, self.mapping.content.identity.users_ids)
        return [Part("accounts", qualified.text, self.users.keys, ids, qualified)]

    def merged_part(self, names: Names) -> Part | None:
        """Return the part that maps merged accounts to those that are left, if there is one.

        Raises
        ------
        SignalsError
            If it reads several sources.
        """
        if self.merged is None:
            return None
        qualified = names.qualified(self.merged)
        if len(qualified.sources) > 1:
            raise self.mapping.error(
                self.merged.keys,
                f"the query reads {' and '.join(sorted(qualified.sources))}",
                "a query over one source, whose accounts were merged",
                "join accounts of several sources in identity.accounts",
            )
        ids = next(iter(qualified.sources), "")
        return Part("accounts", qualified.text, self.merged.keys, ids, qualified)

    def _ids(self, qualified: QualifiedQuery, given: str | None) -> str:
        """Return the source whose account ids a query returns; empty if its ids are translated already.

        Raises
        ------
        SignalsError
            If it reads several sources and does not say which one's ids it returns.
        """
        if given is not None:
            return given
        if len(qualified.sources) > 1 and self.accounts is not None:
            some = sorted(qualified.sources)
            keys = qualified.query.keys
            which = "users_ids" if keys[0] == "identity" else "ids"
            raise self.mapping.error(
                keys[:-1] if keys[-1] in ("query", "from", "users") else keys,
                f"the query reads {' and '.join(some)}, and it is not clear whose account ids it returns",
                f'{which} = "{some[0]}", or another source',
                f"add {which}",
            )
        return next(iter(qualified.sources)) if len(qualified.sources) == 1 else ""


def parse_queries(mapping: Mapping) -> MappingQueries:
    """Parse every query of a mapping.

    Raises
    ------
    SignalsError
        If one is not exactly one SELECT, or not allowed; with its place.
    """
    tables: dict[tuple[str, int], Query] = {}
    for name, parts in mapping.content.tables.items():
        for number, rules in enumerate(parts):
            keys = mapping.table_keys(name, number)
            if rules.where is not None:
                _check_condition(mapping, (*keys, "where"), rules.where)
            if rules.query is not None:
                tables[name, number] = parse(mapping, (*keys, "query"), rules.query)
            elif rules.from_ is not None:
                tables[name, number] = parse(mapping, (*keys, "from"), f"SELECT * FROM {_relation(rules.from_)}")
    identity = mapping.content.identity
    accounts, users, merged = (
        parse(mapping, ("identity", key), text) if text is not None else None
        for key, text in (("accounts", identity.accounts), ("users", identity.users), ("merged", identity.merged))
    )
    return MappingQueries(mapping, tables, accounts, users, merged)


def _relation(name: str) -> str:
    """Return SQL for the name of a table, with or without a schema."""
    return ".".join(sql_identifier(part.strip().strip('"')) for part in name.split("."))


def _check_condition(mapping: Mapping, keys: Keys, condition: str) -> None:
    """Refuse a condition that is not one, or that reads tables."""
    query = parse(mapping, keys, f"SELECT 1 WHERE (\n{condition}\n)")
    if query.select.references:
        raise mapping.error(
            keys, "it reads a table", "a condition over the columns of the rows", "write a query instead of from"
        )
