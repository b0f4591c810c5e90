"""The tables that packs give: which tables of a source a pack reads, and its parts of the contract's tables."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from features.errors import SignalsError
from features.packs.inputs import Relation
from features.packs.options import option_values
from features.packs.pack import SUFFIX, Pack, read_pack, shipped_pack
from features.packs.queries import AssumptionQuery, PackQueries, pack_queries
from features.packs.value_meanings import Given, value_meanings
from features.sources.mapping.file_schema import TableMapping
from features.sources.mapping.mapping_file import Mapping
from features.sources.mapping.named_sources import SourceTables
from features.sources.mapping.parts import Part
from features.utils.engine_errors import describe_error
from features.utils.sql_text import sql_identifier
from features.utils.toml_positions import Keys

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


@dataclass(frozen=True)
class SourcePack:
    """The pack of a source.

    Parameters
    ----------
    source : the source's name.
    keys : the keys of the source in the file.
    pack : the pack.
    options : its options.
    values : what values mean that the pack does not know, by table and column.
    """

    source: str
    keys: Keys
    pack: Pack
    options: dict[str, object]
    values: Given


def source_packs(mapping: Mapping) -> list[SourcePack]:
    """Return the pack of each source that has one.

    Raises
    ------
    SignalsError
        If there is no such pack, or it has another version.
    """
    result = []
    for name, entry in mapping.content.named_sources.items():
        keys: Keys = ("sources", name) if mapping.content.sources else ("source",)
        if entry.pack is None:
            for key in ("version", "options", "values"):
                if getattr(entry, key):
                    raise mapping.error((*keys, key), "there is no pack that it is for", "pack = NAME", "add the pack")
            continue
        with mapping.errors_at((*keys, "pack")):
            if entry.pack.endswith(SUFFIX):
                pack = read_pack(mapping.folder / entry.pack)
            else:
                pack = shipped_pack(entry.pack, entry.version)
        result.append(SourcePack(name, keys, pack, dict(entry.options), entry.values))
    return result


def queries_of(mapping: Mapping, pack: SourcePack, tables: SourceTables) -> PackQueries:
    """Return the queries of a pack over the tables of its source, with the types that are known so far.

    Raises
    ------
    SignalsError
        If the source lacks what the pack requires, or an option is not valid.
    """
    with mapping.errors_at((*pack.keys, "values") if pack.values else pack.keys):
        value_meanings(pack.pack, pack.values, option_values(pack.pack, pack.options))
    with mapping.errors_at(pack.keys):
        return pack_queries(pack.pack, relations_of(tables), pack.options, pack.values)


def relations_of(tables: SourceTables) -> list[Relation]:
    """Return the tables of a source as relations that a pack can read."""
    schema = f"memory.{sql_identifier(tables.name)}"
    return [Relation(name, tables.columns(name), f"{schema}.{sql_identifier(name)}") for name in tables.names]


def parts_of(pack: SourcePack, queries: PackQueries) -> list[Part]:
    """Return the parts that a pack gives."""
    return [
        Part(table, sql, pack.keys, ids=pack.source, pack=pack.pack.name, records=queries.records.get(table, {}))
        for table, sql in queries.tables.items()
    ]


def not_replaced(mapping: Mapping, own: MappingABC[tuple[str, int], Part], packs: Sequence[Part]) -> list[Part]:
    """Return the parts of packs whose table the mapping does not give itself.

    Parameters
    ----------
    mapping : the mapping.
    own : its own parts, by table and number.
    packs : the parts of packs.
    """
    replaced = {name for name, number in own if not mapping.content.tables[name][number].append}
    return [part for part in packs if part.table not in replaced]


def pack_rules(mapping: Mapping, table: str) -> TableMapping | None:
    """Return the rules of a mapping for the table that packs give; None if it has none."""
    return next((rules for rules in mapping.content.tables.get(table, ()) if rules.reads_packs), None)


def users_of(pack: SourcePack, queries: PackQueries) -> Part | None:
    """Return the part that maps users to accounts, if the pack has one."""
    if not queries.users:
        return None
    return Part("accounts", queries.users, pack.keys, ids=pack.source, pack=pack.pack.name)


def pack_relations(queries: PackQueries) -> dict[str, str]:
    """Return the SELECT of each table that queries of a mapping can read from a pack, in the schema of its source.

    ``pack_accounts`` and the like are the tables of the contract. ``pack_keys`` has the account ids with what other
    tools may share (domain, name, ids), and ``pack_users`` the account of each user.
    """
    relations = {f"pack_{table}": sql for table, sql in queries.tables.items()}
    relations |= {name: sql for name, sql in (("pack_keys", queries.accounts), ("pack_users", queries.users)) if sql}
    return relations


def assumption_text(connection: Backend, assumption: AssumptionQuery) -> str:
    """Return the sentence of an assumption with its count; empty if the count is zero.

    Parameters
    ----------
    connection : the engine with the tables that the pack reads.
    assumption : the assumption.
    """
    row: dict[str, object] = {}
    if assumption.query:
        cursor = connection.con.execute(assumption.query)
        names = [str(column[0]) for column in cursor.description or ()]
        row = dict(zip(names, cursor.fetchone() or (), strict=False))
    return assumption.sentence(row)


def finding_notes(connection: Backend, queries: MappingABC[str, PackQueries]) -> list[str]:
    """Return a note for each kind of values that packs do not understand, with the number of rows.

    Parameters
    ----------
    connection : the engine with the tables that the packs read.
    queries : the queries of the pack of each source.
    """
    texts = (
        (source, assumption_text(connection, each))
        for source, some in queries.items()
        for each in some.assumptions
        if each.finding
    )
    return [f"{source}: {text.rstrip('.')}" for source, text in texts if text]


def publish_query(connection: Backend, source: str, name: str, sql: str) -> None:
    """Create the view ``name`` of a query in the schema of a source.

    Raises
    ------
    SignalsError
        If the query does not run.
    """
    try:
        connection.raw_sql(f"CREATE VIEW memory.{sql_identifier(source)}.{sql_identifier(name)} AS {sql}")
    except duckdb.Error as error:
        raise SignalsError(
            f"{name} cannot be read ({describe_error(error)})",
            "landed tables with the types of the tool",
            "write the table under [tables] instead",
        ) from None
