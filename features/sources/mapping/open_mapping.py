"""Open a mapping file: TOML that maps files, databases and packs to the tables of the contract.

A mapping is data, not a program. Each query is exactly one SELECT and is parsed before it runs. It can read only the
sources and files that the mapping names, and the engine is confined before any query runs.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import ibis

from features.contract.current_contract import current_tables
from features.packs.queries import PackQueries
from features.sources.base import Source, confine, connect_duckdb, contract_names, hive_keys
from features.sources.files import load_files
from features.sources.mapping.combined_tables import combine
from features.sources.mapping.contract_sources import ContractOverlap, chosen_contracts, contract_overlap
from features.sources.mapping.identity import SourceMatches
from features.sources.mapping.identity_tables import IdentityQueries, IdentityTables
from features.sources.mapping.mapping_file import Mapping, read_mapping
from features.sources.mapping.mapping_queries import parse_queries
from features.sources.mapping.named_sources import SourceTables, open_tables
from features.sources.mapping.names import FILES_SCHEMA, Names
from features.sources.mapping.other_inputs import mapped_files, open_database_tables
from features.sources.mapping.pack_parts import (
    SourcePack,
    finding_notes,
    not_replaced,
    pack_relations,
    pack_rules,
    parts_of,
    publish_query,
    queries_of,
    source_packs,
    users_of,
)
from features.sources.mapping.parts import Part, PartBuilder, places_of
from features.sources.mapping.recorded_values import recorded_values, unrecorded_notes
from features.sources.missing_contracts import MissingContracts
from features.sources.object_store import Copies, temporary_copies
from features.sources.shown_address import shown_address
from features.utils.sql_text import sql_identifier

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


@dataclass(frozen=True)
class OpenMapping:
    """An opened mapping, with what only `connect` shows.

    Parameters
    ----------
    source : the tables of the contract.
    packs : the pack of each source that has one.
    queries : for each source with a pack, the queries of the pack.
    matches : how the accounts of the sources match.
    relations : the tables of each source that are loaded.
    overlap : the accounts with contracts in several sources, if the mapping does not say which count; None if none has.
    """

    source: Source
    packs: tuple[SourcePack, ...]
    queries: MappingABC[str, PackQueries]
    matches: tuple[SourceMatches, ...]
    relations: MappingABC[str, SourceTables]
    overlap: ContractOverlap | None = None


@dataclass(frozen=True)
class OpenRelations:
    """What the sources of a mapping and their packs give, before any table of the contract is made of it.

    Parameters
    ----------
    connection : the confined engine; each source is a schema.
    queries : for each source with a pack, the queries of the pack.
    names : the names that queries of the mapping may use.
    """

    connection: Backend
    queries: MappingABC[str, PackQueries]
    names: Names


def open_mapping(path: Path) -> Source:
    """Open the source described by the mapping file at ``path``.

    Raises
    ------
    SignalsError
        If it is not a mapping file, refers to something that does not exist, or a query is not allowed or fails.
    """
    return open_parsed(read_mapping(path)).source


def open_parsed(mapping: Mapping, addresses: MappingABC[str, str] | None = None) -> OpenMapping:
    """Open a mapping.

    Parameters
    ----------
    mapping : the mapping.
    addresses : addresses of sources in place of those in the mapping, which has no passwords.

    Raises
    ------
    SignalsError
        As in `open_mapping`.
    """
    with temporary_copies() as copies:
        return _Opening(mapping, copies, addresses or {}).result()


def open_relations(mapping: Mapping, addresses: MappingABC[str, str] | None = None) -> OpenRelations:
    """Open only the sources and packs of a mapping, without its tables of the contract.

    Parameters
    ----------
    mapping, addresses : as in `open_parsed`.

    Raises
    ------
    SignalsError
        As in `open_mapping`.
    """
    with temporary_copies() as copies:
        return _Opening(mapping, copies, addresses or {}).relations()


class _Opening:
    """The steps from the files to the tables of the contract."""

    def __init__(self, mapping: Mapping, copies: Copies, addresses: MappingABC[str, str]) -> None:
        self.mapping = mapping
        self.queries = parse_queries(mapping)
        self.packs = source_packs(mapping)
        self.files = mapped_files(mapping, copies)
        self.connection = connect_duckdb()
        copies.bind_to(self.connection)
        self.connection.raw_sql(f"CREATE SCHEMA {FILES_SCHEMA}")
        for name, data in self.files.items():
            load_files(self.connection, name, data, schema=FILES_SCHEMA)
        self.sources: dict[str, SourceTables] = {}
        for name, entry in mapping.content.named_sources.items():
            keys = ("sources", name, "uri") if mapping.content.sources else ("source", "uri")
            with mapping.errors_at(keys):
                uri = addresses.get(name, entry.uri)
                self.sources[name] = open_tables(self.connection, name, uri, mapping.folder.resolve(), copies)
        self.builder = PartBuilder(self.connection, mapping)

    def relations(self) -> OpenRelations:
        """Load and publish the tables of the sources, and what their packs give."""
        early = {pack.source: queries_of(self.mapping, pack, self.sources[pack.source]) for pack in self.packs}
        tables = {
            name: (*own.names, *(pack_relations(early[name]) if name in early else ()))
            for name, own in self.sources.items()
        }
        names = Names(self.mapping, tuple(self.files), tables)
        names = open_database_tables(self.connection, self.mapping, names, self.queries)
        self._load(names, early)
        self._confine()
        # The types of columns are known exactly only now.
        given = {pack.source: queries_of(self.mapping, pack, self.sources[pack.source]) for pack in self.packs}
        self._publish_packs(given)
        return OpenRelations(self.connection, given, names)

    def result(self) -> OpenMapping:
        opened = self.relations()
        given, names = opened.queries, opened.names
        own_parts = {(name, number): self.queries.part(name, number, names) for name, number in self.queries.tables}
        parts = [part for pack in self.packs for part in parts_of(pack, given[pack.source])]
        from_packs = not_replaced(self.mapping, own_parts, parts)
        used = [*own_parts.values(), *from_packs]
        users = self.queries.users_parts(names)
        users += [part for pack in self.packs if (part := users_of(pack, given[pack.source]))]
        accounts = self.queries.accounts_query(names)
        owners = frozenset(part.ids for part in used if part.table == "accounts" and part.ids)
        apart = owners if accounts is None and len(owners) > 1 else frozenset()
        merged = self.queries.merged_part(names)
        identity = IdentityQueries(self.mapping.content.identity, accounts, tuple(users), apart, merged)
        self._check_pack_rules(parts)
        contract, notes, matches, overlap = self._tables(own_parts, from_packs, identity)
        from_packs = [part for part in from_packs if self._counts(part)]
        used = [part for part in used if self._counts(part)]
        own_parts = {key: part for key, part in own_parts.items() if self._counts(part)}
        records = recorded_values(self.mapping, own_parts, from_packs, self.builder)
        synced = {name: self._synced_through(queries) for name, queries in given.items()}
        keys = tuple({key: None for data in self.files.values() for key in hive_keys(data.paths, data.base)})
        source = Source(
            self.connection,
            contract,
            str(self.mapping.path),
            notes=[
                *finding_notes(self.connection, given),
                *self.builder.notes,
                *notes,
                *unrecorded_notes(records),
            ],
            partitions=dict.fromkeys(contract, keys),
            data_through=self.mapping.data_through,
            synced_through=max(filter(None, synced.values()), default=None),
            synced_tables=_synced_tables(from_packs, synced),
            places=places_of(used),
            records=records,
            missing_contracts=self._missing_contracts(contract),
            open_questions=(*self.mapping.content.open_questions, *([overlap.question] if overlap else [])),
        )
        return OpenMapping(source, tuple(self.packs), given, matches, self.sources, overlap)

    def _counts(self, part: Part) -> bool:
        """Return whether the rows of a part are read, as far as `contracts` of the identity decides it."""
        chosen = self.mapping.content.identity.contracts
        return not isinstance(chosen, tuple) or part.table != "subscriptions" or part.ids in ("", *chosen)

    def _missing_contracts(self, contract: MappingABC[str, ibis.Table]) -> MissingContracts | None:
        """Return what is missing if all sources are tools, and none has contracts."""
        content = self.mapping.content
        own = content.files or content.database or len(self.packs) < len(content.named_sources)
        if own or not self.packs or {"subscriptions", "orders"} & set(contract):
            return None
        addresses = (shown_address(each.uri) for each in content.named_sources.values())
        return MissingContracts(
            tuple(dict.fromkeys(pack.pack.file.title for pack in self.packs)),
            tuple(dict.fromkeys(a if "://" in a else str(self.mapping.folder / a) for a in addresses)),
            "accounts" in contract,
        )

    def _synced_through(self, queries: PackQueries) -> datetime | None:
        """Return the instant up to which the export of a pack's tool certainly reaches, if it is known."""
        row = self.connection.con.execute(queries.data_through).fetchone() if queries.data_through else None
        through = row[0].replace(tzinfo=UTC) if row and row[0] else None
        return through if through and through <= datetime.now(UTC) else None

    def _load(self, names: Names, packs: MappingABC[str, PackQueries]) -> None:
        """Load the tables that queries and packs read."""
        wanted: dict[str, set[str]] = {name: set() for name in self.sources}
        for source, queries in packs.items():
            wanted[source] |= queries.tables_read
        for query in self.queries.all:
            found = [names.source_table(reference) for reference in query.select.references]
            for source, table in filter(None, found):
                wanted[source].add(table)
        for name, some in wanted.items():
            with self.mapping.errors_at(("sources", name)):
                self.sources[name].load(sorted(some & set(self.sources[name].names)))

    def _confine(self) -> None:
        parquet = [file for data in self.files.values() if data.format == "Parquet" for file in data.paths]
        confine(self.connection, [*parquet, *(file for tables in self.sources.values() for file in tables.files)])
        for name, tables in self.sources.items():
            with self.mapping.errors_at(("sources", name)):
                tables.publish()

    def _publish_packs(self, packs: MappingABC[str, PackQueries]) -> None:
        """Make what packs give available to the queries of the mapping."""
        for source, queries in packs.items():
            for name, sql in pack_relations(queries).items():
                with self.mapping.errors_at(("sources", source)):
                    publish_query(self.connection, source, name, sql)

    def _tables(
        self, own: dict[tuple[str, int], Part], from_packs: list[Part], identity: IdentityQueries
    ) -> tuple[dict[str, ibis.Table], list[str], tuple[SourceMatches, ...], ContractOverlap | None]:
        """Return the tables of the contract, with notes, how sources match, and contracts in several of them."""
        rules = self.mapping.content.tables
        lazy = {key for key, part in own.items() if self._is_lazy(key, part, from_packs, identity)}
        tables = {key[0]: self._view(own[key]) for key in own if key in lazy}
        parts = [self.builder.create(part, pack_rules(self.mapping, part.table)) for part in from_packs]
        parts += [
            self.builder.create(part, rules[name][number])
            for (name, number), part in own.items()
            if (name, number) not in lazy
        ]
        translator = IdentityTables(self.connection, self.mapping, self.builder)
        order = self._order()
        parts.sort(key=lambda part: order.index(part.ids) if part.ids in order else len(order))
        parts = translator.translate(parts, identity, order)
        parts, contract_notes, overlap = self._contracts(parts, identity.rules.contracts)
        combined, notes = combine(parts, rules, self.builder, one_row=identity.accounts is not None)
        for name, part in combined.items():
            self.connection.raw_sql(f'CREATE OR REPLACE TEMP VIEW "given_{name}" AS SELECT * FROM {part.relation}')
            tables[name] = self.connection.table(f"given_{name}")
        ordered = {name: tables[name] for name in current_tables() if name in tables}
        return ordered, [*translator.notes, *contract_notes, *notes], translator.matches, overlap

    def _contracts(
        self, parts: list[Part], chosen: str | tuple[str, ...] | None
    ) -> tuple[list[Part], list[str], ContractOverlap | None]:
        """Return the parts with the contracts that count, notes, and which accounts have some in several sources."""
        if chosen is None:
            kinds = {pack.source: pack.pack.file.kind for pack in self.packs}
            return parts, [], contract_overlap(parts, self.builder, kinds, self.mapping.data_through)
        if isinstance(chosen, str):
            return parts, [], None
        known = list(dict.fromkeys(part.ids for part in parts if part.table == "subscriptions" and part.ids))
        if unknown := [name for name in chosen if name not in known]:
            raise self.mapping.error(
                ("identity", "contracts"),
                f"{unknown[0]} gives no subscriptions",
                f"some of {', '.join(known)}" if known else "a source with subscriptions",
                "name the sources whose contracts count, or delete the key",
            )
        return *chosen_contracts(parts, chosen, self.builder), None

    def _check_pack_rules(self, packs: list[Part]) -> None:
        """Refuse rules for tables of packs that no pack gives."""
        given = {part.table for part in packs}
        for name, some in self.mapping.content.tables.items():
            for number, rules in enumerate(some):
                if rules.reads_packs and name not in given:
                    raise self.mapping.error(
                        self.mapping.table_keys(name, number),
                        "no pack gives this table, and it has neither query nor from",
                        'a query, or from = "SOURCE.TABLE"',
                        "add one of them",
                    )

    def _order(self) -> list[str]:
        """Return the sources, the one whose ids are preferred first."""
        names = list(self.mapping.content.named_sources)
        spine = self.mapping.content.identity.spine
        return [spine, *(name for name in names if name != spine)] if spine else names

    def _is_lazy(self, key: tuple[str, int], part: Part, packs: list[Part], identity: IdentityQueries) -> bool:
        """Return whether a table is read where it is: one plain query whose rows need nothing more."""
        rules = self.mapping.content.tables
        one = len(rules[key[0]]) == 1 and not any(other.table == part.table for other in packs)
        if not one or not rules[key[0]][0].plain:
            return False
        if part.table == "accounts":
            # Other tables may add accounts.
            plain = all(some.plain for parts in rules.values() for some in parts)
            return not packs and not identity.translates and plain
        translated = (identity.accounts and part.ids) or part.ids in identity.apart or identity.merged
        return not identity.users_for(part) and not translated

    def _view(self, part: Part) -> ibis.Table:
        """Create a view of a plain query."""
        columns = contract_names(self.builder.describe(part), part.table, f"{self.mapping.path}: tables.{part.table}")
        chosen = ", ".join(f"{sql_identifier(column)} AS {sql_identifier(name)}" for column, name in columns.items())
        self.connection.raw_sql(
            f'CREATE OR REPLACE TEMP VIEW "given_{part.table}" AS SELECT {chosen} FROM (\n{part.sql}\n)'
        )
        return self.connection.table(f"given_{part.table}")


def _synced_tables(parts: Sequence[Part], synced: MappingABC[str, datetime | None]) -> dict[str, datetime]:
    """Return up to when the tables reach that packs give, where all of their tools show it.

    Parameters
    ----------
    parts : the parts of packs.
    synced : up to when each tool was synced, by source.
    """
    ends: dict[str, list[datetime | None]] = {}
    for part in parts:
        ends.setdefault(part.table, []).append(synced.get(part.ids))
    return {table: min(known) for table, some in ends.items() if len(known := [*filter(None, some)]) == len(some)}
